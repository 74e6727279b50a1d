"""The speed of runs like this one on this host: measured by a run, remembered for the next ones."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

from segdrop.modeling.measurements import Measurements
from segdrop.modeling.precision import Host
from segdrop.request import TrainRequest
from segdrop.training.timing.phases import Phase


@dataclass(frozen=True, slots=True)
class Speed:
    """The seconds that this host needs for the parts of a run; by the names of its phases where they matter."""

    step: Mapping[str, float]  #: of training
    validation_image: Mapping[str, float]
    epoch_end: float  #: besides the validation: statistics are estimated, weights saved


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
