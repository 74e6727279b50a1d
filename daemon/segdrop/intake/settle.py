"""Has a file arrived completely? Pure: identities and the time are given.

There is no event that means "finished": closed files are reopened, sizes are set before the data, copiers keep
old modification times. So a ZIP and its sidecar (or its absence) are one identity, which must stay unchanged on
a monotonic clock; how long depends on whether the ZIP looks complete.
"""

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's identity. Content or metadata that changes, changes it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int


class Ending(StrEnum):
    """What the first and last bytes of a file say."""

    COMPLETE = "complete"  #: a ZIP's end record that fits the file
    NOT_A_ZIP = "not_a_zip"  #: the first bytes cannot begin a ZIP
    INCOMPLETE = "incomplete"  #: may still be arriving: preallocated, stalled, cut off


@dataclass(frozen=True, slots=True)
class Observation:
    """A ZIP and its sidecar, unchanged since ``since`` (monotonic seconds)."""

    archive: Stamp
    sidecar: Stamp | None
    since: float


def observe(previous: Observation | None, archive: Stamp, sidecar: Stamp | None, now: float) -> Observation:
    """The observation after another look: the old one where nothing changed, else a new start."""
    if previous is not None and (previous.archive, previous.sidecar) == (archive, sidecar):
        return previous
    return Observation(archive, sidecar, now)


def remaining_seconds(
    observation: Observation,
    ending: Ending | None,
    now: float,
    *,
    settle_seconds: float,
    incomplete_seconds: float,
) -> float:
    """How much longer the file must stay unchanged; 0 or less: it has settled. ``ending`` None: not looked at yet."""
    needed = incomplete_seconds if ending is Ending.INCOMPLETE else settle_seconds
    return observation.since + needed - now
