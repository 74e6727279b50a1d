"""Who holds the root: looked up, and never by taking the lock, because a daemon that starts just then would be refused.

The kernel lists the locks that it has, in ``/proc/locks`` (proc(5)), with the inode and the PID of each; those of
processes in another PID namespace, or on another machine, are not in the list. The lock file therefore says in which
namespace of which running kernel its PID counts: an empty list proves something there only.
"""

import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from segdrop import regular_files
from segdrop.spool.layout import RootLayout

_LOCKS = Path("/proc/locks")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_PID_NAMESPACE = Path("/proc/self/ns/pid")
_MAX_BYTES = 200
#: of a line in /proc/locks: number, FLOCK, ADVISORY, WRITE, PID, device and inode, start, end
_FIELDS = 8


@dataclass(frozen=True, slots=True)
class Holder:
    """Whether a daemon holds the root. ``held`` None: it cannot be told from here, and ``reason`` says why."""

    held: bool | None
    pid: int | None = None
    reason: str = ""


def signature() -> str:
    """Returns what the daemon writes into the lock file: its PID, and on a second line where that PID counts."""
    return f"{os.getpid()}\n{_whereabouts()}\n"


def written_pid(content: str) -> str:
    """Returns the PID in the content of a lock file; empty if there is none."""
    return content.partition("\n")[0].strip()


def look(layout: RootLayout) -> Holder:
    """Returns whether the root is held, found out without a trace: nothing is locked, made or changed."""
    try:
        found = layout.daemon_lock.stat(follow_symlinks=False)
        content, problem = _content(layout.daemon_lock)
    except (FileNotFoundError, NotADirectoryError):
        return Holder(held=False)
    except OSError as error:
        return Holder(None, reason=f"work/ cannot be looked into: {error.strerror}")
    if (pid := _locked_by(found, written_pid(content))) is not None:
        return Holder(held=True, pid=pid)
    if problem:
        return Holder(None, reason=f"the daemon's lock cannot be read: {problem}")
    return _unlisted(content)


def _unlisted(content: str) -> Holder:
    """Returns what it means that the lock of a lock file is not listed."""
    if not written_pid(content):  # a daemon that ends empties the file
        return Holder(held=False)
    if content.partition("\n")[2].strip() == _whereabouts() and _sees_locks():
        return Holder(held=False)  # killed: here its lock would be listed
    return Holder(None, reason="the daemon's lock cannot be seen from here (another machine or container)")


def _content(path: Path) -> tuple[str, str]:
    """Returns the text of the lock file, or why it cannot be read; raises FileNotFoundError if it is gone."""
    try:
        with regular_files.open_binary(path) as stream:
            return stream.read(_MAX_BYTES).decode("ascii", "replace"), ""
    except FileNotFoundError:
        raise
    except OSError as error:
        return "", str(error.strerror)


def _whereabouts() -> str:
    """Returns the running kernel and the PID namespace; empty where there is no /proc."""
    try:
        return f"{_BOOT_ID.read_text(encoding='ascii').strip()} {_PID_NAMESPACE.readlink()}"
    except OSError:
        return ""


def _locked_by(lock: os.stat_result, written: str) -> int | None:
    """Returns the PID that has the file locked.

    Where a filesystem shows two device numbers (btrfs), the PID decides.
    """
    device = (os.major(lock.st_dev), os.minor(lock.st_dev))
    for pid, listed_device, inode in _locks():
        if inode == lock.st_ino and (listed_device == device or str(pid) == written):
            return pid
    return None


def _locks() -> Iterator[tuple[int, tuple[int, int], int]]:
    """PID, (major, minor) and inode of each exclusive lock by flock(2); processes that wait for one have an arrow."""
    try:
        lines = _LOCKS.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        fields = line.split()
        if len(fields) != _FIELDS or (fields[1], fields[3]) != ("FLOCK", "WRITE"):
            continue
        major, minor, inode = fields[5].split(":")
        yield int(fields[4]), (int(major, 16), int(minor, 16)), int(inode)


def _sees_locks() -> bool:
    """Whether a lock of our own is listed: some sandboxes have an empty list."""
    try:
        descriptor = os.memfd_create("segdrop-lock")
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        inode = os.fstat(descriptor).st_ino
        return any((pid, listed) == (os.getpid(), inode) for pid, _device, listed in _locks())
    finally:
        os.close(descriptor)
