"""What was measured on this host before, so that it need not be measured again."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch

from segdrop import durable, logs
from segdrop.modeling import calibration
from segdrop.modeling.precision import Host, host_name, prepare_host

_MOST_ENTRIES = 200


class Measurements:
    """A file of numbers that were measured on this host, by names that say all that they depend on.

    It may be lost at any time, which costs seconds. One process writes at a time: the child that does a job's own work.
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


def calibrated_host(path: Path, requested: Literal["auto", "fp32", "bf16"], threads: int, device: torch.device) -> Host:
    """Chooses how to compute, as :func:`prepare_host` does, by what the file at ``path`` knows of this host.

    What had to be measured is written into that file.
    """
    measurements = Measurements(path)
    host = prepare_host(
        requested,
        threads,
        recall=lambda name: calibration.read(measurements.get(f"bf16, {name}")),
        device=device,
    )
    if host.calibration:
        measured = asdict(host.calibration)
        measurements.put(f"bf16, {host_name(host.threads)}", measured)
        logs.get().info("host.calibrated", precision=host.precision, **measured)
    return host
