"""How fast runs like this one were on this host."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from segdrop.modeling.precision import Host
from segdrop.request import Request
from segdrop.training.measurements import Measurements
from segdrop.training.phases import Phase
from segdrop.training.plan import Speed


def key(request: Request, optimizer: str, frozen_stages: int, host: Host) -> str:
    """All that a step's time depends on, to be read by people too."""
    height, width = request.size
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
    """None where nothing is known, or not for all of the phases."""
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
    known.put(name, asdict(speed))
