"""Random changes of training images, on uint8 arrays at training size.

Image and mask always move together. A mask is never interpolated (nearest), and what lies outside the image is
``IGNORE`` in the mask and the mean colour in the image, which is zero after normalisation.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.architectures import MEAN, InputLimits
from segdrop.dataset.classes.assignment import IGNORE

Pixels = npt.NDArray[np.uint8]
Pair = tuple[Pixels, Pixels]  # (H, W, 3), (H, W)
Transform = Callable[[Pixels, Pixels, np.random.Generator], Pair]

#: of the image's sides; gentle, because wider ranges did not pay in short schedules
_SCALE_RANGE = (0.75, 4 / 3)
#: DeepLab's
_STRONG_SCALE_RANGE = (0.5, 2.0)
#: each change of colour, every second time: SSD (Liu et al., arXiv 1512.02325), MMSegmentation's
#: PhotoMetricDistortion. Brightness in values of 255, hue in degrees
_BRIGHTNESS, _CONTRAST_RANGE, _SATURATION_RANGE, _HUE = 32.0, (0.5, 1.5), (0.5, 1.5), 18.0
_LEVELS = np.arange(256, dtype=np.float64)
#: the mean colour, in 0 to 255
_PADDING_COLOUR = tuple(round(255 * mean) for mean in MEAN)
_EPOCHS_OF_FULL_STRENGTH = 30


def regularization_strength(epochs: int) -> float:
    """Returns how much a run of so many epochs is kept from learning its images by heart, from 0 to 1.

    Long runs need it; short ones have not seen their images often enough. CamVid, 10 epochs at 128 pixels from random
    weights, one seed: zooming all images instead of none took 4 points of mean IoU away, zooming a third of them 1
    point; a dropout of 0.5 instead of 0.1, another point.
    """
    return min(1.0, epochs / _EPOCHS_OF_FULL_STRENGTH)


def transform_named(augmentation: str, epochs: int) -> Transform:
    """Returns the transform for a request's ``augmentation`` and epochs; raises ``KeyError`` for an unknown one."""
    gentle: Transform = partial(standard, zoomed_share=regularization_strength(epochs))
    transforms: dict[str, Transform] = {"none": keep, "flip": flip, "standard": gentle, "strong": strong}
    return transforms[augmentation]


def keep(image: Pixels, mask: Pixels, _random: np.random.Generator) -> Pair:
    """Returns image and mask as they are."""
    return image, mask


def flip(image: Pixels, mask: Pixels, random: np.random.Generator) -> Pair:
    """Mirrors left and right, every second time."""
    if random.random() < 0.5:  # noqa: PLR2004
        return image[:, ::-1], mask[:, ::-1]
    return image, mask


def standard(image: Pixels, mask: Pixels, random: np.random.Generator, zoomed_share: float) -> Pair:
    """Mirror, then zoom a share of the images by a random factor: a crop where it grows, padding where it shrinks."""
    image, mask = flip(image, mask, random)
    if random.random() < zoomed_share:
        return _zoom(image, mask, _SCALE_RANGE, random)
    return image, mask


def strong(image: Pixels, mask: Pixels, random: np.random.Generator) -> Pair:
    """Mirror, zoom all images by wider factors, and change brightness, contrast, saturation and hue."""
    image, mask = flip(image, mask, random)
    return _zoom(_recolour(image, random), mask, _STRONG_SCALE_RANGE, random)


def scaled(size: tuple[int, int], scale: float, limits: InputLimits) -> tuple[int, int]:
    """Returns a (height, width) times a factor up to 1, as sides that the architecture likes."""
    if scale == 1:
        return size
    height, width = (
        min(side, max(limits.least_side, round(side * scale / limits.side_multiple) * limits.side_multiple))
        for side in size
    )
    return height, width


def shrunk(images: Pixels, masks: Pixels, scale: float, limits: InputLimits) -> Pair:
    """Returns a batch, (N, H, W, 3) and (N, H, W), at the smaller size that :func:`scaled` gives."""
    height, width = masks.shape[1:]
    small_height, small_width = scaled((height, width), scale, limits)
    box = (0, 0, width, height)
    pairs = [_resized(*pair, (small_width, small_height), box) for pair in zip(images, masks, strict=True)]
    return np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])


def _recolour(image: Pixels, random: np.random.Generator) -> Pixels:
    """Changes the colours by two tables: one for R, G and B, one for hue, saturation and value."""
    changes = random.random(4) < 0.5  # noqa: PLR2004
    brightness, hue = random.uniform(-_BRIGHTNESS, _BRIGHTNESS), random.uniform(-_HUE, _HUE)
    contrast, saturation = random.uniform(*_CONTRAST_RANGE), random.uniform(*_SATURATION_RANGE)
    picture = Image.fromarray(image)
    if changes[:2].any():
        levels = _LEVELS * (contrast if changes[0] else 1.0) + (brightness if changes[1] else 0.0)
        picture = picture.point(_table(levels) * 3)
    if changes[2:].any():
        hues = (_LEVELS + (hue / 360 * 256 if changes[2] else 0.0)) % 256
        saturations = _LEVELS * (saturation if changes[3] else 1.0)
        picture = picture.convert("HSV").point(_table(hues) + _table(saturations) + _table(_LEVELS)).convert("RGB")
    return np.asarray(picture)


def _table(levels: npt.NDArray[np.float64]) -> list[int]:
    return [int(level) for level in levels.clip(0, 255)]


def _zoom(image: Pixels, mask: Pixels, scale_range: tuple[float, float], random: np.random.Generator) -> Pair:
    scale = math.exp(random.uniform(math.log(scale_range[0]), math.log(scale_range[1])))
    down, across = random.random(2)  # where the crop, or the shrunk image, is placed: 0 top or left, 1 the other
    place = _zoom_in if scale > 1 else _zoom_out
    return place(image, mask, scale, down, across)


def _zoom_in(image: Pixels, mask: Pixels, scale: float, down: float, across: float) -> Pair:
    """Enlarges a part, 1/scale of each side, to the whole."""
    height, width = mask.shape
    crop_height, crop_width = height / scale, width / scale
    left, top = across * (width - crop_width), down * (height - crop_height)
    box = (left, top, left + crop_width, top + crop_height)
    return _resized(image, mask, (width, height), box)


def _zoom_out(image: Pixels, mask: Pixels, scale: float, down: float, across: float) -> Pair:
    """Shrinks the whole and puts it onto padding."""
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
    """Returns the part ``box`` (left, top, right, bottom) of both at another size (width, height)."""
    return (
        np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR, box)),
        np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST, box)),
    )
