"""The directory of a ZIP, read as a stream: one entry at a time, nothing of it kept.

The standard library's ``zipfile`` builds an object of several hundred bytes for every entry, before the number of
entries can be asked for. Here an archive with too many entries is refused at the first one too many, a directory of ten
thousand entries costs no memory that a caller does not choose to keep, and every field that a check needs (raw name,
header offset) is at hand. Format: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.

Only the end record and the directory are read here: no local header, no data. What is not read: archives in several
parts, encrypted directories.
"""

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from segdrop.dataset.archive import name_encoding

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_MAX_COMMENT_BYTES = 0xFFFF
#: the limits for zeros with which tapes, disks and transfers fill a file up, and for what is appended (a signature)
_MOST_PADDING_BYTES, _MOST_APPENDED_BYTES = 1 << 26, 1 << 20
_BLOCK_BYTES = 1 << 18

_IN_ZIP64 = 0xFFFFFFFF
#: end records that are looked at; there is more than one only where the same letters stand elsewhere
_MOST_CANDIDATES = 4_096
FIX_FOR_PARTS = "Join the parts first (`zip -s 0 parts.zip --out whole.zip`, or extract them and pack them as one ZIP)."

_FLAG_ENCRYPTED = 0x1 | 0x40 | 0x2000
_FLAG_UTF8 = 0x800
_MOST_SAMPLES = 1_000
_EXTRA_ZIP64 = 0x0001
_EXTRA_UNICODE_PATH = 0x7075
#: "version made by": systems whose external attributes carry a Unix mode
_UNIX_SYSTEMS = frozenset({3, 19})


class NoEndRecordError(Exception):
    """The file has no end-of-central-directory record: no ZIP, or not all of it."""


class BadDirectoryError(Exception):
    """The end record is there, and the directory that it points at cannot be read.

    ``fix`` says what to do, if special.
    """

    def __init__(self, reason: str, fix: str | None = None) -> None:
        super().__init__(reason)
        self.fix = fix


@dataclass(frozen=True, slots=True)
class CentralDirectory:
    """Where the directory lies. ``shift_bytes`` is the size of what stands before the ZIP (a self-extractor)."""

    start: int
    size_bytes: int
    num_entries: int
    shift_bytes: int
    is_zip64: bool


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """One entry as the directory states it. Sizes are in bytes; ``name`` is as stored, not yet judged."""

    name: str
    name_bytes: int
    header_offset: int
    packed_bytes: int
    unpacked_bytes: int
    crc: int
    method: int
    is_encrypted: bool
    unix_mode: int

    @property
    def is_folder(self) -> bool:
        """Whether the entry is a folder."""
        return self.name.endswith(("/", "\\")) or stat.S_ISDIR(self.unix_mode)

    @property
    def is_special(self) -> bool:
        """Whether the entry is a symbolic link, device, socket or pipe."""
        return stat.S_IFMT(self.unix_mode) not in (0, stat.S_IFREG, stat.S_IFDIR)

    @property
    def least_end(self) -> int:
        """The first byte after the entry's data at the earliest; the local header may be longer than it says."""
        return self.header_offset + 30 + self.name_bytes + self.packed_bytes


def find_end(descriptor: int, size_bytes: int) -> CentralDirectory:
    """Locate the directory by its end record. Raises NoEndRecordError or BadDirectoryError where that is impossible."""
    tail_start, tail, position = _located_end(descriptor, size_bytes)
    _, disk, start_disk, _, count, size, offset, _ = _END.unpack_from(tail, position)
    end_position = tail_start + position
    is_zip64 = False
    if (found := _zip64_end(descriptor, end_position)) is not None:
        end_position, disk, start_disk, count, size, offset = found
        is_zip64 = True
    if disk or start_disk:
        raise BadDirectoryError("it is one part of an archive in several parts", FIX_FOR_PARTS)
    shift = end_position - size - offset
    if shift < 0:
        raise BadDirectoryError("the directory would begin before the file does: a piece of the file is missing")
    return CentralDirectory(offset + shift, size, count, shift, is_zip64)


