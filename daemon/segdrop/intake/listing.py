"""The names in a folder, sorted by what they are; read again only where they may have changed.

Files of no concern may lie in the inbox in thousands and for months. A folder's own times change whenever a name
comes, goes or is exchanged, so while they stand still the names of the last listing are still the names.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from segdrop.intake import names
from segdrop.intake.names import Kind

#: The coarsest clock of a filesystem that one finds behind a share (FAT): two changes may bear the same time.
_COARSEST_CLOCK_SECONDS = 2.0
#: Network mounts may show old times for a while, and some filesystems keep none: no listing is believed for longer.
_LONGEST_TRUST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Names:
    """What lies in the folder, each sorted: the order of a listing may change, and with it whose a sidecar is."""

    archives: list[str] = field(default_factory=list)
    sidecars: list[str] = field(default_factory=list)
    controls: list[str] = field(default_factory=list)
    bystanders: dict[str, str] = field(default_factory=dict)  #: name → why it is left alone


class Listing:
    """Lists one folder. The clock is the real one, whatever time its user decides by: it is held against the times
    of a real folder.
    """

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._names = Names()
        self._stamp: tuple[int, ...] = ()
        self._stamped_at = 0.0  #: when the folder's times were first seen as they are
        self._listed_at = -_LONGEST_TRUST_SECONDS

    def names(self) -> Names:
        """Every name; do not change it. OSError if the folder cannot be read."""
        status = self._folder.stat()
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        now = self._clock()
        if stamp != self._stamp:
            self._stamp, self._stamped_at = stamp, now
        elif self._is_current(now):
            return self._names
        self._names, self._listed_at = _read(self._folder), now
        return self._names

    def _is_current(self, now: float) -> bool:
        """A listing right after a change does not count: the next change might leave the same times."""
        settled = self._listed_at - self._stamped_at >= _COARSEST_CLOCK_SECONDS
        return settled and now - self._listed_at < _LONGEST_TRUST_SECONDS


def _read(folder: Path) -> Names:
    listed = Names()
    with os.scandir(folder) as entries:
        for entry in entries:
            reading = names.read(entry.name, is_file=entry.is_file(follow_symlinks=False))
            match reading.kind:
                case Kind.ARCHIVE:
                    listed.archives.append(entry.name)
                case Kind.SIDECAR:
                    listed.sidecars.append(entry.name)
                case Kind.CONTROL:
                    listed.controls.append(entry.name)
                case _:
                    listed.bystanders[entry.name] = reading.reason
    for found in (listed.archives, listed.sidecars, listed.controls):
        found.sort()
    return listed
