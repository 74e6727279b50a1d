"""The ends of images: whether all of one is there, by what its own format says. The daemon decodes nothing.

Every function returns whether an image is whole, and raises EOFError or IndexError where it ends too early to tell.

Formats: JPEG in ITU-T T.81, annex B; PNG 3rd edition, sections 5.3 and 11.2.5; GIF89a, sections 17 to 27; BMP's file
header (Windows GDI, ``BITMAPFILEHEADER``); TIFF 6.0, section 2, and BigTIFF; Netpbm's pages of pbm, pgm and ppm;
JPEG 2000's codestream in ITU-T T.800, annex A; QOI 1.0; TGA 2.0, the footer.
"""

import re
import struct
from typing import ClassVar

from segdrop.intake.open_file import OpenFile

#: How far from its end the end of an image is looked for: cameras and phones append data of their own.
_TAIL_BYTES = 1 << 16
_MAX_SEGMENTS = 1 << 12
_MAX_DIRECTORIES = 1 << 9
_MAX_STRIPS = 1 << 18
_MAX_GIF_BYTES = 1 << 22
_MAX_GIF_BLOCKS = 1 << 17

_FILL, _START_OF_SCAN = 0xFF, 0xDA
_END_OF_IMAGE = b"\xff\xd9"
_PNG_END = b"\0\0\0\0IEND\xaeB`\x82"
_QOI_END = b"\0\0\0\0\0\0\0\1"
_TGA_END = b"TRUEVISION-XFILE.\0"
_GIF_END = b"\0;"


def jpeg(file: OpenFile) -> bool:
    """Whether there is an end of image after the first scan begins: a preview in the header has one, too."""
    return _END_OF_IMAGE in file.tail(_TAIL_BYTES, since=_first_scan(file))


def _first_scan(file: OpenFile) -> int:
    """Returns where the coded pixels of a JPEG begin."""
    position = 2
    for _ in range(_MAX_SEGMENTS):
        mark, marker, length = file.unpack(">BBH", position)
        if mark != _FILL or length < 2:  # noqa: PLR2004  (a length counts its own two bytes)
            break
        if marker == _FILL:
            position += 1
            continue
        position += 2 + int(length)
        if marker == _START_OF_SCAN:
            return position
    raise EOFError


def png(file: OpenFile) -> bool:
    """Whether there is an IEND chunk."""
    return _PNG_END in file.tail(_TAIL_BYTES)


def codestream(file: OpenFile) -> bool:
    """Whether a JPEG 2000 codestream ends with its marker."""
    return file.tail(2) == _END_OF_IMAGE


def qoi(file: OpenFile) -> bool:
    """Whether the end mark of QOI is there."""
    return file.tail(len(_QOI_END)) == _QOI_END


def tga(file: OpenFile) -> bool:
    """Whether the footer of a TGA of version 2 is there. Older ones have no end of their own."""
    return file.tail(len(_TGA_END)) == _TGA_END


def gif(file: OpenFile) -> bool:
    """Whether the blocks of a GIF lead to its trailer; of a large one, whether it ends like one."""
    if file.size > _MAX_GIF_BYTES:
        return file.tail(2) == _GIF_END
    data = file.at(0, file.size)
    position = 13 + _colour_table_bytes(data[10])
    for _ in range(_MAX_GIF_BLOCKS):
        match data[position]:
            case 0x3B:  # the trailer
                return True
            case 0x21:  # an extension: a label, then data
                position = _after_data(data, position + 2)
            case 0x2C:  # an image: its place, its colours, the width of its codes, then data
                position = _after_data(data, position + 11 + _colour_table_bytes(data[position + 9]))
            case _:
                return False
    return False


def _colour_table_bytes(packed: int) -> int:
    """Returns the size of the table of colours that follows a descriptor with these flags."""
    return 3 << ((packed & 7) + 1) if packed & 0x80 else 0


def _after_data(data: bytes, position: int) -> int:
    """Returns where a chain of data blocks ends, each of which begins with its length; a length of 0 ends it."""
    for _ in range(_MAX_GIF_BLOCKS):
        length = data[position]
        position += 1 + length
        if length == 0:
            return position
    raise EOFError


def bmp(file: OpenFile) -> bool:
    """Whether a BMP has as many bytes as its header says."""
    size, pixels = file.unpack("<2xI4xI", 0)
    return bool(pixels < size <= file.size)