def _located_end(descriptor: int, size_bytes: int) -> tuple[int, bytes, int]:
    """Returns the bytes at the end, the position from which they are, and where in them the end record is.

    It is looked for where it has to be, then before a padding of zeros, then further back.
    """
    unpadded = size_bytes - _num_zeros(descriptor, size_bytes)
    for stop, most_bytes in (
        (size_bytes, _MAX_COMMENT_BYTES),
        (min(size_bytes, unpadded + _END.size), _MAX_COMMENT_BYTES),  # the record may end with zeros of its own
        (min(size_bytes, unpadded + _END.size), _MOST_APPENDED_BYTES),
    ):
        start = max(0, stop - most_bytes - _END.size)
        tail = os.pread(descriptor, stop - start, start)
        if (position := _last_end(descriptor, start, tail)) is not None:
            return start, tail, position
    raise NoEndRecordError


def _num_zeros(descriptor: int, size_bytes: int) -> int:
    """Returns how many zero bytes the file ends with, as far as padding goes."""
    stop = size_bytes
    while stop > max(0, size_bytes - _MOST_PADDING_BYTES):
        start = max(0, stop - _BLOCK_BYTES)
        block = os.pread(descriptor, stop - start, start).rstrip(b"\0")
        if block:
            return size_bytes - start - len(block)
        stop = start
    return size_bytes - stop


def _last_end(descriptor: int, start: int, tail: bytes) -> int | None:
    """Returns the position of the last end record whose comment fits into the file, one with a
    directory before others.
    """
    position, found = len(tail), None
    for _ in range(_MOST_CANDIDATES):
        if (position := tail.rfind(b"PK\5\6", 0, position)) < 0:
            break
        if position + _END.size > len(tail):
            continue
        _, _, _, _, count, size, _, comment_bytes = _END.unpack_from(tail, position)
        if position + _END.size + comment_bytes > len(tail):
            continue
        found = position if found is None else found
        directory = start + position - size
        if not count or size == _IN_ZIP64 or (directory >= 0 and os.pread(descriptor, 4, directory) == b"PK\1\2"):
            return position
    return found


def _zip64_end(descriptor: int, end_position: int) -> tuple[int, int, int, int, int, int] | None:
    """Returns position, disk, start disk, count, size and offset from the ZIP64 end record, or None where there is
    none.
    """
    locator_position = end_position - _END64_LOCATOR.size
    if locator_position < 0:
        return None
    locator = os.pread(descriptor, _END64_LOCATOR.size, locator_position)
    if len(locator) < _END64_LOCATOR.size or not locator.startswith(b"PK\6\7"):
        return None
    # It stands right before its locator; the locator's own offset is off where something precedes the ZIP.
    for position in (locator_position - _END64.size, _END64_LOCATOR.unpack(locator)[2]):
        if not 0 <= position <= locator_position - _END64.size:
            continue
        record = os.pread(descriptor, _END64.size, position)
        if record.startswith(b"PK\6\6"):
            _, _, _, _, disk, start_disk, _, count, size, offset = _END64.unpack(record)
            return position, disk, start_disk, count, size, offset
    raise BadDirectoryError("the ZIP64 end record is missing")


def entries(descriptor: int, end: CentralDirectory) -> Iterator[DirectoryEntry]:
    """Yields the entries in the directory's order. Raises BadDirectoryError in the middle of it if it is damaged."""
    names = _NameDecoder(descriptor, end)
    count = 0
    for fields, raw_name, raw_extra in _records(descriptor, end):
        extra = _extra_fields(raw_extra)
        yield _entry(fields, names.decoded(raw_name, fields[3], extra), len(raw_name), extra, end.shift_bytes)
        count += 1
    expected = end.num_entries if end.is_zip64 else end.num_entries & 0xFFFF
    if (count if end.is_zip64 else count & 0xFFFF) != expected:
        raise BadDirectoryError(f"the directory has {count} entries, its end record says {end.num_entries}")


def _records(descriptor: int, end: CentralDirectory) -> Iterator[tuple[tuple[Any, ...], bytes, bytes]]:
    """Yields the fields of each entry, its name and its extra fields, as they stand."""
    source = _Window(descriptor, end.start, end.start + end.size_bytes)
    count = 0
    while not source.at_end:
        fields = _ENTRY.unpack(source.take(_ENTRY.size))
        if fields[0] != b"PK\1\2":
            raise BadDirectoryError(f"entry {count + 1} of the directory is damaged")
        name, extra = source.take(fields[10]), source.take(fields[11])
        source.take(fields[12])
        yield fields, name, extra
        count += 1


