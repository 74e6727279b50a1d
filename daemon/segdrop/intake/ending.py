"""The ends of an input: the only parts of it that the daemon itself reads.

Of a ZIP these are both ends and the directory. A download in several parts at once has both ends on the disk long
before the middle. So the directory is asked for its members, and it is looked whether anything stands where they
should: at most :data:`_MAX_WINDOWS` pieces of the directory and :data:`_MAX_MEMBERS` members, whatever the size of the
ZIP.

Images, videos and JSON files end as their formats say (:mod:`segdrop.intake.picture_ending`,
:mod:`segdrop.intake.container_ending`); of a format whose end is not known, a file may always be arriving.

Nothing is judged here but whether the file may still be arriving; what is damaged is found by the checks.

Format: APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (directory), 4.3.16 (end record).
"""

import os
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Self

from segdrop import input_kinds, regular_files
from segdrop.input_kinds import InputKind
from segdrop.intake import container_ending as containers
from segdrop.intake import picture_ending as pictures
from segdrop.intake.open_file import OpenFile, holes
from segdrop.intake.settle import FileEnding

_END_RECORD = b"PK\x05\x06"
_LOCATOR64 = b"PK\x06\x07"
_END_RECORD64 = b"PK\x06\x06"
_DIRECTORY_HEADER = b"PK\x01\x02"
_NOTHING = bytes(4)
#: local header, empty archive, split or spanned archive
_BEGINNINGS = (b"PK\x03\x04", _END_RECORD, b"PK\x07\x08", b"PK00")
_END_SIZE = 22
_END64_SIZE = 56
_LOCATOR64_SIZE = 20
_MAX_COMMENT = 65_535
_IN_ZIP64 = 0xFFFFFFFF
_ENTRY = struct.Struct("<4s6H3L5H2L")
_EXTRA_ZIP64 = 1

_WINDOW_BYTES = 1 << 16
_MAX_WINDOWS = 8
_MAX_MEMBERS = 64
#: What comes out of a byte of zeros in packed data, if it is data: repetitions of 258 bytes, in two bits to eight each.
_LEAST_FROM_ZEROS = 258


def read(path: Path) -> FileEnding:
    """Look at the ends of a file, by the kind that its name claims.

    Raises OSError if it cannot be read, or is no regular file.
    """
    with regular_files.open_binary(path) as stream:
        match input_kinds.by_name(path.name):
            case InputKind.IMAGE | InputKind.VIDEO:
                return _of_media(OpenFile(stream.fileno(), stream.seek(0, 2)))
            case InputKind.JSON:
                return _of_json(OpenFile(stream.fileno(), stream.seek(0, 2)))
            case _:
                return _of_zip(stream)


# images, videos and JSON


@dataclass(frozen=True, slots=True)
class _Format:
    """A format by the bytes at its beginning. What is not packed may hold zeros, also as holes of a sparse file; but
    where nothing is kept of its end, that has yet to come.
    """

    magic: bytes
    is_whole: Callable[[OpenFile], bool]
    offset: int = 0
    is_packed: bool = True

    def begins(self, head: bytes) -> bool:
        """Whether a file with these first bytes is of the format."""
        return head.startswith(self.magic, self.offset)