_GAP = rb"(?:\s|#[^\n]*\n)+"
_NUMBER = rb"(\d{1,9})"
_BITMAP = re.compile(rb"P4" + _GAP + _NUMBER + _GAP + _NUMBER + rb"\s")
_PIXMAP = re.compile(rb"P([56])" + (_GAP + _NUMBER) * 3 + rb"\s")


def netpbm(file: OpenFile) -> bool:
    """Whether a binary PBM, PGM or PPM has as many pixels as its header says."""
    head = file.at(0, 1 << 12)
    if found := _BITMAP.match(head):
        width, height = map(int, found.groups())
        return found.end() + (width + 7) // 8 * height <= file.size
    if found := _PIXMAP.match(head):
        kind, width, height, most = map(int, found.groups())
        channels, depth_bytes = {5: 1, 6: 3}[kind], 1 if most < 256 else 2  # noqa: PLR2004  (values of a byte)
        return found.end() + width * height * channels * depth_bytes <= file.size
    return False


# TIFF


def tiff(file: OpenFile) -> bool:
    """Whether all directories of a TIFF and all pixels that they name are within the file."""
    order = "<" if file.at(0, 2) == b"II" else ">"
    (version,) = file.unpack(order + "H", 2)
    is_big = version == 43  # noqa: PLR2004  (BigTIFF; 42 otherwise)
    number, start = ("Q", 8) if is_big else ("I", 4)
    (position,) = file.unpack(order + number, start)
    directories = _Directories(file, order, is_big=is_big)
    for _ in range(_MAX_DIRECTORIES):
        if position == 0:
            return True
        end, position = directories.read(position)
        if end > file.size:
            return False
    return False


class _Directories:
    """Reads the directories of one TIFF."""

    #: tags of the places and the sizes of strips and tiles (TIFF 6.0, sections 8 and 15)
    _PLACES = (273, 324)
    _SIZES = (279, 325)
    _FORMS: ClassVar = {3: "H", 4: "I", 16: "Q"}
    #: sizes of the values of the other types (TIFF 6.0, section 2)
    _BYTES: ClassVar = {3: 2, 4: 4, 5: 8, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}

    def __init__(self, file: OpenFile, order: str, *, is_big: bool) -> None:
        self._file = file
        self._order = order
        self._left = _MAX_STRIPS  #: numbers that may still be read, for all directories together
        self._count, self._entry, self._number = ("Q", "HHQ", "Q") if is_big else ("H", "HHI", "I")

    def read(self, position: int) -> tuple[int, int]:
        """Returns where the last of the pixels of a directory ends, and the place of the next directory, or 0."""
        order, number = self._order, self._number
        (count,) = self._file.unpack(order + self._count, position)
        position += struct.calcsize(order + self._count)
        width = struct.calcsize(order + self._entry + number)
        places: tuple[int, ...] = ()
        sizes: tuple[int, ...] = ()
        ends = [0]
        entries = self._file.at(position, min(count, _MAX_SEGMENTS) * width)
        for start in range(0, len(entries) - width + 1, width):
            tag, kind, values = struct.unpack_from(order + self._entry, entries, start)
            value = position + start + struct.calcsize(order + self._entry)
            if tag in self._PLACES:
                places = self._values(kind, values, value)
            elif tag in self._SIZES:
                sizes = self._values(kind, values, value)
            else:
                ends.append(self._end(kind, values, value))
        (following,) = self._file.unpack(order + number, position + count * width)
        ends += map(sum, zip(places, sizes, strict=False))
        return max(ends), following

    def _end(self, kind: int, count: int, position: int) -> int:
        """Returns where the values of an entry end that have no room in it, or 0 where they have."""
        size = count * self._BYTES.get(kind, 1)
        if size <= struct.calcsize(self._order + self._number):
            return 0
        (place,) = self._file.unpack(self._order + self._number, position)
        return int(place) + size

    def _values(self, kind: int, count: int, position: int) -> tuple[int, ...]:
        """Returns the numbers of an entry: they stand in it where they have room, else where it says."""
        form = self._FORMS.get(kind)
        self._left -= count
        if form is None or self._left < 0:
            raise EOFError
        form = f"{self._order}{count}{form}"
        if struct.calcsize(form) > struct.calcsize(self._order + self._number):
            (position,) = self._file.unpack(self._order + self._number, position)
        return self._file.unpack(form, position)
