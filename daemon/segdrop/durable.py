"""Changes to files that survive a power cut, and the only place that makes them.

Every function here returns after the change is on disk: file contents are synced before a name points at
them, and the folder is synced after the name changed. Nothing else in the package calls ``fsync``,
``rename``, ``replace`` or ``link``, so this file is the list of all the points at which a crash can fall.

Residual risk: a folder sync that the filesystem does not offer (EINVAL on some network mounts) is skipped;
there, durability is what the server promises.
"""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

#: Errors of link(2) where the filesystem has no hard links (vfat, some CIFS and FUSE mounts), or Linux protects a file
#: of another user from them (proc(5), ``protected_hardlinks``).
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
#: Suffix of a file that is being written.
TEMPORARY_SUFFIX = ".tmp"
#: Suffix of a folder that is being removed.
REMOVED_SUFFIX = ".removed"


def sync_dir(path: Path) -> None:
    """Makes the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Makes the contents of a file durable that other code has written."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(path: Path) -> None:
    """Makes durable all that was written so far to the filesystem of a folder: one call for very many files.

    It waits for what other processes have written there, too (syncfs(2)). Other systems than Linux sync all disks.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if sys.platform != "linux":
            os.sync()
        elif ctypes.CDLL(None, use_errno=True).syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def make_dir(path: Path) -> None:
    """Makes a new folder. Raises ``FileExistsError`` if the name is taken."""
    path.mkdir()
    sync_dir(path.parent)


def ensure_dir(path: Path) -> None:
    """Makes a folder, and those above it, unless it is there."""
    if path.is_dir():
        return
    ensure_dir(path.parent)
    with contextlib.suppress(FileExistsError):
        make_dir(path)


def write(path: Path, writer: Callable[[BinaryIO], object]) -> None:
    """Replaces ``path`` by what ``writer`` writes: readers see the old contents or the new, never a part.

    The temporary name is fixed (``NAME.tmp``): each file has one writer, and what a crash leaves behind is
    overwritten by the next attempt instead of piling up.
    """
    temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
    with temporary.open("wb") as stream:
        writer(stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_dir(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    """Replaces ``path`` by ``content``."""
    write(path, lambda stream: stream.write(content))


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  (any JSON value)
    """Replaces ``path`` by ``value`` as JSON. Raises ``ValueError`` for NaN and infinity, which are not JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode("utf-8", "surrogateescape") + b"\n")


def replace_quickly(path: Path, content: bytes, temporary: Path | None = None, mode: int | None = None) -> None:
    """Replaces ``path`` in one step, without waiting for the disk.

    It is for what is only looked at while it is fresh (progress, the live board): readers never see a part, and a power
    cut may lose the newest state, which is then out of date anyway. The content is written to ``temporary`` first, on
    the same filesystem; by default beside ``path``. The file gets ``mode`` where the umask is not to decide.
    """
    temporary = temporary or path.with_name(path.name + TEMPORARY_SUFFIX)
    temporary.write_bytes(content)
    if mode is not None:
        temporary.chmod(mode)
    temporary.replace(path)


def move(source: Path, target: Path) -> None:
    """Renames a file or folder within the filesystem, and replaces a file that has the new name."""
    source.rename(target)
    sync_dir(target.parent)
    if source.parent != target.parent:
        sync_dir(source.parent)


def link(source: Path, target: Path, *, or_copy: bool = True) -> bool:
    """Makes a second name for a file. Raises ``FileExistsError`` if it is taken.

    Where a file can have no second name, ``target`` becomes a copy or, without ``or_copy``, is not made, and False is
    returned.
    """
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        if not or_copy:
            return False
        with target.open("xb") as copy, source.open("rb") as original:
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())
    sync_dir(target.parent)
    return True


def publish(source: Path, target: Path) -> None:
    """Gives a finished file its public name. Raises ``FileExistsError`` if it is taken: it never replaces one.

    ``link`` then ``unlink`` is the one no-replace rename that every local filesystem and NFS has. Where there
    are no hard links, the name is first reserved by exclusive creation and then renamed over: readers of such
    a share may see an empty file for that moment.
    """
    sync_file(source)
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        target.touch(exist_ok=False)
        source.replace(target)
    else:
        source.unlink()
    sync_dir(target.parent)
    sync_dir(source.parent)


def remove(path: Path) -> None:
    """Removes a file, if it is still there."""
    path.unlink(missing_ok=True)
    sync_dir(path.parent)


def remove_tree(path: Path) -> None:
    """Removes a folder and what is in it, if it is still there.

    It is renamed to a hidden name first, so that no reader meets a folder that is half removed.
    """
    is_doomed = path.name.endswith(REMOVED_SUFFIX)
    doomed = path if is_doomed else path.with_name(f".{path.name}{REMOVED_SUFFIX}")
    if doomed.exists():  # of an earlier removal that was cut off
        _remove_all(doomed)
    with contextlib.suppress(FileNotFoundError):
        path.rename(doomed)
        sync_dir(path.parent)
        _remove_all(doomed)
    sync_dir(path.parent)


def _remove_all(folder: Path) -> None:
    """Removes a folder as ``shutil.rmtree`` does, whose errors name a file without its folder."""
    try:
        shutil.rmtree(folder)
    except OSError as error:
        name = str(error.filename or "")
        raise OSError(error.errno, error.strerror, str(folder / name)) from error
