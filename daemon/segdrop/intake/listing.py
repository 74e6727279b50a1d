"""The names in a folder, sorted by what they are; read again only where they may have changed.

Files of no concern may lie in the inbox in thousands and for months. A folder's own times change whenever a name comes,
goes or is exchanged, so while they stand still the names of the last listing are still the names.
"""

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from segdrop.intake import names, near_misses
from segdrop.intake.names import FileType, NameKind, Order

#: The coarsest clock of a filesystem that one finds behind a share (FAT): two changes may bear the same time.
_COARSEST_CLOCK_SECONDS = 2.0
#: Network mounts may show old times for a while, and some filesystems keep none: no listing is believed for longer.
_LONGEST_TRUST_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class ListedNames:
    """Tells what lies in the folder. Everything that follows from the names alone is here, worked out once a listing.

    ``archives`` and ``media`` are regular files, as far as the listing knew; ``requests`` may be anything under such a
    name, and inputs too.
    """

    archives: list[str] = field(default_factory=list)
    media: list[str] = field(default_factory=list)  #: images and videos
    requests: list[str] = field(default_factory=list)
    irregular: dict[str, FileType] = field(default_factory=dict)  #: requests that are no regular files
    orders: list[Order] = field(default_factory=list)
    bystanders: dict[str, str] = field(default_factory=dict)  #: name → why it is left alone
    of_no_concern: frozenset[str] = frozenset()  #: bystanders that are of no concern to people
    addressed: frozenset[str] = frozenset()  #: bystanders that were meant for us
    in_progress: dict[str, str] = field(default_factory=dict)  #: caseless name of a file → what is beside it meanwhile
    like_requests: dict[str, list[str]] = field(default_factory=dict)  #: core of a name → what looks meant for it


class FolderListing:
    """Lists one folder. The clock is the real one, because it is held against the times of a real folder."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.monotonic) -> None:
        self._folder = folder
        self._clock = clock
        self._types: dict[str, FileType] = {}
        self._names = ListedNames()
        self._stamp: tuple[int, ...] = ()
        self._stamped_at = 0.0  #: when the folder's times were first seen as they are
        self._listed_at = -_LONGEST_TRUST_SECONDS

    def names(self) -> ListedNames:
        """Returns every name; the caller must not change it. Raises OSError if the folder cannot be read."""
        status = self._folder.stat()
        stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
        now = self._clock()
        if stamp != self._stamp:
            self._stamp, self._stamped_at = stamp, now
        elif self._is_current(now):
            return self._names
        types, self._listed_at = _read(self._folder), now
        if types != self._types:
            self._types, self._names = types, sort(types)
        return self._names

    def _is_current(self, now: float) -> bool:
        """Whether the last listing still holds.

        One right after a change does not count: the next change might leave the same times.
        """
        settled = self._listed_at - self._stamped_at >= _COARSEST_CLOCK_SECONDS
        return settled and now - self._listed_at < _LONGEST_TRUST_SECONDS


def _read(folder: Path) -> dict[str, FileType]:
    """Returns every name with the type of what lies under it; what goes meanwhile is left out."""
    found = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            with contextlib.suppress(FileNotFoundError):
                found[entry.name] = _type_of(entry)
    return found


def _type_of(entry: "os.DirEntry[str]") -> FileType:
    """Returns the type of an entry as the listing itself says it, where it can.

    Another look at each of ten thousand files would take long. Raises FileNotFoundError for what is gone meanwhile.
    """
    try:
        known = _known_type(entry)
        return names.file_type(entry.stat(follow_symlinks=False).st_mode) if known is None else known
    except FileNotFoundError:
        raise
    except OSError:  # of this one file: a damaged entry, a server that has lost it
        return FileType.UNKNOWN


def _known_type(entry: "os.DirEntry[str]") -> FileType | None:
    if entry.is_file(follow_symlinks=False):
        return FileType.REGULAR
    if entry.is_symlink():
        return FileType.LINK
    if entry.is_dir(follow_symlinks=False):
        return FileType.FOLDER
    return None


def sort(types: Mapping[str, FileType]) -> ListedNames:
    """Returns what each name is. Pure.

    Names are sorted, because the order of a listing may change.
    """
    readings = {name: names.read(name, types[name]) for name in sorted(types)}
    by_kind: defaultdict[NameKind, list[str]] = defaultdict(list)
    for name, reading in readings.items():
        by_kind[reading.kind].append(name)
    taken = (NameKind.ARCHIVE, NameKind.MEDIA)
    requests = by_kind[NameKind.SIDECAR]
    return ListedNames(
        archives=by_kind[NameKind.ARCHIVE],
        media=by_kind[NameKind.MEDIA],
        requests=requests,
        irregular={name: types[name] for name in requests if types[name] is not FileType.REGULAR},
        orders=[order for name in by_kind[NameKind.CONTROL] if (order := names.order(name))],
        bystanders={
            name: readings[name].reason
            for kind in (
                NameKind.ADDRESSED,
                NameKind.OTHER,
                NameKind.IGNORED,
            )  # a board that is full shows the first ones
            for name in by_kind[kind]
        },
        of_no_concern=frozenset(by_kind[NameKind.IGNORED]),
        addressed=frozenset(by_kind[NameKind.ADDRESSED]),
        in_progress={
            names.caseless(whole): name
            for name in by_kind[NameKind.IGNORED]
            if (whole := names.whole_of(name)) is not None
        },
        like_requests=_like_requests(name for name in readings if readings[name].kind not in taken),
    )


def _like_requests(candidates: Iterable[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in candidates:
        if (core := near_misses.meant_for(name)) is not None:
            found[core].append(name)
    return dict(found)
