"""Images as base64 texts in a JSON: ``{"image_names": [...], "images": [...]}``, with its keys in any order.

The file is read twice as a stream: first for its names and its form, then image by image, so that one image at a time
is in memory. Sources: RFC 4648, base64; RFC 2397, ``data:`` URLs.
"""

import binascii
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from segdrop import regular_files
from segdrop.codes import Code, Severity
from segdrop.dataset.archive import image_headers
from segdrop.dataset.image_tally import ImageTally
from segdrop.dataset.masks import decode, image_reading
from segdrop.dataset.masks.deep_values import DeepRange
from segdrop.dataset.unlabelled.image_files import skipped
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.json_reader import JsonReader, JsonStreamError
from segdrop.dataset.unlabelled.source import Begin, untold
from segdrop.dataset.unlabelled.stems import readable, stems
from segdrop.errors import DataError, Issue
from segdrop.spec import Limits

_NAMES, _IMAGES = "image_names", "images"
_MAX_NAME_BYTES = 1024
_MAX_OTHER_KEYS = 20
_BLANKS = b" \t\r\n"
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_DATA_URL = b"data:"
_LONGEST_DATA_PREFIX = 256
_GROUP = 4  # characters that stand for three bytes


class Base64Error(Exception):
    """A text is no base64. The message says why."""


