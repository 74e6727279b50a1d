"""Safe reading of the ZIP: what it says is judged before any of its bytes are unpacked.

Nothing is ever extracted to disk, so a hostile name cannot reach a file. Names are judged all the same: such an archive
was not made by an honest tool, and the user's own tools would fall for it. Limits hold twice, for what the directory
says and for the bytes that are really unpacked. Findings are collected, all of them.

Residual risk: a decoder's own defects. Therefore this runs in a child with limited memory and time.
"""

import hashlib
import os
import re
import struct
import zlib
from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from segdrop import regular_files
from segdrop.codes import Code
from segdrop.dataset.archive import central_directory, image_headers, safety
from segdrop.dataset.archive.tree import Tree
from segdrop.errors import DataError, Issue, has_fault
from segdrop.spec import Limits

_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_CHUNK_BYTES = 1 << 18
_STORED, _DEFLATED = 0, 8
#: to find the headers of images that pack suspiciously well, this much is unpacked at a time, and this much in all
_HEADER_STEP_BYTES, _MOST_HEADER_BYTES = 1 << 14, 1 << 28

#: first bytes of what people rename to .zip
_OTHER_FORMATS = {
    b"Rar!": "a RAR archive",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"\x1f\x8b": "a gzip file",
    b"BZh": "a bzip2 file",
    b"\xfd7zX": "an xz file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"\x28\xb5\x2f\xfd": "a Zstandard file",
    b"\x04\x22\x4d\x18": "an LZ4 file",
}
_TAR = b"ustar"
_TAR_PLACE = 257
_WEB_PAGE = re.compile(rb"\s*<(?:!doctype html|html|head)", re.IGNORECASE)
_HEAD_BYTES = 512


class _TooDeepError(Exception):
    """A header lies so deep in its member that looking for it would cost too much."""


class MemberError(Exception):
    """A member does not unpack to what the directory says. Its text is the reason."""


@dataclass(frozen=True, slots=True)
class Verification:
    """Tells what one full pass over the file found: its hash, damaged members, and whether it was changed meanwhile."""

    sha256: str
    issues: list[Issue]
    changed: bool


