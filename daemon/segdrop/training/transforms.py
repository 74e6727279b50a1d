"""Random changes of training images, on uint8 arrays at training size.

Image and mask always move together. A mask is never interpolated (nearest), and what lies outside the image is
``IGNORE`` in the mask and the mean colour in the image, which is zero after normalisation.
"""

import math
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.dataset.classes import IGNORE

Pixels = npt.NDArray[np.uint8]
Pair = tuple[Pixels, Pixels]  # (H, W, 3), (H, W)
Transform = Callable[[Pixels, Pixels, np.random.Generator], Pair]

#: of the image's sides; gentle, because wider ranges did not pay in short schedules
_SCALE_RANGE = (0.75, 4 / 3)
#: normalize.MEAN in 0..255
_PADDING_COLOUR = (124, 116, 104)


def transform_named(augmentation: str) -> Transform:
    """The transform of a request's ``augmentation``; ``KeyError`` for one that is not built."""
    return {"none": keep, "flip": flip, "standard": standard}[augmentation]


def keep(image: Pixels, mask: Pixels, _random: np.random.Generator) -> Pair:
    return image, mask


def flip(image: Pixels, mask: Pixels, random: np.random.Generator) -> Pair:
    """Mirror left and right, every second time."""
    if random.random() < 0.5:  # noqa: PLR2004
        return image[:, ::-1], mask[:, ::-1]
    return image, mask


def standard(image: Pixels, mask: Pixels, random: np.random.Generator) -> Pair:
    """Mirror, then zoom by a random factor: a crop where it grows, padding where it shrinks."""
    image, mask = flip(image, mask, random)
    scale = math.exp(random.uniform(math.log(_SCALE_RANGE[0]), math.log(_SCALE_RANGE[1])))
    down, across = random.random(2)  # where the crop, or the shrunk image, is placed: 0 top or left, 1 the other
    place = _zoom_in if scale > 1 else _zoom_out
    return place(image, mask, scale, down, across)


def _zoom_in(image: Pixels, mask: Pixels, scale: float, down: float, across: float) -> Pair:
    """The part of 1/scale of each side, enlarged to the whole."""
    height, width = mask.shape
    crop_height, crop_width = height / scale, width / scale
    left, top = across * (width - crop_width), down * (height - crop_height)
    box = (left, top, left + crop_width, top + crop_height)
    return _resized(image, mask, (width, height), box)


def _zoom_out(image: Pixels, mask: Pixels, scale: float, down: float, across: float) -> Pair:
    """The whole, shrunk and put onto padding."""
    height, width = mask.shape
    small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
    small_image, small_mask = _resized(image, mask, (small_width, small_height), (0, 0, width, height))
    top, left = round(down * (height - small_height)), round(across * (width - small_width))
    area = (slice(top, top + small_height), slice(left, left + small_width))
    padded_image = np.empty_like(image, order="C")
    padded_image[:] = _PADDING_COLOUR
    padded_mask = np.full_like(mask, IGNORE, order="C")
    padded_image[area], padded_mask[area] = small_image, small_mask
    return padded_image, padded_mask


def _resized(image: Pixels, mask: Pixels, size: tuple[int, int], box: tuple[float, float, float, float]) -> Pair:
    """``box`` (left, top, right, bottom) of both at another size (width, height)."""
    return (
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box)),
        np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST, box)),
    )
