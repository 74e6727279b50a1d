"""The JSON files of the inbox: each is read once for each stamp, a little of it, and not too many in one scan.

Thousands of them may lie there for months, beside the images that they are about. A change of what is in a file does
not show in the times of its folder. So files on which an input depends are looked at in every scan, and the others in
turns, :data:`LOOKS_IN_A_SCAN` at a time.
"""

import os
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from segdrop import regular_files
from segdrop.intake import json_top, settle
from segdrop.intake.json_top import JsonReading, JsonRole
from segdrop.intake.settle import Stamp

LOOKS_IN_A_SCAN = 256
#: Of all files together, in one scan; a scan must not keep the daemon from its jobs.
_READ_BYTES_IN_A_SCAN = 1 << 21
READS_IN_A_SCAN = 512
#: Most files show what they are in their first bytes.
_FIRST_BYTES = 1 << 12


class JsonFiles:
    """What the JSON files of one folder are, by name."""

    def __init__(self, folder: Path) -> None:
        self.readings: dict[str, JsonReading] = {}
        self.is_behind = False  #: whether some have not been read yet
        self._folder = folder
        self._stamps: dict[str, Stamp] = {}
        self._next = 0  #: the place of the first whose turn it is in the next scan
        self._left_bytes = self._left_reads = 0

    def look(self, names: Sequence[str], urgent: Collection[str], stamp_of: Callable[[str], Stamp | None]) -> bool:
        """Read what is new or has changed; returns whether any file is now taken for something else.

        ``names`` are all regular files, ``urgent`` those among them on which an input depends. ``stamp_of`` looks at
        a file, and returns None where that is gone or no regular file.
        """
        there = set(names)
        before = len(self.readings)
        for gone in self.readings.keys() - there:
            del self.readings[gone]
            self._stamps.pop(gone, None)
        changed = len(self.readings) != before
        self._left_bytes, self._left_reads = _READ_BYTES_IN_A_SCAN, READS_IN_A_SCAN
        self.is_behind = False
        waiting = [name for name in names if name not in self.readings]
        for name in dict.fromkeys([*(name for name in urgent if name in there), *waiting, *self._in_turn(names)]):
            if self._left_bytes <= 0 or self._left_reads <= 0:
                self.is_behind = any(name not in self.readings for name in waiting)
                break
            changed |= self._look_at(name, stamp_of)
        return changed

    def _in_turn(self, names: Sequence[str]) -> list[str]:
        """Returns the files whose turn it is: all of them, where they are few."""
        if len(names) <= LOOKS_IN_A_SCAN:
            return list(names)
        start = self._next % len(names)
        self._next = start + LOOKS_IN_A_SCAN
        return [*names, *names][start : self._next]

    def _look_at(self, name: str, stamp_of: Callable[[str], Stamp | None]) -> bool:
        stamp, known = stamp_of(name), self.readings.get(name)
        if stamp is None:
            return self.readings.pop(name, None) is not None
        if known is not None and self._stamps.get(name) == stamp:
            return False
        reading = self._read(name, stamp)
        if reading is None:  # it is being written
            return False
        self.readings[name] = reading
        if reading.role is not JsonRole.UNREADABLE:
            self._stamps[name] = stamp
        return reading != known

    def _read(self, name: str, stamp: Stamp) -> JsonReading | None:
        """Returns what a file is, or None where it is not the one that was looked at."""
        self._left_reads -= 1
        try:
            with regular_files.open_binary(self._folder / name) as stream:
                if settle.stamp_of(os.fstat(stream.fileno())) != stamp:
                    return None
                return self._understood(stream.read, stamp.size)
        except OSError as error:
            return JsonReading(JsonRole.UNREADABLE, detail=error.strerror or str(error))

    def _understood(self, read: Callable[[int], bytes], size: int) -> JsonReading:
        """Returns what a file is by its first bytes, or by more of them where these do not say."""
        head = read(_FIRST_BYTES)
        reading = json_top.read(head, size)
        if len(head) < size and reading.role in (JsonRole.REQUEST, JsonRole.LARGE):
            head += read(json_top.HEAD_BYTES - len(head))
            reading = json_top.read(head, size)
        self._left_bytes -= len(head)
        return reading
