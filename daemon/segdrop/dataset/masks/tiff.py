"""The numbers of a TIFF as they are stored: of 8, 16, 32 and 64 bits, in any number of bands, which Pillow has not.

predict.py of a result holds this text, so it needs nothing but numpy and Pillow. Sources: TIFF 6.0, sections 2, 14 and
15; BigTIFF; Adobe Photoshop TIFF technical note 3 (predictor 3); GDAL, "GTiff" (tag 42113).
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

_TIFF_KINDS = {1: "B", 2: "s", 3: "H", 4: "L", 6: "b", 8: "h", 9: "l", 11: "f", 12: "d", 13: "L", 16: "Q", 18: "Q"}
_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC = 254, 256, 257, 258, 259, 262
_STRIPS, _ORIENTATION, _SAMPLES, _STRIP_ROWS, _STRIP_BYTES, _PLANES, _PREDICTOR = 273, 274, 277, 278, 279, 284, 317
_TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA, _FORMAT, _NO_DATA = 322, 323, 324, 325, 338, 339, 42113
_WANTED = frozenset(
    {_SUBFILE, _WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS, _ORIENTATION, _SAMPLES, _STRIP_ROWS}
    | {_STRIP_BYTES, _PLANES, _PREDICTOR, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, _EXTRA, _FORMAT, _NO_DATA}
)
_STORED, _DEFLATED = 1, (8, 32946)
#: LZW, PackBits, Zstandard, LZMA: libtiff unpacks them for us
_PACKED = (5, 32773, 50000, 34925)
_BY_COLUMN, _BY_BYTE = 2, 3
_REDUCED_OR_MASK = 5  # the bits of pages that are no pictures of their own
_MOST_PAGES, _MOST_TAGS, _MOST_SAMPLES = 1000, 512, 4096
_SHOWN_BANDS = 3


class TiffError(Exception):
    """A TIFF whose numbers cannot be had. Its text is the reason."""


@dataclass(frozen=True, slots=True)
class Tiff:
    """The first page of a TIFF as its header describes it."""

    order: str  #: of bytes, as ``struct`` has it
    tags: dict[int, Any] = field(repr=False)  #: tuples of numbers, text as bytes
    num_pages: int  #: of the first one's size; smaller copies for zooming do not count

    def number(self, tag: int, default: int) -> int:
        """Returns the first number of a tag."""
        values = self.tags.get(tag)
        return int(values[0]) if values else default

    @property
    def size(self) -> tuple[int, int]:
        """(width, height) as stored."""
        return self.number(_WIDTH, 0), self.number(_HEIGHT, 0)

    @property
    def bits(self) -> int:
        """Bits of the deepest band."""
        return int(max(self.tags.get(_BITS) or (1,)))

    @property
    def num_samples(self) -> int:
        """Numbers of a pixel: bands and alpha."""
        return self.number(_SAMPLES, 1)

    @property
    def num_bands(self) -> int:
        """Bands of a pixel without alpha."""
        return max(1, self.num_samples - sum(kind in (1, 2) for kind in self.tags.get(_EXTRA) or ()))

    @property
    def orientation(self) -> int:
        """Returns how to turn it, 1 to 8 as in EXIF."""
        return self.number(_ORIENTATION, 1)

    @property
    def is_plain(self) -> bool:
        """Whether its numbers are light, not indices of a palette or parts of another colour space."""
        return self.number(_PHOTOMETRIC, 1) in (0, 1, 2)

    @property
    def no_data(self) -> float | None:
        """The number that stands for no data, or None."""
        text = self.tags.get(_NO_DATA)
        try:
            return float(text.rstrip(b"\0 ")) if isinstance(text, bytes) else None
        except ValueError:
            return None


def tiff(content: bytes) -> Tiff | None:
    """Returns the description of a TIFF, or None where the bytes are none or its header is damaged."""
    if content[:4] not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return None
    order, is_big = "<" if content[0] == ord("I") else ">", content[2:4].strip(b"\0") == b"+"
    try:
        (position,) = struct.unpack_from(f"{order}{'Q' if is_big else 'L'}", content, 8 if is_big else 4)
        first, position = _tiff_tags(content, order, position, _WANTED, is_big=is_big)
        found = Tiff(order, first, 1)
        pages = _later_pages(content, order, position, is_big=is_big)
        return Tiff(order, first, 1 + sum(Tiff(order, page, 1).size == found.size for page in pages))
    except (struct.error, KeyError, ValueError):
        return None


def _later_pages(content: bytes, order: str, position: int, *, is_big: bool) -> Iterator[dict[int, Any]]:
    """Yields the tags of the pages after the first, but for smaller copies and masks."""
    seen: set[int] = set()
    while position and position not in seen and len(seen) < _MOST_PAGES:
        seen.add(position)
        try:
            tags, position = _tiff_tags(content, order, position, frozenset({_SUBFILE, _WIDTH, _HEIGHT}), is_big=is_big)
        except (struct.error, KeyError, ValueError):
            return
        if not (tags.get(_SUBFILE) or (0,))[0] & _REDUCED_OR_MASK:
            yield tags


def _tiff_tags(
    content: bytes, order: str, position: int, wanted: frozenset[int], *, is_big: bool
) -> tuple[dict[int, Any], int]:
    """Returns the wanted tags of a page, and where the next page is described."""
    count_layout, entry_layout, next_layout = ("Q", "HHQ8s", "Q") if is_big else ("H", "HHL4s", "L")
    (count,) = struct.unpack_from(order + count_layout, content, position)
    start, size = position + struct.calcsize(f"={count_layout}"), struct.calcsize(f"={entry_layout}")
    (following,) = struct.unpack_from(order + next_layout, content, start + count * size)
    tags: dict[int, Any] = {}
    for place in range(start, start + min(count, _MOST_TAGS) * size, size):
        tag, kind, number, value = struct.unpack_from(order + entry_layout, content, place)
        if tag not in wanted:
            continue
        length = number * struct.calcsize(f"={_TIFF_KINDS[kind]}")
        if length > len(content):
            raise ValueError("a tag is longer than the file")
        if length > len(value):
            (offset,) = struct.unpack(order + next_layout, value)
            value = content[offset : offset + length]
        fields = struct.unpack_from(f"{order}{number}{_TIFF_KINDS[kind]}", value)
        tags[tag] = fields[0] if _TIFF_KINDS[kind] == "s" else fields
    return tags, following


def tiff_numbers(content: bytes, page: Tiff) -> npt.NDArray[Any]:
    """Returns the numbers of the first three bands, or of the first where there are two: (height, width, bands) as
    stored, not turned. Raises TiffError where they are stored in a way that is not read.
    """
    (width, height), dtype = page.size, _tiff_type(page)
    is_planar = page.number(_PLANES, 1) == 2 and page.num_samples > 1  # noqa: PLR2004  (band by band)
    num_bands = _SHOWN_BANDS if page.num_bands >= _SHOWN_BANDS else 1
    across, down, offsets, lengths = _chunks(page)
    num_inner = 1 if is_planar else page.num_samples
    found = np.zeros((height, width, num_bands), dtype.newbyteorder("="))
    columns, rows = -(-width // across), -(-height // down)
    for number in range(columns * rows * (num_bands if is_planar else 1)):
        band, place = divmod(number, columns * rows)
        top, left = place // columns * down, place % columns * across
        is_tiled = _TILES in page.tags
        num_rows = down if is_tiled else min(down, height - top)
        if number >= min(len(offsets), len(lengths)):
            raise TiffError("a part of its pixels is missing")
        packed = content[offsets[number] : offsets[number] + lengths[number]]
        block = _chunk(page, packed, dtype, (num_rows, across, num_inner))
        part = block[: height - top, : width - left]
        if is_planar:
            found[top : top + num_rows, left : left + across, band] = part[..., 0]
        else:
            found[top : top + num_rows, left : left + across] = part[..., :num_bands]
    return found


def _tiff_type(page: Tiff) -> np.dtype[Any]:
    """Returns the type of a TIFF's numbers. Raises TiffError for types that are not read."""
    bits, kinds = set(page.tags.get(_BITS) or (1,)), set(page.tags.get(_FORMAT) or (1,))
    width, height = page.size
    if len(bits) != 1 or len(kinds) != 1 or not 1 <= page.num_samples <= _MOST_SAMPLES or not (width and height):
        raise TiffError("its bands differ in their bits")
    letter = {1: "u", 2: "i", 3: "f", 4: "u"}.get(kinds.pop())
    size = page.bits // 8
    if letter is None or page.bits % 8 or size not in (1, 2, 4, 8) or (letter == "f" and size == 1):
        raise TiffError(f"its bands have {page.bits} bits in an unusual form")
    return np.dtype(f"{page.order}{letter}{size}")


