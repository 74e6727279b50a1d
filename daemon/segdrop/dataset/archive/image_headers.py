"""The size of an image as its header says it, read without any library that decodes pixels.

A flat mask that is stored without compression (BMP, TIFF, PGM) packs hundreds of times smaller in a ZIP, as a bomb
does. Its header tells the two apart: it bounds the file to the bytes that its pixels take. What is unknown here has no
bound. Sources: PNG specification, 11.2.2; TIFF 6.0, sections 2 and 8; BigTIFF; netpbm, pnm(5); GIF89a, 18; ITU-T T.81,
B.2.2; the WebP container specification; Microsoft, "Bitmap Storage".
"""

import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_PNM = re.compile(rb"P([1-6])" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 2 + rb"(?:(?:\s|#[^\n]*\n)+(\d{1,5}))?")
_PLAIN_SAMPLE_BYTES = 6  # a sample of a PNM in text has five digits and a blank
_MOST_PAGES, _MOST_SEGMENTS = 10_000, 1_000
_TIFF_KINDS = {3: "H", 4: "L", 16: "Q"}
_WIDTH, _HEIGHT, _BITS, _SAMPLES = 256, 257, 258, 277
_UNKNOWN_BITS = 32
_BYTE = 8


@dataclass(frozen=True, slots=True)
class Extent:
    """The pixels of the largest picture in a file, and the bytes that all of them take without compression."""

    num_pixels: int
    num_bytes: int
    sides: tuple[int, int] = field(default=(0, 0), compare=False)  #: (width, height) as stored


