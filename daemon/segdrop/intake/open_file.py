"""An open file of the inbox, of which the daemon reads a few bytes here and there."""

import errno
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_MAX_HOLES = 64


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file by its descriptor, with its size in bytes as it was when it was opened."""

    descriptor: int
    size: int

    def at(self, position: int, size: int) -> bytes:
        """Returns so many bytes from a position, fewer where the file ends."""
        return os.pread(self.descriptor, size, position) if 0 <= position < self.size else b""

    def tail(self, size: int, since: int = 0) -> bytes:
        """Returns the last bytes of the file, at most ``size``, and none that stand before ``since``."""
        start = max(since, self.size - size, 0)
        return self.at(start, self.size - start)

    def unpack(self, form: str, position: int) -> tuple[Any, ...]:
        """Returns the fields that stand at a position. Raises EOFError where the file ends before they do."""
        size = struct.calcsize(form)
        found = self.at(position, size)
        if len(found) < size:
            raise EOFError
        return struct.unpack(form, found)

    def has_holes(self) -> bool:
        """Whether the filesystem keeps nothing for some part of the file; False where it does not tell."""
        return next(holes(self.descriptor, self.size), None) is not None

    def ends_in_hole(self) -> bool:
        """Whether the filesystem keeps nothing for the last byte of the file; False where it does not tell."""
        try:
            os.lseek(self.descriptor, max(0, self.size - 1), os.SEEK_DATA)
        except OSError as error:
            return error.errno == errno.ENXIO and self.size > 0
        return False


def holes(descriptor: int, end: int) -> Iterator[tuple[int, int]]:
    """Yields ranges before ``end`` for which the filesystem keeps nothing; none where it does not tell."""
    position = 0
    for _ in range(_MAX_HOLES):
        try:
            start = os.lseek(descriptor, position, os.SEEK_HOLE)
            if start >= end:
                return
            position = os.lseek(descriptor, start, os.SEEK_DATA)
        except OSError:  # SEEK_HOLE is not known here; or nothing but a hole is left
            return
        yield start, min(position, end)