class JsonImages:
    """The images of a JSON; a :class:`~segdrop.dataset.unlabelled.source.Source`. Names are labels, never paths."""

    def __init__(self, path: Path, name: str, limits: Limits, deep_range: DeepRange | None = None) -> None:
        """Reads the file once, for its form. Raises DataError where that is at fault, and OSError."""
        decode.configure(limits.max_image_pixels)
        self._path, self._file_name, self._limits, self._deep_range = path, readable(name), limits, deep_range
        self._tally = ImageTally()
        outline = self._read_outline()
        self.sizes = outline.sizes  #: pixels of each image by its header, 0 where none is known
        self.count = len(outline.sizes)
        self.names = labels(outline.names, self.count)
        self.form_issues = outline.issues(self._file_name)  #: about names and keys

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Does nothing: the file is open only while it is read."""

    def _read_outline(self) -> "_Outline":
        with regular_files.open_binary(self._path) as stream:
            size, most = os.fstat(stream.fileno()).st_size, self._limits.max_json_bytes
            if size > most:
                message = f"{self._file_name} has {size} bytes; the limit for a JSON with images is {most}"
                raise DataError([Issue.of(Code.INPUT_TOO_LARGE, message, files=[self._file_name])])
            try:
                return _outline(JsonReader(stream), self._limits.max_json_images)
            except JsonStreamError as error:
                raise self._broken(str(error)) from error
            except _TooManyError:
                message = f"{self._file_name} holds more than {self._limits.max_json_images} images"
                raise DataError([Issue.of(Code.INPUT_TOO_MANY_IMAGES, message, files=[self._file_name])]) from None

    def _broken(self, reason: str) -> DataError:
        message = f"{self._file_name}: {reason}"
        return DataError([Issue.of(Code.INPUT_JSON_BROKEN, message, files=[self._file_name])])

    def items(self, start: int = 0, begin: Begin = untold) -> Iterator[Item | SkippedItem]:
        """Yields the images in the order of the list, without decoding those before ``start``."""
        places = stems([name.replace("/", "_").replace("\\", "_") for name in self.names])
        with regular_files.open_binary(self._path) as stream:
            try:
                yield from self._items(JsonReader(stream), places, start, begin)
            except JsonStreamError as error:  # somebody has written to it since it was read
                raise self._broken(str(error)) from error

    def _items(self, reader: JsonReader, places: list[str], start: int, begin: Begin) -> Iterator[Item | SkippedItem]:
        for key in reader.keys():  # noqa: SIM118  (no dictionary)
            if key != _IMAGES:
                reader.skip()
                continue
            for index in reader.entries():
                if index < start or index >= self.count:
                    reader.skip()
                    continue
                begin(index, self.names[index])
                yield self._item(reader, index, places[index])

    def _item(self, reader: JsonReader, index: int, stem: str) -> Item | SkippedItem:
        name = self.names[index]
        if not reader.is_text():
            reader.skip()
            return self._no_base64(index, "it is no text")
        try:
            content = from_base64(reader.latin_pieces())
            pixels, facts = image_reading.read_whole(content, self._deep_range)
        except Base64Error as error:
            return self._no_base64(index, str(error))
        except decode.DecodeError as error:
            return skipped(index, name, error)
        self._tally.add(name, facts)
        return Item(index, name, stem, pixels)

    def _no_base64(self, index: int, reason: str) -> SkippedItem:
        name = self.names[index]
        message = f"image {index + 1} ({name}): {reason}; it was left out"
        issue = Issue.of(Code.INPUT_JSON_IMAGE_BROKEN, message, files=[name], severity=Severity.WARNING)
        return SkippedItem(index, name, issue)

    def issues(self) -> list[Issue]:
        """Returns what of the images was not read as it stands: bands, pages, transparency."""
        return self._tally.issues()


class _TooManyError(Exception):
    """There are more images than allowed."""


class _Outline:
    """The form of a JSON: its names, the sizes of its images, and the keys that mean nothing here."""

    def __init__(self) -> None:
        self.names: list[str | None] | None = None
        self.sizes: list[int] = []
        self.others: list[str] = []

    def issues(self, file_name: str) -> list[Issue]:
        """Returns what there is to say of it."""
        found = []
        named, count = sum(name is not None for name in self.names or ()), len(self.sizes)
        if self.names is not None and (named != count or len(self.names) != count):
            message = f"{file_name} has {count} images, and {named} names in `{_NAMES}`"
            found.append(Issue.of(Code.INPUT_JSON_NAMES, message))
        if self.others:
            message = f"{file_name} has keys beside `{_NAMES}` and `{_IMAGES}`: {', '.join(self.others)}"
            found.append(Issue.of(Code.INPUT_JSON_OTHER_KEYS, message))
        return found


def _outline(reader: JsonReader, most_images: int) -> _Outline:
    """Returns the form of a JSON. Raises JsonStreamError where it is none that holds images, and _TooManyError."""
    found = _Outline()
    seen: set[str] = set()
    for key in reader.keys():  # noqa: SIM118  (no dictionary)
        if key not in (_NAMES, _IMAGES):
            found.others += [readable(key)[:40]] if len(found.others) < _MAX_OTHER_KEYS else []
            reader.skip()
            continue
        if key in seen or not reader.is_list():
            reason = "stands there a second time" if key in seen else "is no list"
            raise JsonStreamError(f"byte {reader.position}: `{key}` {reason}")
        seen.add(key)
        if key == _NAMES:
            found.names = list(_names(reader, most_images))
        else:
            found.sizes = list(_sizes(reader, most_images))
    reader.finish()
    if _IMAGES not in seen:
        raise JsonStreamError(f"it has no key `{_IMAGES}`" + _hint(found.others))
    if not found.sizes:
        raise JsonStreamError(f"`{_IMAGES}` is an empty list")
    return found


def _hint(others: list[str]) -> str:
    return f", but {', '.join(others)}" if others else ""


def _names(reader: JsonReader, most: int) -> Iterator[str | None]:
    for number in reader.entries():
        if number >= most:
            raise _TooManyError
        if reader.is_text():
            yield reader.text(_MAX_NAME_BYTES)
        else:
            reader.skip()
            yield None


def _sizes(reader: JsonReader, most: int) -> Iterator[int]:
    """Yields the pixels of each image by its header; 0 where it has none that is known."""
    for number in reader.entries():
        if number >= most:
            raise _TooManyError
        if reader.is_text():
            yield _pixels(decoded(reader.latin_pieces()))
        else:
            reader.skip()
            yield 0


def _pixels(pieces: Generator[bytes, None, None]) -> int:
    try:
        extent = image_headers.extent(pieces)
    except Base64Error:
        return 0
    finally:
        pieces.close()  # which reads the text to its end
    return extent.num_pixels if extent else 0


def labels(names: list[str | None] | None, count: int) -> list[str]:
    """Returns a name for each of ``count`` images: the given one, or ``image_0001`` and so on where there is none."""
    given = (names or [])[:count] + [None] * (count - len(names or []))
    return [
        readable(name) if name is not None and name.strip() else f"image_{number:04}"
        for number, name in enumerate(given, start=1)
    ]


def from_base64(pieces: Iterator[bytes]) -> bytes:
    """Returns the bytes that a base64 text in pieces stands for; the text is read to its end whatever it holds.

    A ``data:`` prefix, blanks and line ends, the alphabet for URLs and missing padding are taken as they are meant.
    Raises Base64Error for all else.
    """
    content = b"".join(decoded(pieces))
    if not content:
        raise Base64Error("it is empty")
    return content


def decoded(pieces: Iterator[bytes]) -> Generator[bytes, None, None]:
    """Yields the bytes of a base64 text piece by piece; at the end, also an early one, its text is read to its end."""
    rest, is_padded = b"", False
    try:
        for number, piece in enumerate(pieces):
            text = rest + (_without_prefix(piece, pieces) if number == 0 else piece)
            text = text.translate(_URL_SAFE, _BLANKS)
            whole = len(text) // _GROUP * _GROUP
            rest = text[whole:]
            if whole and is_padded:
                raise Base64Error("something comes behind the padding (=)")
            yield binascii.a2b_base64(text[:whole], strict_mode=True)
            is_padded |= text[:whole].endswith(b"=")
        yield _last(rest, is_padded=is_padded)
    except binascii.Error as error:
        raise Base64Error(f"it is no base64 ({error})") from error
    finally:
        for _ in pieces:
            pass


def _last(rest: bytes, *, is_padded: bool) -> bytes:
    """Returns the bytes of what is left at the end, whose padding may be missing."""
    if not rest:
        return b""
    if is_padded or len(rest.rstrip(b"=")) < 2:  # noqa: PLR2004  (one byte takes two characters)
        raise Base64Error("it is no base64 (it was cut off, or a character is missing)")
    return binascii.a2b_base64(rest.rstrip(b"=").ljust(_GROUP, b"="), strict_mode=True)


def _without_prefix(piece: bytes, pieces: Iterator[bytes]) -> bytes:
    """Returns the first piece of a text without the prefix of a ``data:`` URL."""
    text = piece.lstrip(_BLANKS)
    while len(text) < len(_DATA_URL) and _DATA_URL.startswith(text) and (following := next(pieces, b"")):
        text = (text + following).lstrip(_BLANKS)
    if text[: len(_DATA_URL)].lower() != _DATA_URL:
        return text
    while b"," not in text and len(text) < _LONGEST_DATA_PREFIX and (following := next(pieces, b"")):
        text += following
    prefix, comma, rest = text.partition(b",")
    if not comma or not prefix.rstrip().lower().endswith(b";base64"):
        raise Base64Error("it is a data: URL that is not in base64")
    return rest
