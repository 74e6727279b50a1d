"""Whether a child still gets on: its progress file, the deadlines, and the kernel's count of OOM kills."""

from dataclasses import dataclass
from pathlib import Path

from segdrop.execution.runner import Cause

_VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of progress: how the progress file looked, and since when (monotonic seconds) it has looked so."""

    path: Path | None
    since: float
    signature: tuple[int, int] | None = None

    def look(self, now: float) -> "Heartbeat":
        """Returns the heartbeat after another look at the file: the same one while nothing has changed."""
        if self.path is None:
            return self
        try:
            status = self.path.stat()
        except OSError:  # not there yet, or not to be seen: no sign
            return self
        signature = (status.st_ino, status.st_mtime_ns)
        return self if signature == self.signature else Heartbeat(self.path, now, signature)


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds without progress, and seconds in all, after which a child is ended; 0 means no limit."""

    stall_seconds: float
    max_seconds: float

    def passed(self, now: float, *, started_at: float, heartbeat: float) -> Cause | None:
        """Returns the cause to end a child for, if a deadline has passed; times are monotonic seconds."""
        if self.max_seconds and now - started_at > self.max_seconds:
            return Cause.TOO_LONG
        if self.stall_seconds and now - max(started_at, heartbeat) > self.stall_seconds:
            return Cause.STALLED
        return None


def oom_kills(vmstat: Path = _VMSTAT) -> int | None:
    """Returns how often the kernel has killed for want of memory since boot, in any cgroup; None where it does not say.

    A SIGKILL during which this number rose was the OOM killer's: nobody else leaves such a trace (proc(5), vmstat).
    """
    try:
        for line in vmstat.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except (OSError, ValueError):
        return None
    return None