def _chunks(page: Tiff) -> tuple[int, int, tuple[int, ...], tuple[int, ...]]:
    """Returns width and height of a TIFF's tiles or strips, where each begins, and how long each is."""
    width, height = page.size
    if _TILES in page.tags:
        across, down = page.number(_TILE_WIDTH, 0), page.number(_TILE_HEIGHT, 0)
        offsets, lengths = page.tags[_TILES], page.tags.get(_TILE_BYTES, ())
    else:
        across, down = width, min(page.number(_STRIP_ROWS, height), height)
        offsets, lengths = page.tags.get(_STRIPS, ()), page.tags.get(_STRIP_BYTES, ())
    if across <= 0 or down <= 0 or across * down > 16 * (width * height + (1 << 16)):
        raise TiffError("its tiles have no sensible size")
    return across, down, offsets, lengths


def _chunk(page: Tiff, packed: bytes, dtype: np.dtype[Any], shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    """Returns one tile or strip, in the computer's own byte order."""
    rows, across, samples = shape
    row_bytes = across * samples * dtype.itemsize
    flat = _unpacked(page.number(_COMPRESSION, 1), packed, row_bytes, rows)
    if len(flat) < rows * row_bytes:
        raise TiffError("its pixels end too early")
    flat = flat[: rows * row_bytes]
    match page.number(_PREDICTOR, 1):
        case 1:
            return np.frombuffer(flat, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)
        case 2:
            steps = np.frombuffer(flat, dtype).reshape(shape).astype(dtype.newbyteorder("="))
            return np.asarray(np.cumsum(steps, axis=1, dtype=steps.dtype))
        case 3:
            steps = np.frombuffer(flat, np.uint8).reshape(rows, -1, samples)
            planes = np.cumsum(steps, axis=1, dtype=np.uint8).reshape(rows, dtype.itemsize, across * samples)
            mixed = np.ascontiguousarray(planes.transpose(0, 2, 1)).view(dtype.newbyteorder(">"))
            return mixed.reshape(shape).astype(dtype.newbyteorder("="))
    raise TiffError("its predictor is unknown")


def _unpacked(compression: int, packed: bytes, row_bytes: int, rows: int) -> bytes:
    """Returns the bytes of a strip or tile. Raises TiffError for a compression that is not read."""
    if compression == _STORED:
        return packed
    try:
        if compression in _DEFLATED:
            return zlib.decompressobj().decompress(packed, row_bytes * rows)
        if compression in _PACKED:
            return _by_libtiff(compression, packed, row_bytes, rows)
    except (zlib.error, OSError, ValueError) as error:
        raise TiffError(f"its pixels do not unpack ({error})") from error
    raise TiffError(f"its compression (number {compression}) keeps no exact numbers, or is not read")


def _by_libtiff(compression: int, packed: bytes, row_bytes: int, rows: int) -> bytes:
    """Returns bytes that libtiff unpacks when they are given to it as a grey picture."""
    fields = ((_WIDTH, row_bytes), (_HEIGHT, rows), (_BITS, 8), (_COMPRESSION, compression), (_PHOTOMETRIC, 1))
    places = ((_STRIPS, 8 + 2 + 9 * 12 + 4), (_SAMPLES, 1), (_STRIP_ROWS, rows), (_STRIP_BYTES, len(packed)))
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in fields + places)
    header = b"II*\0" + struct.pack("<LH", 8, 9) + entries + struct.pack("<L", 0)
    with Image.open(io.BytesIO(header + packed), formats=("TIFF",)) as image:
        return image.tobytes()
