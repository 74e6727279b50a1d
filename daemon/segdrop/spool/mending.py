"""Modes and groups of a root, changed: what is too wide is taken away, or all of it set as the operator asks.

Decisions are in ``permissions``. Files are changed by their descriptors, and below the folders no link is followed:
who runs this may be root, in folders that belong to others.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from segdrop.spool.layout import RootLayout
from segdrop.spool.permissions import (
    PEOPLE_READ,
    PRIVATE,
    WRITABLE_FOR_OTHERS,
    Deviation,
    Entry,
    Site,
    deviations,
    group_name,
    inside,
    narrowed,
    new_inbox,
    site_of,
    user_name,
)

_SENTINEL_MODE = 0o644
_ROOT_MODE = 0o755
_INBOX_MODE = stat.S_ISGID | stat.S_ISVTX | 0o770
#: What files and folders in a folder get beside its group: read, list and enter, and the setgid bit.
_FOR_PEOPLE = stat.S_ISGID | 0o050
_FOR_CHANGES = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
MODES_NOT_KEPT = "this filesystem does not keep modes: the options of its mount say who may do what"


@dataclass(frozen=True, slots=True)
class Change:
    """A mode or owner that was mended. ``count`` is the number of files, where it was more than the one at ``path``."""

    path: Path
    before: str
    after: str
    count: int = 1


@dataclass(slots=True)
class Mended:
    """All changes that were made, and the deviations that are left."""

    changes: list[Change] = field(default_factory=list)
    refused: list[Deviation] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Owners:
    """The owners of a shared root: the daemon's user, its group, and the people's group (the same one, or another)."""

    uid: int
    gid: int
    people_gid: int


def mend(layout: RootLayout) -> Mended:
    """Takes away the rights that are too wide, as far as the process may.

    What it may not take, and what is too narrow, is in the answer.
    """
    site, mended = site_of(layout), Mended()
    for entry in site.entries:
        _narrow_contents(site, entry, mended)  # first: the folder's mode says that this is still to be done
        wanted = narrowed(site, entry)
        if entry.mode != wanted and not _narrow(site, entry, wanted, mended):
            mended.refused.append(_modes_not_kept(layout))
            return mended
    mended.refused += deviations(site_of(layout))
    return mended


def close(made: Iterable[Path], layout: RootLayout) -> None:
    """Gives folders and the sentinel, just made, the modes that :func:`mend` would give."""
    for path in made:
        _adopt(path, layout.root)
    site, unsaid = site_of(layout), Mended()
    if layout.inbox in made and site.inbox.mode != (wanted := new_inbox(site)):
        _narrow(site, site.inbox, wanted, unsaid)
        site = site_of(layout)
    for entry in site.entries:
        if entry.path in made and entry.mode != (wanted := narrowed(site, entry)):
            _narrow(site, entry, wanted, unsaid)
    if layout.sentinel in made:
        _narrow_files(site, [layout.sentinel])


def _adopt(path: Path, root: Path) -> None:
    """What root makes in somebody's root is that somebody's: else the daemon could not use it."""
    owner = root.stat()
    if os.geteuid() == 0 and owner.st_uid != 0:
        with contextlib.suppress(OSError):  # not given away: a share, on which root is nobody
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def share(layout: RootLayout, owners: Owners) -> Mended:
    """Gives the root to a daemon's user and a group of people, modes and all; raises OSError where that is refused."""
    mended = Mended()
    for path, uid, gid, mode in _shared(layout, owners):
        if path in (layout.work, layout.outbox, layout.failed):
            _regroup(path, uid, owners.people_gid, _FOR_PEOPLE, mended)
        if path == layout.done:
            _regroup(path, uid, gid, 0, mended)
        before = Entry.of(path)
        after = _set(path, uid, gid, mode)
        if after.mode != mode:
            mended.refused.append(_modes_not_kept(layout))
            return mended
        if after != before:
            mended.changes.append(Change(path, before.describe(), after.describe()))
    return mended


def _shared(layout: RootLayout, owners: Owners) -> Iterator[tuple[Path, int, int, int]]:
    """Whose each folder of a shared root is, and its mode: path, user, group, mode."""
    daemon, own, people = owners.uid, owners.gid, owners.people_gid
    yield layout.sentinel, daemon, own, _SENTINEL_MODE
    yield layout.done, daemon, own, PRIVATE
    if people == own:
        yield layout.work, daemon, own, PRIVATE
        yield layout.models, daemon, own, PRIVATE
    else:
        # what the daemon makes there has the people's group already when it is moved to where they read it
        yield layout.work, daemon, people, stat.S_ISGID | PRIVATE
        # the operator's; somebody who shares a root of their own is both
        is_root = os.geteuid() == 0
        yield layout.models, 0 if is_root else daemon, own, PEOPLE_READ if is_root else PRIVATE
    for folder in (layout.outbox, layout.failed):
        yield folder, daemon, people, stat.S_ISGID | PEOPLE_READ
    yield layout.inbox, daemon, people, _INBOX_MODE
    yield layout.root, daemon, people, _ROOT_MODE


def _modes_not_kept(layout: RootLayout) -> Deviation:
    return Deviation(layout.root, MODES_NOT_KEPT, "mount -o remount,uid=USER,gid=GROUP,umask=MASK (mount(8))")


