"""Copies of kept inputs, for retries where an input cannot have a second name.

Some filesystems have no hard links (vfat, many CIFS mounts), and Linux refuses them on files of others that one may not
write (proc(5), ``protected_hardlinks``), such as inputs that people have dropped. A link takes no time. A copy may take
hours, so a thread makes it: the loop asks again with each scan, and goes on with everything else meanwhile. A thread
and not a child, because nothing in a copy is untrusted, and it holds no state: what it has written is worth nothing
before it is whole, and recovery drops it.
"""

import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from segdrop import durable, regular_files
from segdrop.errors import StoppedError
from segdrop.spool.layout import RootLayout
from segdrop.spool.space import free_bytes

_BLOCK_BYTES = 1 << 20
#: A copy ends with the block at hand; a share that does not answer must not hold a daemon that is to stop.
_END_SECONDS = 2.0


class Copies:
    """Makes copies for retries, one at a time; names are those of the jobs that are retried."""

    def __init__(
        self,
        layout: RootLayout,
        reserve_bytes: int = 0,
        opened: Callable[[Path], BinaryIO] = regular_files.open_binary,
    ) -> None:
        """``reserve_bytes`` must be free beside a copy. ``opened`` opens its source."""
        self._layout = layout
        self._reserve_bytes = reserve_bytes
        self._opened = opened
        self._copy: _Copy | None = None
        self._reasons: dict[str, str] = {}  #: why there is no copy yet, of everything that was asked for

    @property
    def busy(self) -> bool:
        """Whether a copy is under way, or done and not fetched yet."""
        return self._copy is not None and not self._copy.is_stopped

    def reason(self, name: str) -> str | None:
        """Returns why there is no copy of that name yet, or None if none was asked for."""
        return self._reasons.get(name)

    def fetch(self, name: str, source: Path) -> Path | None:
        """Returns a whole and durable file with the source's contents, to be moved away, or None while it is not there
        yet.

        Raises OSError where the copy failed; asked for again, it is begun anew.
        """
        target = self._layout.copies / f"{name}.zip"
        self._reasons[name] = "its input is being copied"
        self._forget_stopped()
        if self._copy is None:
            if target.exists():
                return target
            self._begin(name, source, target)
            return None
        if self._copy.name != name or self._copy.is_alive() or self._copy.is_stopped:
            return None
        done, self._copy = self._copy, None
        done.raise_if_failed()
        return target

    def forget(self, name: str) -> None:
        """Note that the copy was taken away."""
        self._reasons.pop(name, None)

    def keep(self, names: list[str]) -> None:
        """End the copy for a retry that is not asked for any more. Does not wait for it."""
        self._reasons = {name: reason for name, reason in self._reasons.items() if name in names}
        if self._copy is not None and self._copy.name not in names:
            self._copy.stop()
        self._forget_stopped()

    def end(self) -> None:
        """End the copy that is under way; what it has written is removed, at the latest by the next start."""
        if self._copy is not None:
            self._copy.stop()
            self._copy.join(_END_SECONDS)
        self._forget_stopped()

    def _forget_stopped(self) -> None:
        """Forget a stopped copy once its thread has ended: there must not be two that write the same file."""
        if self._copy is not None and self._copy.is_stopped and not self._copy.is_alive():
            self._copy = None

    def _begin(self, name: str, source: Path, target: Path) -> None:
        """Begin a copy, if there is space for it."""
        lacking = source.stat().st_size + self._reserve_bytes - free_bytes(self._layout)
        if lacking > 0:
            self._reasons[name] = f"waits for disk space: {lacking} bytes more must be free to copy its input"
            return
        durable.ensure_dir(self._layout.copies)
        self._copy = _Copy(name, source, target, self._opened)
        self._copy.start()


class _Copy(threading.Thread):
    """One copy, made by a daemon thread: a process that has to end does not wait for it."""

    def __init__(self, name: str, source: Path, target: Path, opened: Callable[[Path], BinaryIO]) -> None:
        super().__init__(name=name, daemon=True)
        self._source = source
        self._target = target
        self._opened = opened
        self._stopped = threading.Event()
        self._failure: Exception | None = None

    def run(self) -> None:
        """Copy, and keep what went wrong."""
        try:
            with self._opened(self._source) as source:
                durable.write(self._target, lambda target: self._write(source, target))
        except Exception as error:  # noqa: BLE001  (of a thread: it is raised where the copy is asked for)
            self._failure = error
            self._remove(self._target.with_name(self._target.name + durable.TEMPORARY_SUFFIX))
        if self.is_stopped:
            self._remove(self._target)

    def _write(self, source: BinaryIO, target: BinaryIO) -> None:
        while block := source.read(_BLOCK_BYTES):
            if self.is_stopped:
                raise StoppedError
            target.write(block)

    def _remove(self, path: Path) -> None:
        with suppress(OSError):  # what is left is dropped by recovery
            path.unlink(missing_ok=True)

    @property
    def is_stopped(self) -> bool:
        """Whether it was asked to end before it was done."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """Ask it to end with the block at hand, and to remove what it has written."""
        self._stopped.set()

    def raise_if_failed(self) -> None:
        """Raises the error that ended the copy, if one did."""
        if self._failure is not None:
            raise self._failure
