"""Delete what is older than the operator wants to keep. Off by default."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segdrop import durable, logs
from segdrop.spool.layout import RootLayout

_DAY_SECONDS = 86_400
_LOOK_SECONDS = 3600.0


@dataclass(slots=True)
class Schedule:
    """A look at what has expired, every hour; all times in seconds.

    Ages are by the wall clock. Where that was set to another time since the last look, nothing is removed at this one:
    there is an hour to set it right.
    """

    _next: float = 0.0
    _offset: float | None = None  #: of the wall clock, to the monotonic one

    def due(self, now: float, wall: float) -> bool:
        if now < self._next:
            return False
        self._next = now + _LOOK_SECONDS
        before, self._offset = self._offset, wall - now
        jump = 0.0 if before is None else self._offset - before
        if abs(jump) > _LOOK_SECONDS:
            logs.get().warning("clock.jumped", seconds=round(jump))
            return False
        return True


def sweep(layout: RootLayout, now: float, *, done_days: float, failed_days: float, outbox_days: float) -> int:
    """Remove what has been there for longer (``now`` in seconds since the epoch; 0 days: keep); returns how many."""
    removed = 0
    for folder, days in ((layout.done, done_days), (layout.failed, failed_days)):
        for path in _older(folder.iterdir(), now, days):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
            logs.get().info("file.expired", file=str(path), days=days)
            removed += 1
    for path in _older(layout.outbox.glob("*.json"), now, outbox_days):
        if path != layout.status and _is_result(path):
            # the JSON promises the ZIP: it goes first
            durable.remove(path)
            durable.remove(layout.published_zip(path.stem))
            logs.get().info("file.expired", file=str(path), days=outbox_days)
            removed += 1
    return removed


def _older(paths: Iterator[Path], now: float, days: float) -> list[Path]:
    if not days:
        return []
    return [path for path in paths if now - path.lstat().st_ctime > days * _DAY_SECONDS]


def _is_result(path: Path) -> bool:
    """Only our own files expire: the outbox is a folder of the share."""
    try:
        return bool(json.loads(path.read_bytes())["job"] == path.stem)
    except (OSError, ValueError, KeyError, TypeError):
        return False
