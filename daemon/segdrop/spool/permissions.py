"""Who may do what in a root, by the modes and groups of its folders: decisions. ``mending`` carries them out.

Who may write into ``inbox/`` says what kind of root it is. Where a group may, these are its people, and the root is
shared with them: they see ``outbox/`` and ``failed/``, and nothing else. Where only its owner may, it is one person's
own, and what others may read there is that person's business. ``work/``, ``done/`` and ``models/`` are closed in both.

A mode that is too wide is narrowed, and none is ever widened: nobody gets more than they have.

Residual risk: access lists (acl(5)) are not looked at. The mode's group bits are their mask, so that they too lose what
a mode takes away.
"""

import contextlib
import grp
import os
import pwd
import shlex
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from segdrop.spool.layout import RootLayout

#: Write permission of the group and of others.
WRITABLE_FOR_OTHERS = 0o022
_GROUP_WRITES = 0o020
_ANYBODY_WRITES = 0o002
PRIVATE = 0o700
PEOPLE_READ = 0o750
#: While nothing else is known: nothing for anybody.
CLOSED_UMASK = 0o077
#: New files in a shared root: for the group to read.
_SHARED_UMASK = 0o027


class Kind(Enum):
    """A kind of folder in a root, by what it is for."""

    PERSONAL = "personal"  #: only its owner drops files
    SHARED = "shared"  #: a group drops files
    OPEN = "open"  #: everybody does


@dataclass(frozen=True, slots=True)
class Entry:
    """The owner, group and mode of one file or folder. ``mode`` has the setuid, setgid and sticky bits too."""

    path: Path
    mode: int
    uid: int
    gid: int

    @classmethod
    def of(cls, path: Path) -> "Entry":
        """Returns the entry that a path leads to, links followed; raises OSError as stat(2) says."""
        status = path.stat()
        return cls(path, stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid)

    def describe(self) -> str:
        """Returns owner, group and mode in words, as in "segdrop:segdrop 2750"."""
        return f"{user_name(self.uid)}:{group_name(self.gid)} {self.mode:04o}"


@dataclass(frozen=True, slots=True)
class User:
    """A user as the kernel sees one when it decides about access.

    ``uid`` None stands for any user of these groups who owns nothing.
    """

    uid: int | None
    gids: frozenset[int]

    def may(self, wanted: int, mode: int, owner: int, group: int) -> bool:
        """Whether all of ``wanted`` (4 read, 2 write, 1 enter) is allowed by a file's mode, its owner and group."""
        if self.uid == 0:
            return True
        shift = 6 if owner == self.uid else 3 if group in self.gids else 0
        return mode >> shift & wanted == wanted


@dataclass(frozen=True, slots=True)
class Site:
    """A root as it is: its folders and itself, and their owners. The daemon is the user who owns ``work/``."""

    layout: RootLayout
    entries: tuple[Entry, ...]
    inbox: Entry
    daemon_uid: int
    daemon_gid: int  #: that user's own group
    daemon_gids: frozenset[int]  #: and the others

    @property
    def daemon(self) -> User:
        """The daemon's user."""
        return User(self.daemon_uid, self.daemon_gids)

    @property
    def people(self) -> User:
        """Those who drop files in a shared root."""
        return User(None, frozenset({self.inbox.gid}))

    @property
    def lets_people_in(self) -> bool:
        """Whether they may pass the root's own folder."""
        return any(_allows(self.people, entry, 0o1) for entry in self.entries if entry.path == self.layout.root)

    @property
    def kind(self) -> Kind:
        """Returns the kind of one of the folders."""
        if self.inbox.mode & _ANYBODY_WRITES:
            return Kind.OPEN
        return Kind.SHARED if self.inbox.mode & _GROUP_WRITES else Kind.PERSONAL

    @property
    def has_two_groups(self) -> bool:
        """Whether people have a group of their own, so that files for them need another group than the daemon's."""
        return self.kind is Kind.SHARED and self.inbox.gid != self.daemon_gid