_FORMATS = (
    _Format(b"\xff\xd8\xff", pictures.jpeg),
    _Format(b"\x89PNG\r\n\x1a\n", pictures.png),
    _Format(b"GIF8", pictures.gif),
    _Format(b"BM", pictures.bmp, is_packed=False),
    *(_Format(magic, pictures.tiff, is_packed=False) for magic in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")),
    *(_Format(magic, pictures.netpbm, is_packed=False) for magic in (b"P4", b"P5", b"P6")),
    _Format(b"\xff\x4f\xff\x51", pictures.codestream),
    _Format(b"qoif", pictures.qoi),
    _Format(b"RIFF", containers.riff),
    *(
        _Format(kind, containers.boxes, offset=4)
        for kind in (b"ftyp", b"jP  ", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
    ),
    _Format(b"\x1a\x45\xdf\xa3", containers.matroska),
    _Format(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", containers.asf),
    _Format(b"\0\0\1\xba", containers.program_stream),
    _Format(b"OggS", containers.ogg),
)
#: without a beginning of its own
_NO_MAGIC = _Format(b"", pictures.tga, is_packed=False)
_MAGIC_BYTES = 16
#: so many zeros at the end of packed data are room that a copier has reserved
_RESERVED_BYTES = 512
_WHITE = b" \t\r\n"


def _of_media(file: OpenFile) -> FileEnding:
    """Returns what an image or a video says of its end, whatever its name says about its format."""
    head = file.at(0, _MAGIC_BYTES)
    form = next((form for form in _FORMATS if form.begins(head)), _NO_MAGIC)
    try:
        is_whole = form.is_whole(file)
    except (EOFError, IndexError):
        is_whole = False
    if not is_whole or (form.is_packed and not file.tail(_RESERVED_BYTES).strip(b"\0")):
        return FileEnding.INCOMPLETE
    has_gaps = file.has_holes() if form.is_packed else file.ends_in_hole()
    return FileEnding.GAPS if has_gaps else FileEnding.COMPLETE


def _of_json(file: OpenFile) -> FileEnding:
    """Returns whether the last byte that is no space closes an object."""
    is_closed = file.tail(_WINDOW_BYTES).rstrip(_WHITE).endswith(b"}")
    if not is_closed:
        return FileEnding.INCOMPLETE
    return FileEnding.GAPS if file.has_holes() else FileEnding.COMPLETE


# ZIPs


def _of_zip(stream: BinaryIO) -> FileEnding:
    """Returns what both ends of a ZIP and its directory say."""
    size = stream.seek(0, 2)
    stream.seek(0)
    head = stream.read(4)
    start = max(0, size - _END_SIZE - _MAX_COMMENT)
    stream.seek(start)
    tail = stream.read()
    position = _end_record(tail, start, size)
    if position is not None:
        directory = _directory(stream, tail[position - start :], position)
        if directory is None:
            return FileEnding.COMPLETE
        if _at(stream, directory.start, 4) == _DIRECTORY_HEADER:
            return FileEnding.GAPS if _has_gaps(stream, directory) else FileEnding.COMPLETE
    return beginning(head)


def beginning(head: bytes) -> FileEnding:
    """Returns what the first bytes alone say.

    No byte yet, or zeros (space reserved by the copier), may become a ZIP.
    """
    may_become = any(start.startswith(head) or head.startswith(start) for start in _BEGINNINGS) or not head.strip(b"\0")
    return FileEnding.INCOMPLETE if may_become else FileEnding.NOT_A_ZIP


def _end_record(tail: bytes, start: int, size: int) -> int | None:
    """Returns the position of an end record whose comment ends with the file and whose directory fits before it."""
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


@dataclass(frozen=True, slots=True)
class _Directory:
    """Where the directory lies, in bytes; ``shift`` is the size of what precedes the archive."""

    start: int
    size: int
    shift: int

    @classmethod
    def ending_at(cls, end: int, size: int, offset: int) -> Self:
        """Returns a directory by its end, from which it is counted: data may precede the archive."""
        return cls(end - size, size, end - size - offset)


def _directory(stream: BinaryIO, record: bytes, position: int) -> _Directory | None:
    """Returns the directory by its end record, or None where there is none, or none that could be asked.

    A ZIP64 record may stand between the two, also where the numbers of the older one would do (65,536 entries).
    """
    size, offset = struct.unpack_from("<II", record, 12)
    record64 = position - _LOCATOR64_SIZE - _END64_SIZE
    records = _at(stream, record64, _END64_SIZE + _LOCATOR64_SIZE)
    if records.startswith(_END_RECORD64) and records[_END64_SIZE:].startswith(_LOCATOR64):
        position = record64
        size, offset = struct.unpack_from("<QQ", records, 40)
    elif _IN_ZIP64 in (size, offset):
        return None
    return _Directory.ending_at(position, size, offset) if 0 < size <= position else None


@dataclass(frozen=True, slots=True)
class _Member:
    """One member as the directory has it: where its header is, and how many bytes it has, as stored and unpacked."""

    header: int
    packed: int
    unpacked: int
    is_stored: bool

    @classmethod
    def of(cls, fields: tuple[Any, ...], extra: bytes, shift: int) -> Self:
        """Returns the member that an entry of the directory describes."""
        wide = _zip64_extra(extra)
        sizes = []
        for value in (fields[9], fields[8], fields[16]):
            if value == _IN_ZIP64 and len(wide) >= 8:  # noqa: PLR2004  (eight bytes for each field that needs them)
                (value,), wide = struct.unpack_from("<Q", wide), wide[8:]  # noqa: PLW2901
            sizes.append(value)
        return cls(header=sizes[2] + shift, packed=sizes[1], unpacked=sizes[0], is_stored=fields[4] == 0)


def _has_gaps(stream: BinaryIO, directory: _Directory) -> bool:
    """Whether there is nothing yet where the directory or its members should be."""
    members: list[_Member] = []
    for window in _windows(stream, directory):
        found, is_whole = _members(window, directory.shift)
        if not is_whole:
            return True
        members += found
    step = max(1, len(members) // _MAX_MEMBERS)
    if any(_at(stream, member.header, 4) == _NOTHING for member in members[::step]):
        return True
    return any(_is_gap(start, stop, members) for start, stop in holes(stream.fileno(), directory.start))


def _windows(stream: BinaryIO, directory: _Directory) -> Iterator[bytes]:
    """Yields the directory, or evenly spread pieces of one that is long; each begins with an entry."""
    if directory.size <= _WINDOW_BYTES * _MAX_WINDOWS:
        yield _at(stream, directory.start, directory.size)
        return
    stride = (directory.size - _WINDOW_BYTES) // (_MAX_WINDOWS - 1)
    for number in range(_MAX_WINDOWS):
        window = _at(stream, directory.start + number * stride, _WINDOW_BYTES)
        first = window.find(_DIRECTORY_HEADER)
        yield window[max(0, first) :]


def _members(window: bytes, shift: int) -> tuple[list[_Member], bool]:
    """Returns the members that a piece of the directory lists, and False where it goes over into nothing."""
    found: list[_Member] = []
    position = 0
    while position + _ENTRY.size <= len(window):
        fields = _ENTRY.unpack_from(window, position)
        if fields[0] != _DIRECTORY_HEADER:
            return found, fields[0] != _NOTHING
        name, extra, comment = fields[10:13]
        position += _ENTRY.size + name
        found.append(_Member.of(fields, window[position : position + extra], shift))
        position += extra + comment
    return found, True


def _zip64_extra(extra: bytes) -> bytes:
    """Returns the extra field that holds what does not fit into four bytes."""
    position = 0
    while position + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, position)
        if kind == _EXTRA_ZIP64:
            return extra[position + 4 : position + 4 + size]
        position += 4 + size
    return b""


def _is_gap(start: int, stop: int, members: list[_Member]) -> bool:
    """Whether a hole cannot be data.

    What is stored may well be zeros (a black BMP, kept sparse by ``cp`` or the filesystem); what is packed is so only
    where a lot of the same comes out.
    """
    for member in members:
        if start <= member.header < stop:
            return True
        first, last = max(start, member.header), min(stop, member.header + 30 + member.packed)
        if first < last and not member.is_stored and (last - first) * _LEAST_FROM_ZEROS > member.unpacked:
            return True
    return False


def _at(stream: BinaryIO, position: int, size: int) -> bytes:
    """Returns so many bytes from a position, fewer where the file ends."""
    if position < 0:
        return b""
    return os.pread(stream.fileno(), size, position)