class Archive:
    """An open ZIP: its safe files by position (``member``), in flat arrays instead of one object each.

    Reading is by position in the file, so that several threads can read at once.
    """

    def __init__(self, path: Path, limits: Limits) -> None:
        """Read and judge the directory.

        What is wrong with it is in ``issues``. Raises OSError where the file cannot be read.
        """
        self._limits = limits
        self._descriptor = regular_files.open_descriptor(path)
        self._before = _identity(os.fstat(self._descriptor))
        self._directory_start = 0
        self._namesakes: set[str] = set()
        self.size_bytes = os.fstat(self._descriptor).st_size
        self.names: list[str] = []
        self.issues: list[Issue] = []
        self._offsets, self._packed, self._unpacked = array("Q"), array("Q"), array("Q")
        self._crcs, self._methods = array("I"), array("H")
        try:
            self._load()
        except DataError as error:
            self.issues = error.issues

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    @property
    def is_safe(self) -> bool:
        """Whether members may be read: nothing is wrong with the directory."""
        return not has_fault(self.issues)

    def tree(self) -> Tree:
        """Returns the safe files as a tree of paths."""
        return Tree(self.names, self.read, self.unpacked_bytes)

    def _load(self) -> None:
        if self.size_bytes > self._limits.max_archive_bytes:
            message = f"the ZIP has {self.size_bytes} bytes; the limit is {self._limits.max_archive_bytes}"
            raise DataError([Issue.of(Code.ARCHIVE_TOO_LARGE, message)])
        try:
            end = central_directory.find_end(self._descriptor, self.size_bytes)
            self._directory_start = end.start
            judge = safety.Judge(self._limits, end.start)
            for entry in central_directory.entries(self._descriptor, end):
                if (name := judge.admit(entry)) is not None:
                    self._append(name, entry)
        except central_directory.NoEndRecordError:
            raise DataError([_not_a_zip(os.pread(self._descriptor, _HEAD_BYTES, 0), self.size_bytes)]) from None
        except central_directory.BadDirectoryError as error:
            message = f"the directory of the ZIP cannot be read: {error}"
            raise DataError([Issue.of(Code.ARCHIVE_CORRUPT, message, fix=error.fix)]) from None
        self._weigh(judge)
        self.issues = judge.verdict()
        self._namesakes = judge.namesakes

    def _weigh(self, judge: safety.Judge) -> None:
        """Judge images that unpack to suspiciously much by what their headers say."""
        self._header_bytes = _MOST_HEADER_BYTES
        for member in judge.suspects:
            sizes = self._unpacked[member], self._packed[member]
            try:
                judge.weigh(self.names[member], *sizes, image_headers.extent(self._beginning(member)))
            except MemberError:
                judge.weigh(self.names[member], *sizes, None)
            except _TooDeepError:
                judge.weigh_unseen(self.names[member], *sizes)

    def _beginning(self, member: int) -> Iterator[bytes]:
        """Yields a member's bytes, as far as the whole archive's allowance goes; always the first of them."""
        for number, chunk in enumerate(self._unpack(member, _HEADER_STEP_BYTES)):
            self._header_bytes -= len(chunk)
            if number and self._header_bytes < 0:
                raise _TooDeepError
            yield chunk

    def namesakes(self) -> list[list[int]]:
        """Returns groups of members whose paths are the same, or differ in case only."""
        groups: dict[str, list[int]] = {}
        for member, name in enumerate(self.names) if self._namesakes else ():
            if (folded := name.casefold()) in self._namesakes:
                groups.setdefault(folded, []).append(member)
        return list(groups.values())

    def _append(self, name: str, entry: central_directory.DirectoryEntry) -> None:
        self.names.append(name)
        self._offsets.append(entry.header_offset)
        self._packed.append(entry.packed_bytes)
        self._unpacked.append(entry.unpacked_bytes)
        self._crcs.append(entry.crc)
        self._methods.append(entry.method)

    def unpacked_bytes(self, member: int) -> int:
        """Returns a member's size as the directory says, which reading enforces."""
        return self._unpacked[member]

    def identity(self, member: int) -> tuple[int, int]:
        """Returns a member's checksum and size, which files of the same bytes share."""
        return self._crcs[member], self._unpacked[member]

    def read(self, member: int) -> bytes:
        """Returns a member's bytes, whole and with the right checksum. Raises MemberError where they are not."""
        return b"".join(self.chunks(member))

    def head(self, member: int, count: int) -> bytes:
        """Returns a member's first bytes, unpacked but not checked. Raises MemberError where that is not possible."""
        found = b""
        for chunk in self._unpack(member, _HEAD_BYTES):
            found += chunk
            if len(found) >= count:
                break
        return found[:count]

    def pieces(self, member: int) -> Iterator[bytes]:
        """Yields a member's bytes in small pieces, unpacked but not checked, for who needs only the first of them.

        Raises MemberError where that is not possible.
        """
        return self._unpack(member, _HEADER_STEP_BYTES)

    def chunks(self, member: int) -> Iterator[bytes]:
        """Yields a member's bytes, unpacked piece by piece. Raises MemberError at the first sign of damage."""
        crc = total = 0
        for chunk in self._unpack(member):
            total += len(chunk)
            crc = zlib.crc32(chunk, crc)
            yield chunk
        if total != self._unpacked[member]:
            raise MemberError(f"it unpacks to {total} bytes, the directory says {self._unpacked[member]}")
        if crc != self._crcs[member]:
            raise MemberError("its checksum (CRC) differs")

    def _unpack(self, member: int, step_bytes: int = _CHUNK_BYTES) -> Iterator[bytes]:
        packed = self._packed_chunks(member, step_bytes)
        if self._methods[member] == _STORED:
            yield from packed
            return
        remaining = self._unpacked[member]
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for block in packed:
                pending = block
                while pending and not inflater.eof:
                    # one byte more than is allowed, so that a member that holds more is noticed
                    chunk = inflater.decompress(pending, min(step_bytes, remaining + 1))
                    remaining -= len(chunk)
                    if remaining < 0:
                        raise MemberError("it holds more bytes than the directory says")
                    yield chunk
                    pending = inflater.unconsumed_tail
        except zlib.error as error:
            raise MemberError(f"it does not unpack ({error})") from None
        if not inflater.eof:
            raise MemberError("its packed data end too early")

    def _packed_chunks(self, member: int, step_bytes: int) -> Iterator[bytes]:
        position = self._offsets[member]
        header = os.pread(self._descriptor, _LOCAL_HEADER.size, position)
        if len(header) < _LOCAL_HEADER.size or not header.startswith(b"PK\3\4"):
            raise MemberError("its header is not where the directory says")
        *_, name_bytes, extra_bytes = _LOCAL_HEADER.unpack(header)
        position += _LOCAL_HEADER.size + name_bytes + extra_bytes
        stop = position + self._packed[member]
        if stop > self._directory_start:
            raise MemberError("its data run into the directory")
        while position < stop:
            block = os.pread(self._descriptor, min(step_bytes, stop - position), position)
            if not block:
                raise MemberError("the file ends in the middle of it")
            position += len(block)
            yield block

    def changed(self) -> bool:
        """Whether the file was written to since it was opened."""
        return _identity(os.fstat(self._descriptor)) != self._before

    def verify(self, on_member: Callable[[], None] = lambda: None) -> Verification:
        """Read everything once: the file for its SHA-256, and every member to its end with its checksum.

        Members of an archive that is not safe are not unpacked.
        """
        sha256 = self._sha256()
        damaged: list[str] = []
        reason = ""
        for member in range(len(self.names)) if self.is_safe else ():
            try:
                for _ in self.chunks(member):
                    pass
            except MemberError as error:
                damaged.append(self.names[member])
                reason = reason or f"{self.names[member]}: {error}"
            on_member()
        issues = (
            [Issue.of(Code.ARCHIVE_CORRUPT, f"{len(damaged)} members are damaged; {reason}", files=damaged)]
            if damaged
            else []
        )
        return Verification(sha256, issues, self.changed())

    def _sha256(self) -> str:
        digest = hashlib.sha256()
        position = 0
        while block := os.pread(self._descriptor, _CHUNK_BYTES, position):
            digest.update(block)
            position += len(block)
        return digest.hexdigest()


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_size, status.st_mtime_ns


def _not_a_zip(head: bytes, size_bytes: int) -> Issue:
    """Returns the issue for a file without an end record: cut off if it may have begun as a ZIP,
    else something else.
    """
    if head.startswith(b"PK\7\x08"):
        message = f"the file has {size_bytes} bytes and is the first part of an archive in several parts"
        return Issue.of(Code.ARCHIVE_TRUNCATED, message, fix=central_directory.FIX_FOR_PARTS)
    may_be_zip = head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")) or b"PK\3\4".startswith(head)
    if may_be_zip or not any(head):
        return Issue.of(Code.ARCHIVE_TRUNCATED, f"the file has {size_bytes} bytes and no directory at its end")
    kind = next((kind for magic, kind in _OTHER_FORMATS.items() if head.startswith(magic)), None)
    if head[_TAR_PLACE:].startswith(_TAR):
        kind = "a tar archive"
    elif _WEB_PAGE.match(head):
        kind = "a web page: what was to be downloaded needs a login, perhaps, or is elsewhere now"
    return Issue.of(Code.ARCHIVE_NOT_A_ZIP, f"the file is {kind}" if kind else "the file does not begin like a ZIP")