@dataclass(frozen=True, slots=True)
class Deviation:
    """A folder or file that is not as it should be. ``command`` mends it, run by its owner or by root."""

    path: Path
    reason: str
    command: str


def site_of(layout: RootLayout) -> Site:
    """Returns the root as it is, less folders that are missing; raises OSError without ``inbox/`` or ``work/``."""
    inbox, work = Entry.of(layout.inbox), Entry.of(layout.work)
    others = [Entry.of(path) for path in (layout.root, *layout.folders) if path.exists()]
    # done/ is for nobody else in any root: its group is the daemon's own
    gid = primary_group(work.uid, next((entry.gid for entry in others if entry.path == layout.done), work.gid))
    return Site(layout, tuple(others), inbox, work.uid, gid, groups_of(work.uid, gid))


def primary_group(uid: int, otherwise: int) -> int:
    """Returns the group of what a user makes; ``otherwise`` for a user that the system does not know."""
    if uid == os.geteuid():
        return os.getegid()
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        return otherwise


def groups_of(uid: int, gid: int) -> frozenset[int]:
    """Returns every group of a user whose primary group is ``gid``."""
    if uid == os.geteuid():
        return frozenset({gid, *os.getgroups()})
    try:
        return frozenset(os.getgrouplist(pwd.getpwuid(uid).pw_name, gid))
    except KeyError:
        return frozenset({gid})


def inside(folder: Path) -> Iterator[tuple[Path, list[str], int]]:
    """Yields every folder below a folder, itself included: the names of the files and folders in it, and a descriptor
    of it.
    """
    with contextlib.suppress(OSError):
        for parent, folders, files, descriptor in os.fwalk(folder, follow_symlinks=False):
            yield Path(parent), folders + files, descriptor


def user_name(uid: int) -> str:
    """Returns the name of a user, or the number where the system knows no name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """Returns the name of a group, or the number where the system knows no name."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


def narrowed(site: Site, entry: Entry) -> int:
    """Returns the mode that a folder should have, with no more rights for any user than it gives now."""
    layout, mode = site.layout, entry.mode
    if entry.path == layout.inbox:
        return _narrowed_inbox(site, mode)
    if entry.path == layout.work:
        return mode & PRIVATE | (stat.S_ISGID if site.has_two_groups and entry.gid == site.inbox.gid else 0)
    if entry.path == layout.done:
        return mode & PRIVATE
    if entry.path == layout.models:
        return mode & (PRIVATE if entry.uid == site.daemon_uid else PEOPLE_READ)
    if entry.path == layout.root or site.kind is not Kind.SHARED:
        return mode & ~WRITABLE_FOR_OTHERS
    return mode & (stat.S_ISGID | PEOPLE_READ) | (stat.S_ISGID if site.has_two_groups else 0)


def _narrowed_inbox(site: Site, mode: int) -> int:
    """Sticky where many write: people remove only what is theirs. The owner of the folder removes anything, and that
    has to be the daemon. Setgid: what people drop gets the group by which the daemon reads it.
    """
    if site.kind is Kind.PERSONAL:
        return mode
    sticky = stat.S_ISVTX if site.inbox.uid == site.daemon_uid else mode & stat.S_ISVTX
    if site.kind is Kind.OPEN:
        return mode | sticky
    return mode & 0o770 | stat.S_ISGID | sticky


def new_inbox(site: Site) -> int:
    """The mode of an inbox that was just made: a group may write into it that the umask did not exclude, and that can
    get there; others never.
    """
    return site.inbox.mode & ~(_ANYBODY_WRITES if site.lets_people_in else WRITABLE_FOR_OTHERS)


def umask(layout: RootLayout, current: int) -> int:
    """Returns the umask for a daemon on this root: people can read what it makes, and no other user can write it."""
    shared = site_of(layout).kind is Kind.SHARED
    return _SHARED_UMASK if shared else current | WRITABLE_FOR_OTHERS