def _narrow(site: Site, entry: Entry, wanted: int, mended: Mended) -> bool:
    """Change one mode, or what may be changed of it. False: the filesystem took the call and kept the mode."""
    modes = [wanted]
    if wanted & stat.S_ISGID and entry.path != site.inbox.path and not site.has_two_groups:
        modes.append(wanted & ~stat.S_ISGID)  # a service may be forbidden to set it, and here nobody needs it
    for mode in modes:
        try:
            after = _chmod(entry, mode)
        except OSError:
            continue
        if after == entry.mode:
            return False
        mended.changes.append(Change(entry.path, f"{entry.mode:04o}", f"{after:04o}"))
        return True
    return True


def _chmod(entry: Entry, mode: int) -> int:
    """Change a mode; returns what it is then. ``OSError`` where it may not be, or not in full.

    The kernel drops the setgid bit without a word where the caller is not in the folder's group (chmod(2)).
    """
    if mode & stat.S_ISGID and os.geteuid() != 0 and entry.gid not in (os.getegid(), *os.getgroups()):
        raise PermissionError(errno.EPERM, f"not in group {entry.gid}", str(entry.path))
    # root follows no link: it could lead anywhere
    descriptor = os.open(entry.path, _FOR_CHANGES | (os.O_NOFOLLOW if os.geteuid() == 0 else 0))
    try:
        os.fchmod(descriptor, mode)
        return stat.S_IMODE(os.fstat(descriptor).st_mode)
    finally:
        os.close(descriptor)


def _set(path: Path, uid: int, gid: int, mode: int) -> Entry:
    """Change owner, group and mode, the mode last: a change of owner drops bits of it (chown(2))."""
    descriptor = os.open(path, _FOR_CHANGES | os.O_NOFOLLOW)
    try:
        status = os.fstat(descriptor)
        if (status.st_uid, status.st_gid) != (uid, gid):
            os.fchown(descriptor, uid, gid)
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)
    return Entry.of(path)


def _narrow_contents(site: Site, folder: Entry, mended: Mended) -> None:
    """Close the daemon's own files, where people could write into their folder and so may into them: once, because
    nothing of that kind comes into a folder that is closed.
    """
    if folder.path == site.layout.root:
        changed = _narrow_files(site, [site.layout.sentinel])
    elif folder.path in (site.layout.inbox, site.layout.done) or not folder.mode & WRITABLE_FOR_OTHERS:
        return
    else:
        changed = sum(_narrow_files(site, names, at) for _, names, at in inside(folder.path))
    if changed:
        place = folder.path / "*" if folder.path != site.layout.root else site.layout.sentinel
        mended.changes.append(Change(place, "writable for others", "not writable for others", changed))


def _narrow_files(site: Site, names: Iterable[str | Path], at: int | None = None) -> int:
    """How many were changed; those of other users are theirs."""
    changed = 0
    for name in names:
        with contextlib.suppress(OSError), _opened_own(name, at, {site.daemon_uid}) as (descriptor, status):
            if status.st_mode & WRITABLE_FOR_OTHERS:
                _take_away(descriptor, stat.S_IMODE(status.st_mode))
                changed += 1
    return changed


def _take_away(descriptor: int, mode: int) -> None:
    """Write permission for others; the setgid bit too, where that is what it takes: a service may not set it."""
    try:
        os.fchmod(descriptor, mode & ~WRITABLE_FOR_OTHERS)
    except PermissionError:
        os.fchmod(descriptor, mode & ~WRITABLE_FOR_OTHERS & ~stat.S_ISGID)


def _regroup(folder: Path, uid: int, gid: int, given: int, mended: Mended) -> None:
    """What the daemon has made so far is of the same user and for the same people as what it makes from now on."""
    previous = {folder.stat().st_uid, uid}
    changed = 0
    for _, names, at in inside(folder):
        for name in names:
            with contextlib.suppress(OSError), _opened_own(name, at, previous) as (descriptor, status):
                changed += _give(descriptor, status, uid, gid, given)
    if changed:
        whose = f"for {group_name(gid)}" if given else "private"
        mended.changes.append(Change(folder / "*", "as it was", f"{user_name(uid)}'s, {whose}", changed))


def _give(descriptor: int, status: os.stat_result, uid: int, gid: int, given: int) -> bool:
    """Set owner and group, and let the group read (``given``); whether that changed anything."""
    before = stat.S_IMODE(status.st_mode)
    is_folder = stat.S_ISDIR(status.st_mode)
    mode = before & ~WRITABLE_FOR_OTHERS | (given & 0o2050 if is_folder else given & 0o040)
    if (status.st_uid, status.st_gid, before) == (uid, gid, mode):
        return False
    os.fchown(descriptor, uid, gid)
    os.fchmod(descriptor, mode)
    return True


@contextlib.contextmanager
def _opened_own(name: str | Path, at: int | None, owners: set[int]) -> Iterator[tuple[int, os.stat_result]]:
    """Open a file or folder of one of these users, to change it; ``OSError`` for any other, for links and pipes.

    A file with a second name is left alone by root: the other name could be one that only its maker sees.
    """
    if stat.S_IFMT(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode) not in (stat.S_IFREG, stat.S_IFDIR):
        raise PermissionError(errno.EPERM, "no file or folder", str(name))
    descriptor = os.open(name, _FOR_CHANGES | os.O_NOFOLLOW, dir_fd=at)
    try:
        status = os.fstat(descriptor)
        linked = stat.S_ISREG(status.st_mode) and status.st_nlink > 1
        if status.st_uid not in owners or (linked and os.geteuid() == 0):
            raise PermissionError(errno.EPERM, "not the daemon's own", str(name))
        yield descriptor, status
    finally:
        os.close(descriptor)
