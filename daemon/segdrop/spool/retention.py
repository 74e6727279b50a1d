"""Delete what is older than the operator wants to keep. Off by default."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from segdrop import durable, logs
from segdrop.environment import Fault
from segdrop.spool.layout import RootLayout

_DAY_SECONDS = 86_400
_LOOK_SECONDS = 3600.0


@dataclass(slots=True)
class Schedule:
    """Looks each hour for what has expired; all times are seconds."""

    _next: float = 0.0
    _offset: float | None = None  #: of the wall clock, to the monotonic one

    def due(self, now: float, wall: float) -> bool:
        """Whether it is time to look; if so, the next look is an hour later."""
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
    """Removes what has been there for longer than the days allow (``now`` is seconds since the epoch; 0 days: keep),
    and returns how many were removed.
    """
    removed = 0
    for folder, days in ((layout.done, done_days), (layout.failed, failed_days)):
        for path in _older(folder.iterdir(), now, days):
            removed += _expired(path, days, _remove_input)
    for path in _older(layout.outbox.glob("*.json"), now, outbox_days):
        if path != layout.status and _is_result(path):
            removed += _expired(path, outbox_days, partial(_remove_result, layout))
    return removed


def _expired(path: Path, days: float, remove: Callable[[Path], None]) -> bool:
    """Whether it could be removed. What cannot be (it is somebody else's) stays, is told, and stops nothing else."""
    try:
        remove(path)
    except OSError as error:
        logs.get().warning("file.kept", file=str(path), days=days, reason=Fault.of(error).message)
        return False
    logs.get().info("file.expired", file=str(path), days=days)
    return True


def _remove_input(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _remove_result(layout: RootLayout, path: Path) -> None:
    """The JSON promises the ZIP: it goes first."""
    durable.remove(path)
    durable.remove(layout.published_zip(path.stem))


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
