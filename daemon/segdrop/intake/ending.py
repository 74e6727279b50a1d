"""The first and last bytes of a file: the only part of a ZIP that the daemon itself reads.

Format: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end record).
"""

import struct
from pathlib import Path

from segdrop.intake.settle import Ending

_END_RECORD = b"PK\x05\x06"
_DIRECTORY_HEADER = b"PK\x01\x02"
#: local header, empty archive, split or spanned archive
_BEGINNINGS = (b"PK\x03\x04", _END_RECORD, b"PK\x07\x08", b"PK00")
_END_SIZE = 22
_MAX_COMMENT = 65_535
_IN_ZIP64 = 0xFFFFFFFF


def read(path: Path) -> Ending:
    """Look at both ends of the file. OSError if it cannot be read."""
    with path.open("rb") as stream:
        size = stream.seek(0, 2)
        stream.seek(0)
        head = stream.read(4)
        start = max(0, size - _END_SIZE - _MAX_COMMENT)
        stream.seek(start)
        tail = stream.read()
        position = _end_record(tail, start, size)
        if position is not None:
            directory_size, directory_offset = struct.unpack_from("<II", tail, position - start + 12)
            if _IN_ZIP64 in (directory_size, directory_offset) or directory_size == 0:
                return Ending.COMPLETE
            stream.seek(position - directory_size)  # counted from the end: data may precede the archive
            if stream.read(4) == _DIRECTORY_HEADER:
                return Ending.COMPLETE
    return beginning(head)


def beginning(head: bytes) -> Ending:
    """What the first bytes alone say. Nothing yet, or zeros (space reserved by the copier), may become a ZIP."""
    may_become = any(start.startswith(head) or head.startswith(start) for start in _BEGINNINGS) or not head.strip(b"\0")
    return Ending.INCOMPLETE if may_become else Ending.NOT_A_ZIP


def _end_record(tail: bytes, start: int, size: int) -> int | None:
    """Position of an end record whose comment ends with the file and whose directory fits before it."""
    found = tail.rfind(_END_RECORD)
    while found >= 0:
        if found + _END_SIZE <= len(tail):
            directory_size, _offset, comment = struct.unpack_from("<IIH", tail, found + 12)
            position = start + found
            fits = directory_size == _IN_ZIP64 or directory_size <= position
            if fits and position + _END_SIZE + comment == size:
                return position
        found = tail.rfind(_END_RECORD, 0, found)
    return None
