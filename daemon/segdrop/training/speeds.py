"""What earlier runs on this host measured, by what a run is like. A file that may be lost at any time."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from segdrop import durable
from segdrop.modeling.precision import Host, cpu_name
from segdrop.request import Request
from segdrop.training.plan import Speed

_MOST_ENTRIES = 200


def key(request: Request, host: Host) -> str:
    """All that a step's time depends on, to be read by people too."""
    height, width = request.size
    parts = (
        request.architecture,
        f"{height}x{width}",
        f"batch {request.batch_size}",
        request.optimizer,
        f"loss {request.loss}",
        f"augmentation {request.augmentation}",
        host.precision,
        f"{host.threads} threads",
        cpu_name(),
        f"torch {torch.__version__}",
    )
    return ", ".join(parts)


def load(path: Path, name: str, strides: list[int]) -> Speed | None:
    """None where nothing is known, or not for all of the output strides."""
    try:
        entry = _read(path)[name]
        step = {int(stride): float(seconds) for stride, seconds in entry["step"].items()}
        speed = Speed(step, float(entry["validation_image"]), float(entry["epoch_end"]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    return speed if speed.step.keys() >= set(strides) else None


def store(path: Path, name: str, speed: Speed) -> None:
    """The newest last; of very many, the oldest are forgotten."""
    entries = _read(path)
    entries.pop(name, None)
    entries[name] = asdict(speed)
    kept = dict(list(entries.items())[-_MOST_ENTRIES:])
    durable.replace_quickly(path, json.dumps(kept, indent=1).encode())


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