class _Forward:
    """Reads a member's bytes by position, once and from the beginning on: what was passed is gone."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._start, self._block = 0, b""

    def at(self, offset: int, count: int) -> bytes:
        """Returns so many bytes, fewer where the file ends, and none where they were passed."""
        while self._start + len(self._block) < offset + count:
            chunk = next(self._chunks, b"")
            if not chunk:
                break
            kept = self._block[max(0, offset - self._start) :]
            self._start += len(self._block) - len(kept)
            self._block = kept + chunk
        begin = offset - self._start
        return self._block[begin : begin + count] if begin >= 0 else b""

    def unpack(self, layout: str, offset: int) -> tuple[int, ...]:
        """Returns the fields at an offset. Raises struct.error where these bytes cannot be had."""
        return struct.unpack(layout, self.at(offset, struct.calcsize(layout)))


def extent(chunks: Iterator[bytes]) -> Extent | None:
    """Returns the extent of the image that begins with these bytes, or None if it is none, or its header is damaged."""
    source = _Forward(chunks)
    head = source.at(0, 64)
    for magic, read in _READERS:
        if magic.match(head):
            try:
                return read(source)
            except (struct.error, KeyError):
                return None
    return None


def _png(source: _Forward) -> Extent:
    width, height, bits, kind = source.unpack(">LLBB", 16)
    row = (width * _PNG_CHANNELS[kind] * bits + 7) // _BYTE + 1
    # interlaced, there are up to two rows more for each; deflate without compression adds a little
    return Extent(width * height, row * height + 2 * height + row * height // 1000, (width, height))


def _bmp(source: _Forward) -> Extent:
    (size,) = source.unpack("<L", 14)
    if size == 12:  # noqa: PLR2004  (OS/2)
        width, height, _, bits = source.unpack("<4H", 18)
    else:
        width, height, _, bits = source.unpack("<2l2H", 18)
    row = (bits * abs(width) + 31) // 32 * 4
    return Extent(abs(width * height), row * abs(height), (abs(width), abs(height)))


def _pnm(source: _Forward) -> Extent | None:
    match = _PNM.match(source.at(0, 1024))
    if match is None:
        return None
    kind, width, height, most = (int(number or 1) for number in match.groups())
    samples = width * height * (3 if kind in (3, 6) else 1)
    if kind <= 3:  # noqa: PLR2004  (in text)
        return Extent(width * height, samples * _PLAIN_SAMPLE_BYTES, (width, height))
    if kind == 4:  # noqa: PLR2004  (bits)
        return Extent(width * height, (width + 7) // _BYTE * height, (width, height))
    return Extent(width * height, samples * (1 if most < 1 << _BYTE else 2), (width, height))


def _gif(source: _Forward) -> Extent:
    width, height = source.unpack("<2H", 6)
    return Extent(width * height, 2 * width * height, (width, height))


def _jpeg(source: _Forward) -> Extent | None:
    position = 2
    for _ in range(_MOST_SEGMENTS):
        mark, kind, size = source.unpack(">BBH", position)
        if mark != 0xFF:  # noqa: PLR2004  (no marker)
            return None
        if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):  # noqa: PLR2004  (a start of frame)
            height, width = source.unpack(">2H", position + 5)
            return Extent(width * height, 4 * width * height, (width, height))
        position += 2 + size
    return None


def _webp(source: _Forward) -> Extent | None:
    kind = source.at(12, 4)
    if kind == b"VP8 ":
        width, height = (side & 0x3FFF for side in source.unpack("<2H", 26))
    elif kind == b"VP8L":
        (bits,) = source.unpack("<L", 21)
        width, height = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    else:
        width, height = (1 + int.from_bytes(source.at(place, 3), "little") for place in (24, 27))
    return Extent(width * height, 4 * width * height, (width, height))


def _tiff(source: _Forward) -> Extent | None:
    order = "<" if source.at(0, 2) == b"II" else ">"
    (version,) = source.unpack(f"{order}H", 2)
    is_big = version == 43  # noqa: PLR2004  (BigTIFF)
    (position,) = source.unpack(f"{order}{'Q' if is_big else 'L'}", 8 if is_big else 4)
    pages: list[Extent] = []
    passed = 0
    while position > passed and len(pages) < _MOST_PAGES:
        try:
            page, following = _tiff_page(source, order, position, is_big=is_big)
        except (struct.error, KeyError):
            break  # what is known so far
        pages.append(page)
        passed, position = position, following
    if not pages:
        return None
    largest = max(pages, key=lambda page: page.num_pixels)
    return Extent(largest.num_pixels, sum(page.num_bytes for page in pages), largest.sides)


def _tiff_page(source: _Forward, order: str, position: int, *, is_big: bool) -> tuple[Extent, int]:
    """Returns a page's extent, and where the next one is described."""
    count_layout, entry_layout, next_layout = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHL4s", "L")
    (count,) = source.unpack(order + count_layout, position)
    start, size = position + struct.calcsize(f"={count_layout}"), struct.calcsize(f"={entry_layout}")
    values = {_BITS: _BYTE, _SAMPLES: 1}
    block = source.at(start, min(count, 1 << 12) * size)
    for tag, kind, number, value in struct.iter_unpack(order + entry_layout, block[: len(block) // size * size]):
        if tag in (_WIDTH, _HEIGHT, _BITS, _SAMPLES):
            layout = _TIFF_KINDS[kind]
            fits = number * struct.calcsize(f"={layout}") <= len(value)
            values[tag] = struct.unpack_from(order + layout, value)[0] if fits else _UNKNOWN_BITS
    row = (values[_WIDTH] * values[_SAMPLES] * values[_BITS] + 7) // _BYTE
    (following,) = source.unpack(order + next_layout, start + count * size)
    sides = values[_WIDTH], values[_HEIGHT]
    return Extent(sides[0] * sides[1], row * sides[1], sides), following


_READERS: tuple[tuple[re.Pattern[bytes], Callable[[_Forward], Extent | None]], ...] = (
    (re.compile(rb"\x89PNG\r\n\x1a\n.{4}IHDR", re.DOTALL), _png),
    (re.compile(rb"BM"), _bmp),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), _tiff),
    (re.compile(rb"P[1-6][\s#]"), _pnm),
    (re.compile(rb"GIF8[79]a"), _gif),
    (re.compile(rb"\xff\xd8\xff"), _jpeg),
    (re.compile(rb"RIFF.{4}WEBP", re.DOTALL), _webp),
)