def deviations(site: Site) -> Iterator[Deviation]:
    """Returns everything about the folders that is wider than it should be, or too narrow to work."""
    for entry in site.entries:
        if entry.mode != (wanted := narrowed(site, entry)):
            yield _deviation(entry, wanted)
    if site.kind is Kind.OPEN:
        yield Deviation(
            site.inbox.path,
            "everybody on this machine may write into it: that is left as it is",
            f"segdrop init --people GROUP {shlex.quote(str(site.layout.root))}",
        )
    if site.kind is Kind.SHARED:
        yield from _too_narrow_for_people(site)
    yield from _too_narrow_for_the_daemon(site)


def _deviation(entry: Entry, wanted: int) -> Deviation:
    wide = entry.mode & ~wanted & 0o777
    reason = (
        f"mode {entry.mode:04o}: {_in_words(wide)}" if wide else f"mode {entry.mode:04o}: {_lacking(entry, wanted)}"
    )
    return Deviation(entry.path, reason, _chmod_command(entry.path, wanted))


def _in_words(wide: int) -> str:
    """Who may do too much, by the bits of a folder's mode."""
    who = {3: "its group", 0: "others"}
    acts = {0o2: "write", 0o4: "list", 0o1: "enter"}
    said = [f"{name} may {act}" for shift, name in who.items() for bit, act in acts.items() if wide >> shift & bit]
    return ", ".join(said) or "more than it needs"


def _lacking(entry: Entry, wanted: int) -> str:
    if wanted & ~entry.mode & stat.S_ISVTX:
        return "people may remove one another's files"
    if wanted & ~entry.mode & stat.S_ISGID:
        return "what is made in it does not get its group"
    return "more than it needs"


def _chmod_command(path: Path, mode: int) -> str:
    """With five digits: with four, GNU's chmod keeps the setgid bit of folders."""
    return f"chmod {mode:05o} {shlex.quote(str(path))}"


def _too_narrow_for_people(site: Site) -> Iterator[Deviation]:
    """What keeps the group of the inbox from reaching it, and from reading its results."""
    people = site.inbox.gid
    if not site.lets_people_in:
        command = f"chmod o+x {shlex.quote(str(site.layout.root))}"
        yield Deviation(site.layout.root, "people may not pass it", command)
    for entry in site.entries:
        results = entry.path in (site.layout.outbox, site.layout.failed)
        makes_results = entry.path == site.layout.work and site.has_two_groups
        if (results and not _allows(site.people, entry, 0o5)) or (makes_results and entry.gid != people):
            mode = 0o2700 if makes_results else 0o2750
            command = f"chgrp {group_name(people)} {shlex.quote(str(entry.path))} && {_chmod_command(entry.path, mode)}"
            yield Deviation(entry.path, f"group {group_name(people)} may drop files and not read results", command)


def _allows(user: User, entry: Entry, wanted: int) -> bool:
    return user.may(wanted, entry.mode, entry.uid, entry.gid)


def _too_narrow_for_the_daemon(site: Site) -> Iterator[Deviation]:
    """Folders that the daemon's user could not use, and a sticky inbox of somebody else, which it cannot empty."""
    for entry in site.entries:
        quoted = shlex.quote(str(entry.path))
        reads_only = entry.path in (site.layout.models, site.layout.root)
        if not _allows(site.daemon, entry, 0o5 if reads_only else 0o7):
            mend = "chmod u+rwx" if entry.uid == site.daemon_uid else f"chown {user_name(site.daemon_uid)}"
            yield Deviation(entry.path, f"{entry.describe()}: the daemon may not use it", f"{mend} {quoted}")
    if site.kind is Kind.SHARED and site.daemon_uid != 0 and site.inbox.gid not in site.daemon_gids:
        group, user = group_name(site.inbox.gid), user_name(site.daemon_uid)
        reason = f"the daemon's user is not in group {group} and may not read what its people drop"
        yield Deviation(site.inbox.path, reason, f"usermod -aG {group} {user}")
    if site.inbox.mode & stat.S_ISVTX and site.inbox.uid != site.daemon_uid:
        command = f"chown {user_name(site.daemon_uid)} {shlex.quote(str(site.inbox.path))}"
        yield Deviation(site.inbox.path, "sticky, and not the daemon's: it cannot take files out of it", command)
