"""Opens files that other users may exchange at any moment: only regular ones, and never by waiting.

A name in the inbox belongs to whoever may write there. A symbolic link would lend them the daemon's right to read, a
FIFO would hold whoever opens it until a writer comes, and a device does what it likes.

Residual risk: folders above the name are followed as they are; they belong to the daemon or the operator.
"""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO


class NotRegularError(OSError):
    """There is a link, FIFO, socket, device or folder where a regular file is wanted; ``errno`` is EINVAL."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
        self.kind = kind


def open_descriptor(path: Path) -> int:
    """Opens a regular file for reading, and returns the descriptor.

    Raises ``NotRegularError`` where it is none, and ``OSError`` as open(2) does.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO) and (kind := kind_of(path.lstat().st_mode)):
            raise NotRegularError(path, kind) from error
        raise
    if kind := kind_of(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(path, kind)
    return descriptor


def open_binary(path: Path) -> BinaryIO:
    """Opens a regular file as a stream; raises what :func:`open_descriptor` does."""
    return os.fdopen(open_descriptor(path), "rb")


def kind_of(mode: int) -> str:
    """Returns in words what a file is by its mode; empty for a regular file."""
    kinds = {
        stat.S_IFLNK: "a symbolic link",
        stat.S_IFDIR: "a folder",
        stat.S_IFIFO: "a named pipe (FIFO)",
        stat.S_IFSOCK: "a socket",
    }
    return "" if stat.S_ISREG(mode) else kinds.get(stat.S_IFMT(mode), "a device")
