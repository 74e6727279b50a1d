"""Who waits after a fault that is not theirs, and until when. Memory that a restart may forget; pure but for the log.

Each time in a row is followed by twice the wait of the time before: a file that somebody has open for a second goes on
after a few, and one that is held for days costs nobody anything.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

FIRST_SECONDS = 5.0
_LONGEST_SECONDS = 600.0


def seconds_after(failures: int) -> float:
    """Returns how long to wait after so many failures in a row."""
    return min(FIRST_SECONDS * 2.0 ** (failures - 1), max(FIRST_SECONDS, _LONGEST_SECONDS))


@dataclass(frozen=True, slots=True)
class Delay:
    """The wait of one name: how often it failed, until when it waits, and why."""

    failures: int
    until: float  #: monotonic seconds
    reason: str


class Delays:
    """The jobs and files that wait after a fault that is not theirs, by name."""

    def __init__(self) -> None:
        self._delays: dict[str, Delay] = {}

    def put_off(self, name: str, now: float, reason: str) -> bool:
        """Lets a name wait, longer than the last time; returns whether the reason is a new one."""
        before = self._delays.get(name)
        failures = before.failures + 1 if before else 1
        self._delays[name] = Delay(failures, now + seconds_after(failures), reason)
        return before is None or before.reason != reason

    def is_due(self, name: str, now: float) -> bool:
        """Whether it does not have to wait any more."""
        delay = self._delays.get(name)
        return delay is None or delay.until <= now

    def reason(self, name: str) -> str:
        """Returns why a name waits, or last had to; empty if it never had to."""
        delay = self._delays.get(name)
        return delay.reason if delay else ""

    def forget(self, name: str) -> None:
        """Forgets the waits of a name that got on."""
        self._delays.pop(name, None)

    def keep_only(self, names: AbstractSet[str]) -> None:
        """Forgets all other names: they are gone."""
        for name in self._delays.keys() - names:
            del self._delays[name]

    def next_due(self, now: float) -> float | None:
        """Returns the seconds until the first name may go on; None if none waits."""
        waits = [delay.until - now for delay in self._delays.values() if delay.until > now]
        return min(waits, default=None)
