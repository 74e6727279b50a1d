"""Whether a file has arrived completely. Pure: identities and the time are given.

There is no event that means "finished": closed files are reopened, sizes are set before the data, copiers keep old
modification times. So a ZIP and its sidecar (or its absence) are one identity, which must stay unchanged on a monotonic
clock; how long depends on whether the file looks complete. What is said here of a ZIP holds for every input.
"""

import os
from dataclasses import dataclass
from enum import StrEnum

from segdrop.spool.job import FileIdentity


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file's identity. Content or metadata that changes, changes it."""

    device: int
    inode: int
    size: int
    mtime_ns: int
    ctime_ns: int
    uid: int | None = None  #: of the owner; where it is the inbox that files lie in, of the user who dropped it

    @property
    def identity(self) -> FileIdentity:
        """The part that a rename leaves the same."""
        return FileIdentity(device=self.device, inode=self.inode, size=self.size, mtime_ns=self.mtime_ns)


def stamp_of(status: os.stat_result) -> Stamp:
    """Returns the stamp of a file by its status."""
    return Stamp(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_uid)


class FileEnding(StrEnum):
    """Tells what the first and last bytes of a file say."""

    COMPLETE = "complete"  #: the end of its format is there: of a ZIP, an end record that fits the file
    NOT_A_ZIP = "not_a_zip"  #: the first bytes cannot begin a ZIP
    INCOMPLETE = "incomplete"  #: may still be arriving: preallocated, stalled, cut off
    GAPS = "gaps"  #: both ends are there, and nothing where members should be: downloaded in several parts


@dataclass(frozen=True, slots=True)
class Observation:
    """A ZIP and its sidecar, unchanged since ``since`` (monotonic seconds).

    ``progress`` is the file beside one of them that a downloader keeps for as long as it is at work.
    """

    archive: Stamp
    sidecar: Stamp | None
    since: float
    progress: Stamp | None = None


def observe(
    previous: Observation | None, archive: Stamp, sidecar: Stamp | None, now: float, progress: Stamp | None = None
) -> Observation:
    """Returns the observation after another look: the old one where nothing changed, else a new start."""
    if previous is not None and (previous.archive, previous.sidecar, previous.progress) == (archive, sidecar, progress):
        return previous
    return Observation(archive, sidecar, now, progress)


def remaining_seconds(
    observation: Observation,
    ending: FileEnding | None,
    now: float,
    *,
    settle_seconds: float,
    incomplete_seconds: float,
) -> float:
    """Returns how much longer the file must stay unchanged in seconds; at 0 or less, it has settled.

    ``ending`` is None as long as the ends of the file were not looked at.
    """
    arriving = ending in (FileEnding.INCOMPLETE, FileEnding.GAPS) or (
        ending is not None and observation.progress is not None
    )
    needed = incomplete_seconds if arriving else settle_seconds
    return observation.since + needed - now