class _Window:
    """Reads a part of a file in sequence, in blocks."""

    def __init__(self, descriptor: int, start: int, stop: int) -> None:
        self._descriptor = descriptor
        self._next, self._stop = start, stop
        self._block, self._used = b"", 0

    @property
    def at_end(self) -> bool:
        return self._used == len(self._block) and self._next >= self._stop

    def take(self, size: int) -> bytes:
        while len(self._block) - self._used < size:
            wanted = min(_BLOCK_BYTES, self._stop - self._next)
            block = os.pread(self._descriptor, wanted, self._next) if wanted > 0 else b""
            if not block:
                raise BadDirectoryError("the directory ends in the middle of an entry")
            self._block, self._used = self._block[self._used :] + block, 0
            self._next += len(block)
        taken = self._block[self._used : self._used + size]
        self._used += size
        return taken


def _entry(
    fields: tuple[Any, ...], name: str, name_bytes: int, extra: dict[int, bytes], shift_bytes: int
) -> DirectoryEntry:
    _, made_by, _, flags, method, _, _, crc, packed, unpacked, _, _, _, _, _, attributes, offset = fields
    wide = extra.get(_EXTRA_ZIP64, b"")
    sizes = []
    for value in (unpacked, packed, offset):
        if value == 0xFFFFFFFF and len(wide) >= 8:  # noqa: PLR2004  (eight bytes for each field that does not fit into four)
            (value,), wide = struct.unpack("<Q", wide[:8]), wide[8:]  # noqa: PLW2901
        sizes.append(value)
    return DirectoryEntry(
        name=name,
        name_bytes=name_bytes,
        header_offset=sizes[2] + shift_bytes,
        packed_bytes=sizes[1],
        unpacked_bytes=sizes[0],
        crc=crc,
        method=method,
        is_encrypted=bool(flags & _FLAG_ENCRYPTED),
        unix_mode=attributes >> 16 if made_by >> 8 in _UNIX_SYSTEMS else 0,
    )


def _extra_fields(raw: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    position = 0
    while position + 4 <= len(raw):
        kind, size = struct.unpack_from("<2H", raw, position)
        found.setdefault(kind, raw[position + 4 : position + 4 + size])
        position += 4 + size
    return found


class _NameDecoder:
    """Turns names into text: as the entry says, else in one encoding for the whole archive, see ``name_encoding``.

    To find it, the directory is read once more, and only if a name is neither ASCII nor said to be UTF-8.
    """

    def __init__(self, descriptor: int, end: CentralDirectory) -> None:
        self._descriptor, self._end = descriptor, end
        self._encodings: tuple[str, ...] = ()

    def decoded(self, raw: bytes, flags: int, extra: dict[int, bytes]) -> str:
        if raw.isascii():
            return raw.decode("ascii")
        if (unicode_path := _unicode_path(raw, extra)) is not None:
            return unicode_path
        says_utf8 = "utf-8" if flags & _FLAG_UTF8 else ""
        self._encodings = self._encodings or _encodings(self._descriptor, self._end)
        for encoding in (says_utf8, *self._encodings) if says_utf8 else self._encodings:
            try:
                return raw.decode(encoding)
            except UnicodeDecodeError:
                continue
        return raw.decode(name_encoding.FALLBACK)


def _unicode_path(raw: bytes, extra: dict[int, bytes]) -> str | None:
    """Returns Info-ZIP's second name in UTF-8, if it was made of this name."""
    better = extra.get(_EXTRA_UNICODE_PATH, b"")
    if better[:1] != b"\1" or better[1:5] != struct.pack("<L", zlib.crc32(raw)):
        return None
    return better[5:].decode("utf-8", "replace")


def _encodings(descriptor: int, end: CentralDirectory) -> tuple[str, ...]:
    """Returns the encodings to try in turn on names that are not said to be UTF-8; macOS writes it
    without saying so.
    """
    num_utf8, others = 0, set[bytes]()
    unsaid = set[bytes]()
    for fields, raw, _ in _records(descriptor, end):
        if raw.isascii() or len(others) >= _MOST_SAMPLES:
            continue
        is_utf8 = _is_utf8(raw)
        if not fields[3] & _FLAG_UTF8:
            num_utf8 += is_utf8
            unsaid.update(raw.split(b"/"))
        if not is_utf8:
            others.update(raw.split(b"/"))
    if not others:
        return ("utf-8",)
    is_mostly_utf8 = num_utf8 > len(others)
    names = others if is_mostly_utf8 else others | unsaid
    best = name_encoding.plausible(sorted(name for name in names if not name.isascii())[:_MOST_SAMPLES])
    return ("utf-8", best) if is_mostly_utf8 else (best,)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
