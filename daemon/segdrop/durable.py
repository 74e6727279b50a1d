"""Changes to files that survive a power cut, and the only place that makes them.

Every function here returns after the change is on disk: file contents are synced before a name points at
them, and the folder is synced after the name changed. Nothing else in the package calls ``fsync``,
``rename``, ``replace`` or ``link``, so this file is the list of all the points at which a crash can fall.

Residual risk: a folder sync that the filesystem does not offer (EINVAL on some network mounts) is skipped;
there, durability is what the server promises.
"""

import contextlib
import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

#: What link(2) answers where the filesystem has no hard links (vfat, some CIFS and FUSE mounts).
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL})
_TEMPORARY_SUFFIX = ".tmp"
#: of a folder that is being removed
REMOVED_SUFFIX = ".removed"


def sync_dir(path: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the contents of a file, written by somebody else, durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def make_dir(path: Path) -> None:
    """Make a new folder; ``FileExistsError`` if the name is taken."""
    path.mkdir()
    sync_dir(path.parent)


def ensure_dir(path: Path) -> None:
    """Make a folder, and those above it, unless it is there."""
    if path.is_dir():
        return
    ensure_dir(path.parent)
    with contextlib.suppress(FileExistsError):
        make_dir(path)


def write(path: Path, writer: Callable[[BinaryIO], object]) -> None:
    """Replace ``path`` by what ``writer`` writes: readers see the old contents or the new, never a part.

    The temporary name is fixed (``NAME.tmp``): each file has one writer, and what a crash leaves behind is
    overwritten by the next attempt instead of piling up.
    """
    temporary = path.with_name(path.name + _TEMPORARY_SUFFIX)
    with temporary.open("wb") as stream:
        writer(stream)
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(path)
    sync_dir(path.parent)


def write_bytes(path: Path, content: bytes) -> None:
    write(path, lambda stream: stream.write(content))


def write_json(path: Path, value: Any) -> None:  # noqa: ANN401  (any JSON value)
    """Replace ``path`` by ``value`` as JSON. NaN and infinity are refused: they are not JSON."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, text.encode("utf-8", "surrogateescape") + b"\n")


def replace_quickly(path: Path, content: bytes, temporary: Path | None = None) -> None:
    """Replace ``path`` in one step, without waiting for the disk.

    For what is only looked at while it is fresh (progress, the live board): readers never see a part, and a
    power cut may lose the newest state, which is then out of date anyway. ``temporary`` is where the content is
    written first, on the same filesystem; by default beside ``path``.
    """
    temporary = temporary or path.with_name(path.name + _TEMPORARY_SUFFIX)
    temporary.write_bytes(content)
    temporary.replace(path)


def move(source: Path, target: Path) -> None:
    """Rename a file or folder within the filesystem, replacing a file that has the new name."""
    source.rename(target)
    sync_dir(target.parent)
    if source.parent != target.parent:
        sync_dir(source.parent)


def link(source: Path, target: Path) -> None:
    """A second name for a file, or a copy where there are no hard links; ``FileExistsError`` if it is taken."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS:
            raise
        with target.open("xb") as copy, source.open("rb") as original:
            shutil.copyfileobj(original, copy)
            copy.flush()
            os.fsync(copy.fileno())
    sync_dir(target.parent)


def publish(source: Path, target: Path) -> None:
    """Give a finished file its public name, never replacing one: ``FileExistsError`` if it is taken.

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
    """Remove a file; fine if it is gone already."""
    path.unlink(missing_ok=True)
    sync_dir(path.parent)


def remove_tree(path: Path) -> None:
    """Remove a folder and what is in it; fine if it is gone already.

    It is renamed to a hidden name first, so that nobody meets a folder that is half removed.
    """
    is_doomed = path.name.endswith(REMOVED_SUFFIX)
    doomed = path if is_doomed else path.with_name(f".{path.name}{REMOVED_SUFFIX}")
    if doomed.exists():  # of an earlier removal that was cut off
        shutil.rmtree(doomed)
    with contextlib.suppress(FileNotFoundError):
        path.rename(doomed)
        sync_dir(path.parent)
        shutil.rmtree(doomed)
    sync_dir(path.parent)
