"""A JSON text of one object, read as a stream: no more of it is in memory at a time than one piece.

It knows just what a file of images needs: keys, lists of texts, texts in pieces, and how to pass over all else. Source:
RFC 8259.
"""

import json
import re
from collections.abc import Iterator
from typing import BinaryIO

from segdrop import text_faults

_PIECE_BYTES = 1 << 16
_BOM = b"\xef\xbb\xbf"
_BLANKS = re.compile(rb"[ \t\r\n]*+")
#: whole characters and escapes of a text, up to its end, or to an escape that is not whole yet. Line ends within a
#: text are no JSON, and base64 that was broken into lines by hand has them.
_TEXT = re.compile(rb'(?:[^"\\]++|\\u[0-9a-fA-F]{4}|\\["\\/bfnrt])*+')
_SCALAR = re.compile(rb"true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_LONGEST_SCALAR_BYTES = 1024
_LONGEST_ESCAPE_BYTES = 6
_MAX_NESTING = 64
_NON_ASCII = bytes(range(128, 256))
_SHOWN_BYTES = 20


class JsonStreamError(Exception):
    """The text is no JSON. The message says where and why."""


class JsonReader:
    """The position in a JSON text. Each method reads on from there, and raises ``JsonStreamError`` where it cannot."""

    def __init__(self, stream: BinaryIO) -> None:
        """Begins at the start of ``stream``, which holds UTF-8, with a byte order mark or without."""
        self._stream = stream
        self._passed = 0  #: bytes before the buffer
        self._buffer = b""
        self._at = 0
        self._fill(_PIECE_BYTES)
        if words := text_faults.encoding_fault(self._buffer[:64].rstrip(_NON_ASCII)):
            raise JsonStreamError(words)
        if self._buffer.startswith(_BOM):
            self._at = len(_BOM)

    @property
    def position(self) -> int:
        """Number of bytes that were read, from the start of the stream."""
        return self._passed + self._at

    def keys(self) -> Iterator[str]:
        """Yields the keys of the object that comes next; who iterates reads the value after each of them."""
        self._expect(b"{")
        if self._accept(b"}"):
            return
        while True:
            key = self.text(_LONGEST_SCALAR_BYTES)
            self._expect(b":", "a colon")
            yield key
            if self._accept(b"}"):
                return
            self._expect(b",", "a comma or the closing bracket }")

    def entries(self) -> Iterator[int]:
        """Yields the number of each entry of the list that comes next; who iterates reads the entry."""
        self._expect(b"[")
        if self._accept(b"]"):
            return
        number = 0
        while True:
            yield number
            number += 1
            if self._accept(b"]"):
                return
            self._expect(b",", "a comma or the closing bracket ]")

    def is_text(self) -> bool:
        """Whether the next value is a text."""
        return self._peek() == b'"'

    def is_list(self) -> bool:
        """Whether the next value is a list."""
        return self._peek() == b"["

    def text(self, most_bytes: int) -> str:
        """Returns the text that comes next; of one that is longer than ``most_bytes``, so much of it."""
        kept = bytearray()
        for piece in self._raw_text():
            kept += piece[: max(0, most_bytes - len(kept))]
        # an escape or a character that was cut at the end is dropped
        whole = _TEXT.match(kept)
        content = bytes(kept[: whole.end()]) if whole else b""
        try:
            text = content.decode("utf-8") if len(kept) < most_bytes else content.decode("utf-8", "ignore")
        except UnicodeDecodeError:
            raise self._error("a text that is not UTF-8: save the file as UTF-8") from None
        return str(json.loads(f'"{text}"', strict=False))

    def latin_pieces(self) -> Iterator[bytes]:
        """Yields the text that comes next in pieces, of which characters beyond Latin-1 are question marks."""
        for piece in self._raw_text():
            if b"\\" in piece:
                unescaped = json.loads(f'"{piece.decode("latin-1")}"', strict=False)
                yield unescaped.encode("latin-1", "replace")
            else:
                yield piece

    def skip(self) -> None:
        """Passes over the value that comes next, whatever it is."""
        self._skip(0)

    def finish(self) -> None:
        """Makes sure that nothing comes any more."""
        if self._peek():
            raise self._error("something more behind the end")

    def _skip(self, depth: int) -> None:
        if depth > _MAX_NESTING:
            raise self._error("lists or objects nested too deeply")
        match self._peek():
            case b'"':
                for _ in self._raw_text():
                    pass
            case b"[":
                for _ in self.entries():
                    self._skip(depth + 1)
            case b"{":
                for _ in self.keys():
                    self._skip(depth + 1)
            case _:
                self._skip_scalar()

    def _skip_scalar(self) -> None:
        self._fill(_LONGEST_SCALAR_BYTES)
        found = _SCALAR.match(self._buffer, self._at)
        if found is None:
            raise self._unexpected("a value")
        self._at = found.end()

    def _raw_text(self) -> Iterator[bytes]:
        """Yields a text as it stands, escapes whole and in place."""
        self._expect(b'"', 'a text in double quotes (")')
        while True:
            self._fill(_LONGEST_ESCAPE_BYTES)
            found = _TEXT.match(self._buffer, self._at)
            piece = found.group() if found else b""
            self._at += len(piece)
            if piece:
                yield piece
            if self._buffer[self._at : self._at + 1] == b'"':
                self._at += 1
                return
            if not piece:
                raise self._unexpected("the end of a text")

    def _expect(self, character: bytes, words: str = "") -> None:
        if not self._accept(character):
            raise self._unexpected(words or f"the character {character.decode()}")

    def _accept(self, character: bytes) -> bool:
        """Takes the next character if it is that one."""
        if self._peek() != character:
            return False
        self._at += 1
        return True

    def _peek(self) -> bytes:
        """Returns the next character that is no blank, which stays; nothing at the end."""
        while True:
            self._fill(1)
            blanks = _BLANKS.match(self._buffer, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._buffer) or not self._fill(1):
                return self._buffer[self._at : self._at + 1]

    def _fill(self, count: int) -> bool:
        """Reads on until so many bytes are ahead; False where there are none at all."""
        while len(self._buffer) - self._at < count:
            block = self._stream.read(_PIECE_BYTES)
            if not block:
                break
            self._passed += self._at
            self._buffer = self._buffer[self._at :] + block
            self._at = 0
        return self._at < len(self._buffer)

    def _unexpected(self, wanted: str) -> JsonStreamError:
        rest = self._buffer[self._at : self._at + _SHOWN_BYTES]
        if not rest:
            return self._error(f"it ends too early, where {wanted} should be: the file was cut off")
        return self._error(f"{rest.decode('utf-8', 'replace')!r} stands where {wanted} should be")

    def _error(self, reason: str) -> JsonStreamError:
        return JsonStreamError(f"byte {self.position}: {reason}")
