"""The palette of PASCAL VOC, in which masks of any number of classes are commonly drawn.

The bits of an index are dealt out to red, green and blue in turn, from the highest bit of each channel down
(VOCdevkit, ``VOClabelcolormap.m``). Index 255, the border between objects, is (224, 224, 192).
"""

from functools import lru_cache

import numpy as np
import numpy.typing as npt


def colours(count: int = 256) -> npt.NDArray[np.uint8]:
    """Returns the colours by index: (count, 3), red, green and blue. Its rule goes beyond the 256 of an image file."""
    indices = np.arange(count)
    channels = [sum((indices >> (3 * step + channel) & 1) << (7 - step) for step in range(8)) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def index_of(colour: int) -> int | None:
    """Returns the index of a colour (0xRRGGBB), or None where the palette does not have it."""
    return _indices().get(colour)


@lru_cache(maxsize=1)
def _indices() -> dict[int, int]:
    """The indices by colour."""
    packed = colours().astype(np.int64) @ np.asarray([1 << 16, 1 << 8, 1])
    return {colour: index for index, colour in enumerate(packed.tolist())}
