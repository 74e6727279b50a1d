"""Pixels of decoded images as numbers: colours packed into one, and palettes with their transparent entries."""

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.dataset.masks.stored import OPAQUE

#: values that are remembered of one mask
_MOST_SHOWN = 64


def packed(image: Image.Image) -> npt.NDArray[np.int32]:
    """Returns 0xRRGGBB, (height, width); transparency is dropped.

    Pillow lays the bytes out: numpy takes six times as long.
    """
    laid_out = (image if image.mode == "RGB" else image.convert("RGB")).tobytes("raw", "BGRX")
    return np.frombuffer(laid_out, "<i4").reshape(image.size[::-1])  # the fourth byte is zero


def some(values: npt.NDArray[np.integer]) -> frozenset[int]:
    """Returns the distinct values, or some where there are many: runs of equal ones are counted once."""
    starts = values[np.flatnonzero(np.diff(values, prepend=values[:1] + 1))] if values.size else values
    return frozenset(np.unique(starts)[:_MOST_SHOWN].tolist())


def palette(image: Image.Image) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.bool_]]:
    """Returns the colour (0xRRGGBB) of each of 256 indices, and whether it is transparent."""
    channels = np.asarray(image.getpalette("RGB") or [], np.int32).reshape(-1, 3)
    colours, is_clear = np.zeros(256, np.int32), np.zeros(256, np.bool_)
    colours[: len(channels)] = channels[:, 0] << 16 | channels[:, 1] << 8 | channels[:, 2]
    transparency = image.info.get("transparency")
    if isinstance(transparency, int):
        is_clear[transparency & 255] = True
    elif isinstance(transparency, bytes):
        alpha = np.frombuffer(transparency[:256], np.uint8)
        is_clear[: len(alpha)] = alpha < OPAQUE
    return colours, is_clear
