"""What wakes the service before its time is up: file events, signals, a child's end.

Events are hints. Overflow is dropped silently by every library, network mounts send none, an observer can die while its
process lives: each of these costs latency here, and never a file, because the scan is the truth.
"""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

from watchdog.events import FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from segdrop import logs


class Wakeup:
    """A sleep that can be ended by another thread, or by a signal handler (a pipe is safe in both)."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self.stop_requested = False

    def wake(self) -> None:
        """End the sleep, or the next one."""
        with contextlib.suppress(BlockingIOError):  # a full pipe wakes as well
            os.write(self._write, b"w")

    def wait(self, seconds: float) -> bool:
        """Sleep for so many seconds at most; returns True if woken early."""
        ready, _, _ = select.select([self._read], [], [], max(0.0, seconds))
        with contextlib.suppress(BlockingIOError):
            while os.read(self._read, 4096):
                pass
        return bool(ready)

    def request_stop(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Ask for a stop, and wake. It can be installed as a signal handler."""
        self.stop_requested = True
        self.wake()

    @contextlib.contextmanager
    def on_signals(self) -> Iterator[None]:
        """Let SIGTERM and SIGINT ask for a stop, and SIGCHLD wake; the old handlers come back afterwards."""
        handlers = {
            signal.SIGTERM: self.request_stop,
            signal.SIGINT: self.request_stop,
            signal.SIGCHLD: lambda _signal, _frame: self.wake(),
        }
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Waker(FileSystemEventHandler):
    """Wakes at every event that is not of our own reading."""

    def __init__(self, wakeup: Wakeup) -> None:
        self._wakeup = wakeup

    def on_any_event(self, event: FileSystemEvent) -> None:
        if event.event_type not in ("opened", "closed_no_write"):  # our own reading causes these
            self._wakeup.wake()


@contextlib.contextmanager
def watching(folder: Path, wakeup: Wakeup) -> Iterator[None]:
    """Let changes in ``folder`` wake; where that is not possible, log it once and go on with scans alone."""
    observer = Observer()
    try:
        observer.schedule(_Waker(wakeup), str(folder), recursive=False)
        observer.start()
    except OSError as error:  # inotify limits reached, or a filesystem without events
        logs.get().warning("inbox.watch_unavailable", reason=str(error), effect="files are noticed by scans only")
        yield
        return
    try:
        yield
    finally:
        observer.stop()
        observer.join()
