"""The progress of a check or a conversion, in a file that is replaced at most once a second."""

import time
from pathlib import Path
from typing import Literal

from segdrop import child_runtime, durable
from segdrop.answers import CheckProgress
from segdrop.errors import StoppedError

_INTERVAL_SECONDS = 1.0


class ProgressFile:
    """Counts the steps of a check and writes how far it is."""

    def __init__(
        self,
        path: Path | None,
        total: int,
        stop: child_runtime.StopFlag,
        stage: Literal["check", "convert"] = "check",
    ) -> None:
        """``total`` is the number of steps expected; ``stage`` is what the steps belong to."""
        self._path = path
        self._stage = stage
        self._total = total
        self._stop = stop
        self._done = 0
        self._written_at: float | None = None

    def extend(self, count: int) -> None:
        """Adds ``count`` to the steps that there are to do."""
        self._total += count

    def step(self) -> None:
        """Count a step. Raises StoppedError once the process was asked to stop."""
        self._done += 1
        if self._stop:
            raise StoppedError
        now = time.monotonic()
        is_due = self._written_at is None or now - self._written_at >= _INTERVAL_SECONDS
        if self._path is not None and is_due:
            self._written_at = now
            progress = CheckProgress(stage=self._stage, done=self._done, total=self._total)
            durable.replace_quickly(self._path, progress.model_dump_json().encode())
