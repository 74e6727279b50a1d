"""How fast runs like this one were on this host."""

from collections.abc import Mapping
from dataclasses import asdict

from segdrop.modeling.precision import Host
from segdrop.request import Request
from segdrop.training.measurements import Measurements
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


def load(known: Measurements, name: str, strides: list[int]) -> Speed | None:
    """None where nothing is known, or not for all of the output strides."""
    entry = known.get(name)
    try:
        speed = Speed(_by_stride(entry["step"]), _by_stride(entry["validation_image"]), float(entry["epoch_end"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return speed if speed.step.keys() & speed.validation_image.keys() >= set(strides) else None


def _by_stride(entry: Mapping[str, float]) -> dict[int, float]:
    """JSON has names only."""
    return {int(stride): float(seconds) for stride, seconds in entry.items()}


def store(known: Measurements, name: str, speed: Speed) -> None:
    known.put(name, asdict(speed))
