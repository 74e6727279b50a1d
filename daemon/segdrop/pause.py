"""The queue's pause: while the environment is at fault, nothing is taken and no job is charged."""

from dataclasses import dataclass

from segdrop import logs
from segdrop.errors import UnavailableError

#: before another try
_RETRY_SECONDS = 5.0


@dataclass(slots=True)
class Pause:
    """``reason`` is empty when there is none. Said once for each code, and once when it is over."""

    reason: str = ""
    until: float = 0.0  #: monotonic seconds

    def begin(self, now: float, error: OSError | UnavailableError) -> None:
        code = error.code if isinstance(error, UnavailableError) else "environment"
        reason = _reason(error)
        if code != self.reason.partition(":")[0]:
            logs.get().error("disk.low" if code == "disk.low" else "queue.paused", reason=reason)
        self.reason = f"{code}: {reason}"
        self.until = now + _RETRY_SECONDS

    def end(self) -> None:
        """A whole turn has passed."""
        if self.reason:
            logs.get().info("queue.resumed", after=self.reason)
            self.reason = ""


def _reason(error: OSError | UnavailableError) -> str:
    if not isinstance(error, OSError) or not error.strerror:
        return str(error)
    places = [str(path) for path in (error.filename, error.filename2) if path]  # two: from, to
    return ": ".join([error.strerror, " to ".join(places)] if places else [error.strerror])
