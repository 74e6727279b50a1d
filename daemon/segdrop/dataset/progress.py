"""How far the check or a conversion is, for whoever looks: a file replaced at most once a second."""

import json
import time
from pathlib import Path

from segdrop import child, durable
from segdrop.errors import StoppedError

_INTERVAL_SECONDS = 1.0


class Progress:
    """Counts steps; ``StoppedError`` at the next one once the process was asked to stop."""

    def __init__(self, path: Path | None, total: int, stop: child.StopFlag, stage: str = "check") -> None:
        self._path = path
        self._stage = stage
        self._total = total
        self._stop = stop
        self._done = 0
        self._written_at: float | None = None

    def extend(self, count: int) -> None:
        """Expect so many steps more."""
        self._total += count

    def step(self) -> None:
        self._done += 1
        if self._stop:
            raise StoppedError
        now = time.monotonic()
        is_due = self._written_at is None or now - self._written_at >= _INTERVAL_SECONDS
        if self._path is not None and is_due:
            self._written_at = now
            content = {"stage": self._stage, "done": self._done, "total": self._total}
            durable.replace_quickly(self._path, json.dumps(content).encode())
