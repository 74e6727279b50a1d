"""Is a child still getting on? Pure but for two small readings: its progress file and the kernel's OOM counter."""

from dataclasses import dataclass
from pathlib import Path

_VMSTAT = Path("/proc/vmstat")


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The last sign of progress: what the file looked like, and when (monotonic) it was first seen so."""

    signature: tuple[int, int] | None
    since: float

    def look(self, progress_path: Path, now: float) -> "Heartbeat":
        """Another look; the same object while nothing has changed."""
        try:
            status = progress_path.stat()
        except FileNotFoundError:
            return self
        signature = (status.st_ino, status.st_mtime_ns)
        return self if signature == self.signature else Heartbeat(signature, now)


def overdue(
    now: float, *, started_at: float, heartbeat: Heartbeat, stall_seconds: float, max_seconds: float
) -> str | None:
    """The code of the deadline that has passed, if one has. ``max_seconds`` 0: none."""
    if max_seconds and now - started_at > max_seconds:
        return "train.too_long"
    if now - max(started_at, heartbeat.since) > stall_seconds:
        return "train.stalled"
    return None


def oom_kills(vmstat: Path = _VMSTAT) -> int | None:
    """How often the kernel has killed for want of memory since boot, in any cgroup; None where it does not say.

    A SIGKILL during which this number rose was the OOM killer's: nobody else leaves such a trace.
    """
    try:
        for line in vmstat.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(" ")
            if name == "oom_kill":
                return int(value)
    except (OSError, ValueError):
        return None
    return None
