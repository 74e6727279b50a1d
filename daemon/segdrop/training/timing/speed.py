"""The speed of runs like this one on this host: measured by a run, remembered for the next ones."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from segdrop import durable
from segdrop.modeling.precision import Host
from segdrop.request import TrainRequest
from segdrop.training.timing.phases import Phase

_MOST_ENTRIES = 200


@dataclass(frozen=True, slots=True)
class Speed:
    """The seconds that this host needs for the parts of a run; by the names of its phases where they matter."""

    step: Mapping[str, float]  #: of training
    validation_image: Mapping[str, float]
    epoch_end: float  #: besides the validation: statistics are estimated, weights saved


class Measurements:
    """A file of numbers that were measured on this host, by names that say all that they depend on.

    It may be lost at any time, which costs seconds. One process writes at a time: the training child.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, name: str) -> dict[str, Any]:
        """Returns the numbers of a name; an empty dictionary where nothing is known."""
        found = self._read().get(name)
        return found if isinstance(found, dict) else {}

    def put(self, name: str, values: dict[str, Any]) -> None:
        """Writes the numbers of a name into the file; of very many names, the oldest are forgotten."""
        entries = self._read()
        entries.pop(name, None)
        entries[name] = values
        kept = dict(list(entries.items())[-_MOST_ENTRIES:])
        durable.replace_quickly(self._path, json.dumps(kept, indent=1).encode())

    def _read(self) -> dict[str, Any]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}


def key(request: TrainRequest, optimizer: str, frozen_stages: int, host: Host) -> str:
    """Returns a name that holds all that a step's time depends on, to be read by people too."""
    height, width = request.image_size
    parts = (
        request.architecture,
        f"{height}x{width}",
        f"batch {request.batch_size}",
        optimizer,
        f"loss {request.loss}",
        f"augmentation {request.augmentation}",
        *([f"frozen_stages {frozen_stages}"] if frozen_stages else []),
        host.precision,
        host.name,
    )
    return ", ".join(parts)


def load(known: Measurements, name: str, phases: Iterable[Phase]) -> Speed | None:
    """Returns the speed that was stored by a name; None where nothing is known, or not for all of the phases."""
    entry = known.get(name)
    try:
        speed = Speed(_seconds(entry["step"]), _seconds(entry["validation_image"]), float(entry["epoch_end"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    is_complete = all(phase.name in speed.step and phase.validated.name in speed.validation_image for phase in phases)
    return speed if is_complete else None


def _seconds(entry: Mapping[str, float]) -> dict[str, float]:
    return {name: float(seconds) for name, seconds in entry.items()}


def store(known: Measurements, name: str, speed: Speed) -> None:
    """Remembers a speed by a name."""
    known.put(name, asdict(speed))
