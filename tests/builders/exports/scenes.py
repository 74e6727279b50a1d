"""Photographs and masks of known values for exports whose truth is in mask files."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

from builders.archives import encoded

SIZE = (32, 40)  #: height, width
Export = tuple[dict[str, bytes], dict[str, np.ndarray]]
Exports = dict[str, Callable[[], Export]]
#: left out, as a class id
VOID = 255


def photo(number: int, image_format: str = "PNG") -> bytes:
    rng = np.random.default_rng(number)
    return encoded(rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8), image_format)


def areas(number: int, values: Sequence[int]) -> np.ndarray:
    """(height, width) with all of the values: bands that no flip or shift leaves as they are."""
    rows, columns = np.indices(SIZE)
    return np.asarray(values)[((rows + 2 * columns + 5 * number) // 7) % len(values)]


def grey(values: np.ndarray, dtype: type = np.uint8) -> bytes:
    return encoded(values.astype(dtype))


def coloured(values: np.ndarray, colours: Mapping[int, int]) -> bytes:
    """RGB, each value in its colour (0xRRGGBB)."""
    packed = np.vectorize(colours.__getitem__)(values)
    return encoded(np.stack([packed >> 16, packed >> 8 & 0xFF, packed & 0xFF], axis=-1).astype(np.uint8))


def indexed(values: np.ndarray) -> bytes:
    """A palette of VOC's colours, values as indices."""
    image = Image.fromarray(values.astype(np.uint8)).convert("P")
    image.putdata(values.ravel().tolist())
    image.putpalette(voc_palette())
    return encoded(image)


def voc_palette() -> list[int]:
    """VOClabelcolormap.m of the VOC development kit."""
    palette = []
    for index in range(256):
        red = green = blue = 0
        rest = index
        for bit in range(7, -1, -1):
            red |= (rest & 1) << bit
            green |= (rest >> 1 & 1) << bit
            blue |= (rest >> 2 & 1) << bit
            rest >>= 3
        palette += [red, green, blue]
    return palette


def class_ids(values: np.ndarray, table: Mapping[int, int]) -> np.ndarray:
    return np.vectorize(table.__getitem__)(values).astype(np.uint8)


def text_lines(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()
