"""The queue's pause: while the environment or our own installation is at fault, nothing is taken and nobody charged."""

from dataclasses import dataclass

from segdrop import logs
from segdrop.codes import Code
from segdrop.environment import Fault
from segdrop.errors import InstallationError, UnavailableError
from segdrop.service import delays

INSTALLATION = "installation"
#: Faults of the environment are looked at again so often, at least.
_LONGEST_SECONDS = 60.0


@dataclass(slots=True)
class Pause:
    """The pause of the queue.

    It is said once for each code, and once when it is over; each try in vain is followed by a longer wait.
    """

    code: str = ""  #: empty when there is no pause
    message: str = ""
    until: float = 0.0  #: monotonic seconds
    stage: str = ""  #: of our installation: whose child cannot begin
    _failures: int = 0

    @property
    def reason(self) -> str:
        """The code and the message of the fault; empty where the queue does not pause."""
        return f"{self.code}: {self.message}" if self.code else ""

    def begin(self, now: float, error: OSError | UnavailableError | InstallationError) -> None:
        """Lets the queue pause for an error, or go on pausing."""
        code, message = _said(error)
        self._failures = self._failures + 1 if code == self.code else 1
        if code != self.code:
            logs.get().error(Code.DISK_LOW if code == Code.DISK_LOW else "queue.paused", code=code, reason=message)
        self.code, self.message = code, message
        self.stage = error.stage if isinstance(error, InstallationError) else ""
        self.until = now + min(delays.seconds_after(self._failures), max(delays.FIRST_SECONDS, _LONGEST_SECONDS))

    def end(self) -> None:
        """Takes note that a whole turn has passed: the environment is in order.

        It says nothing about our installation.
        """
        if self.code != INSTALLATION:
            self._clear()

    def begun(self, stage: str) -> None:
        """Takes note that a child of this stage has begun: so it can."""
        if self.code == INSTALLATION and stage == self.stage:
            self._clear()

    def _clear(self) -> None:
        if self.code:
            logs.get().info("queue.resumed", after=self.reason)
        self.code = self.message = self.stage = ""
        self._failures = 0


def _said(error: OSError | UnavailableError | InstallationError) -> tuple[str, str]:
    """The code and the message."""
    if isinstance(error, InstallationError):
        return INSTALLATION, f"the {error.stage} process cannot begin: {error}"
    if isinstance(error, UnavailableError):
        return error.code, str(error)
    fault = Fault.of(error)
    return fault.code, fault.message
