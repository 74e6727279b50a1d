"""The values of images with more than 8 bits, and how they become the 8 bits that a model is trained on.

Pillow keeps the upper 8 of 16 bits, which makes black what a camera of 12 bits took. predict.py of a result holds this
text, so that a prediction scales by the same numbers as the training. Sources: PNG specification, 11.2.2; netpbm,
pnm(5).
"""

import io
import re
import struct
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.dataset.masks.tiff import tiff, tiff_numbers

#: the least and the greatest value, which become black and white
DeepRange = tuple[float, float]
#: of 16-bit values where nothing else is known: the upper 8 bits
FULL_RANGE: DeepRange = (0, 65_535)

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_GREY, _PNG_RGB, _PNG_GREY_ALPHA, _PNG_RGBA = 0, 2, 4, 6
_PNM_COLOUR = re.compile(rb"P6" + rb"(?:\s|#[^\n]*\n)+(\d{1,9})" * 2 + rb"(?:\s|#[^\n]*\n)+(\d{1,5})\s")
_PNM_HEAD = re.compile(rb"P[f2356][\s#]")
_DEEP_BITS, _BYTE_VALUES = 16, 256
_NUM_CHANNELS = 3
_BLOCK_VALUES = 1 << 20


def may_be_deep(head: bytes) -> bool:
    """Whether an image that begins with these bytes, 32 or more, can have more than 8 bits a channel."""
    if head.startswith(_PNG_SIGNATURE):
        return head[24] == _DEEP_BITS
    return head.startswith((b"II", b"MM")) or _PNM_HEAD.match(head) is not None


def deep_values(content: bytes) -> npt.NDArray[Any] | None:
    """Returns the values of an image with more than 8 bits, (height, width, 1 or 3), upright; None for all others.

    Pixels without data are NaN, or the least value that there is where values are whole numbers. Raises an exception
    of any kind where the image cannot be decoded.
    """
    if not may_be_deep(content[:64]):
        return None
    if content.startswith(_PNG_SIGNATURE):
        return _deep_png(content)
    if content[:1] in (b"I", b"M"):
        return _deep_tiff(content)
    return _deep_pnm(content)


def _deep_tiff(content: bytes) -> npt.NDArray[Any] | None:
    page = tiff(content)
    if page is None or not page.is_plain or page.bits <= 8:  # noqa: PLR2004  (an ordinary one)
        return None
    if page.num_samples == 1 and page.bits % 16:
        values = _by_pillow(content)  # it knows 12 bits
    else:
        values = turned(tiff_numbers(content, page), page.orientation)
    return _without_no_data(values, page.no_data)


def _without_no_data(values: npt.NDArray[Any], no_data: float | None) -> npt.NDArray[Any]:
    """Returns values with those that stand for no data put out of the way: to NaN, or to the least of the others."""
    if no_data is None:
        return values
    is_missing = values == no_data
    if not is_missing.any() or is_missing.all():
        return values
    values = values.copy()
    values[is_missing] = np.nan if values.dtype.kind == "f" else values[~is_missing].min()
    return values


def _by_pillow(content: bytes) -> npt.NDArray[Any]:
    """Returns the values of a picture of one channel, which Pillow keeps whole."""
    with Image.open(io.BytesIO(content)) as image:
        image.load()
        values = np.asarray(image)
        orientation = 1 if image.format == "TIFF" else image.getexif().get(0x0112, 1)  # TIFFs come turned
    return turned(values.reshape(*values.shape[:2], -1)[..., :_NUM_CHANNELS], orientation)


def _deep_png(content: bytes) -> npt.NDArray[Any]:
    kind = content[25]
    if kind == _PNG_GREY:
        return _by_pillow(content)
    if kind == _PNG_GREY_ALPHA:
        halves = _by_bytes(content)
        return halves[..., 0:1].astype(np.uint16) << 8 | halves[..., 1:2]
    letters = {_PNG_RGB: "RGB", _PNG_RGBA: "RGBA"}[kind]
    # to read the other order of bytes is to take the lower of the two
    upper, lower = (_with_raw_mode(content, f"{letters};16{order}") for order in "BL")
    return (upper.astype(np.uint16) << 8 | lower)[..., :_NUM_CHANNELS]


def _by_bytes(content: bytes) -> npt.NDArray[np.uint8]:
    """Returns the bytes of a grey PNG of 16 bits with alpha, (height, width, 4): as if they were those of RGBA."""
    header = content[12:24] + bytes([8, _PNG_RGBA]) + content[26:29]
    altered = content[:12] + header + struct.pack(">L", zlib.crc32(header)) + content[33:]
    with Image.open(io.BytesIO(altered), formats=("PNG",)) as image:
        image.load()
        return turned(np.asarray(image), image.getexif().get(0x0112, 1))


def _with_raw_mode(content: bytes, raw_mode: str) -> npt.NDArray[np.uint8]:
    """Returns the pixels of a PNG unpacked by one of Pillow's raw modes."""
    with Image.open(io.BytesIO(content), formats=("PNG",)) as image:
        image.tile = [tile._replace(args=raw_mode) for tile in image.tile]
        image.load()
        return turned(np.asarray(image), image.getexif().get(0x0112, 1))


def _deep_pnm(content: bytes) -> npt.NDArray[Any] | None:
    if (head := _PNM_COLOUR.match(content)) is None:
        with Image.open(io.BytesIO(content)) as image:
            return None if image.mode in ("1", "L", "RGB") else _by_pillow(content)
    width, height, most = (int(number) for number in head.groups())
    if most < _BYTE_VALUES:
        return None
    values = np.frombuffer(content, ">u2", width * height * 3, head.end()).reshape(height, width, 3)
    return values.astype(np.uint32) * 65_535 // most


def turned(pixels: npt.NDArray[Any], orientation: int) -> npt.NDArray[Any]:
    """Returns pixels, (height, width, ...), turned and mirrored as the number of an EXIF orientation says."""
    if orientation in (5, 6, 7, 8):
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def to_bytes(values: npt.NDArray[Any], deep_range: DeepRange) -> npt.NDArray[np.uint8]:
    """Returns values as 8 bits, those of the range over all that 8 bits hold; what lies outside is black or white.

    Whole numbers from 0 to 255 stay as they are, of those from 0 to 65535 the upper 8 bits remain.
    """
    found = np.empty(values.shape, np.uint8)
    rows = max(1, _BLOCK_VALUES // max(1, values[:1].size))
    for top in range(0, len(values), rows):
        found[top : top + rows] = _block_to_bytes(values[top : top + rows].astype(np.float64), values.dtype, deep_range)
    return found


def _block_to_bytes(
    values: npt.NDArray[np.float64], dtype: np.dtype[Any], deep_range: DeepRange
) -> npt.NDArray[np.float64]:
    low, high = deep_range
    if dtype.kind == "f":
        values = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
        return np.asarray(((values - low) / (high - low)).clip(0, 1) * 255).round()
    return np.floor((values - low) * (_BYTE_VALUES / (high - low + 1))).clip(0, 255)


def deep_image(values: npt.NDArray[Any], deep_range: DeepRange) -> Image.Image:
    """Returns the picture, 8-bit RGB, of values (height, width, 1 or 3)."""
    pixels = np.ascontiguousarray(to_bytes(values, deep_range))
    if pixels.shape[2] == 1:
        return Image.fromarray(pixels[..., 0]).convert("RGB")
    return Image.fromarray(pixels)
