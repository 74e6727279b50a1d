"""The directory of a ZIP, read as a stream: one entry at a time, nothing of it kept.

The standard library's ``zipfile`` builds an object of several hundred bytes for every entry, before anybody
can ask how many there are. Here an archive with too many entries is refused at the first one too many, a
directory of ten thousand entries costs no memory that a caller does not choose to keep, and every field that
a check needs (raw name, header offset) is at hand. Format: PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.

Only the end record and the directory are read here: no local header, no data. What is not read: archives in
several parts, encrypted directories.
"""

import os
import stat
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

_END = struct.Struct("<4s4H2LH")
_END64_LOCATOR = struct.Struct("<4sLQL")
_END64 = struct.Struct("<4sQ2H2L4Q")
_ENTRY = struct.Struct("<4s6H3L5H2L")
_MAX_COMMENT_BYTES = 0xFFFF
_BLOCK_BYTES = 1 << 18

_FLAG_ENCRYPTED = 0x1 | 0x40 | 0x2000
_FLAG_UTF8 = 0x800
_EXTRA_ZIP64 = 0x0001
_EXTRA_UNICODE_PATH = 0x7075
#: "version made by": systems whose external attributes carry a Unix mode
_UNIX_SYSTEMS = frozenset({3, 19})


class NoEndRecordError(Exception):
    """The file has no end-of-central-directory record: no ZIP, or not all of it."""


class BadDirectoryError(Exception):
    """The end record is there, and the directory that it points at cannot be read."""


@dataclass(frozen=True, slots=True)
class End:
    """Where the directory lies. ``shift_bytes`` is what somebody put before the ZIP (a self-extractor)."""

    start: int
    size_bytes: int
    num_entries: int
    shift_bytes: int
    is_zip64: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry as the directory states it. Sizes in bytes; ``name`` as stored, not yet judged."""

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
        return self.name.endswith(("/", "\\")) or stat.S_ISDIR(self.unix_mode)

    @property
    def is_special(self) -> bool:
        """A symbolic link, device, socket or pipe."""
        return stat.S_IFMT(self.unix_mode) not in (0, stat.S_IFREG, stat.S_IFDIR)

    @property
    def least_end(self) -> int:
        """First byte after the entry's data at the earliest; the local header may be longer than it says."""
        return self.header_offset + 30 + self.name_bytes + self.packed_bytes


def find_end(descriptor: int, size_bytes: int) -> End:
    """Locate the directory; ``NoEndRecordError`` or ``BadDirectoryError`` where that is impossible."""
    tail_start = max(0, size_bytes - _MAX_COMMENT_BYTES - _END.size)
    tail = os.pread(descriptor, size_bytes - tail_start, tail_start)
    position = _last_end(tail)
    _, disk, start_disk, _, count, size, offset, _ = _END.unpack_from(tail, position)
    end_position = tail_start + position
    is_zip64 = False
    if (found := _zip64_end(descriptor, end_position)) is not None:
        end_position, disk, start_disk, count, size, offset = found
        is_zip64 = True
    if disk or start_disk:
        raise BadDirectoryError("it is one part of an archive in several parts")
    shift = end_position - size - offset
    if shift < 0:
        raise BadDirectoryError("the directory would begin before the file does: a piece of the file is missing")
    return End(offset + shift, size, count, shift, is_zip64)


def _last_end(tail: bytes) -> int:
    """Position of the last end record whose comment fits into the file."""
    position = len(tail)
    while (position := tail.rfind(b"PK\5\6", 0, position)) >= 0:
        fits = position + _END.size <= len(tail)
        if fits and position + _END.size + _END.unpack_from(tail, position)[7] <= len(tail):
            return position
    raise NoEndRecordError


def _zip64_end(descriptor: int, end_position: int) -> tuple[int, int, int, int, int, int] | None:
    """Position, disk, start disk, count, size and offset from the ZIP64 end record, where there is one."""
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


def entries(descriptor: int, end: End) -> Iterator[Entry]:
    """The entries in the directory's order; ``BadDirectoryError`` in the middle of it if it is damaged."""
    source = _Window(descriptor, end.start, end.start + end.size_bytes)
    count = 0
    while not source.at_end:
        fields = _ENTRY.unpack(source.take(_ENTRY.size))
        if fields[0] != b"PK\1\2":
            raise BadDirectoryError(f"entry {count + 1} of the directory is damaged")
        name, extra = source.take(fields[10]), source.take(fields[11])
        source.take(fields[12])
        yield _entry(fields, name, extra, end.shift_bytes)
        count += 1
    expected = end.num_entries if end.is_zip64 else end.num_entries & 0xFFFF
    if (count if end.is_zip64 else count & 0xFFFF) != expected:
        raise BadDirectoryError(f"the directory has {count} entries, its end record says {end.num_entries}")


class _Window:
    """Sequential reading of a part of a file, in blocks."""

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


def _entry(fields: tuple[int, ...], raw_name: bytes, raw_extra: bytes, shift_bytes: int) -> Entry:
    _, made_by, _, flags, method, _, _, crc, packed, unpacked, _, _, _, _, _, attributes, offset = fields
    extra = _extra_fields(raw_extra)
    wide = extra.get(_EXTRA_ZIP64, b"")
    sizes = []
    for value in (unpacked, packed, offset):
        if value == 0xFFFFFFFF and len(wide) >= 8:  # noqa: PLR2004  (eight bytes for each field that does not fit into four)
            (value,), wide = struct.unpack("<Q", wide[:8]), wide[8:]  # noqa: PLW2901
        sizes.append(value)
    return Entry(
        name=_decoded_name(raw_name, flags, extra),
        name_bytes=len(raw_name),
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


def _decoded_name(raw: bytes, flags: int, extra: dict[int, bytes]) -> str:
    """UTF-8 where the entry says so, and where it can be UTF-8: macOS writes it without saying so."""
    better = extra.get(_EXTRA_UNICODE_PATH, b"")
    if better[:1] == b"\1" and better[1:5] == struct.pack("<L", zlib.crc32(raw)):
        raw, flags = better[5:], flags | _FLAG_UTF8
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace") if flags & _FLAG_UTF8 else raw.decode("cp437")
