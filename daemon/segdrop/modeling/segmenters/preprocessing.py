"""From pixels to the input of a network: scale, normalisation, and the order of the channels."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from segdrop.architectures import MEAN, STD
from segdrop.model_files import description
from segdrop.request import ImageSize

_CHANNELS = 3
#: kinds of models that take images of one size only, whatever their preprocessing says
_PLAIN = frozenset({"beit", "data2vec-vision", "dpt"})


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How the input of a network is made of images. An input value is ``scale`` times the pixel's, plus ``offset``."""

    scale: Tensor  # (3,)
    offset: Tensor  # (3,)
    reverses_channels: bool = False  #: whether the network takes BGR
    size: ImageSize | None = None  #: of every image, which the caller scales
    #: Pixels of the shorter side, which is scaled here: every image keeps its shape, and objects have the size that
    #: they had in training. ``longest_edge`` wins over it.
    shortest_edge: int | None = None
    longest_edge: int | None = None
    side_multiple: int = 1

    def tensor(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Returns images (N, H, W, 3) as (N, 3, h, w) float32 in channels_last memory."""
        pixels = torch.from_numpy(np.ascontiguousarray(images)).float()
        pixels = pixels.mul_(self.scale).add_(self.offset)
        if self.reverses_channels:
            pixels = pixels.flip(-1)
        return self._scaled(pixels.permute(0, 3, 1, 2))

    def _scaled(self, pixels: Tensor) -> Tensor:
        if self.shortest_edge is None:
            return pixels
        height, width = self.scaled_size(ImageSize(pixels.shape[2], pixels.shape[3]))
        if (height, width) == tuple(pixels.shape[2:]):
            return pixels
        return functional.interpolate(
            pixels, size=(height, width), mode="bilinear", align_corners=False, antialias=True
        )

    def scaled_size(self, size: ImageSize) -> ImageSize:
        """Returns the size to which images are scaled here, both sides multiples of ``side_multiple``."""
        if self.shortest_edge is None:
            return size
        factor = self.shortest_edge / min(size)
        if self.longest_edge is not None:
            factor = min(factor, self.longest_edge / max(size))
        multiple = self.side_multiple
        height, width = (max(multiple, round(side * factor / multiple) * multiple) for side in size)
        return ImageSize(height, width)


def normalised(
    mean: Sequence[float] = MEAN, std: Sequence[float] = STD, rescale: float = 1 / 255
) -> tuple[Tensor, Tensor]:
    """Returns scale and offset that make (pixel * rescale - mean) / std."""
    scale = torch.tensor([rescale / deviation for deviation in std])
    offset = torch.tensor([-middle / deviation for middle, deviation in zip(mean, std, strict=True)])
    return scale, offset


def of_huggingface(preprocessor: Mapping[str, Any], config: Mapping[str, Any]) -> Preprocessing:
    """Returns what a preprocessor_config.json says, in the words of today's transformers or of older ones.

    Empty, it is the normalisation of ImageNet at any size. Cropping to the centre is left out: every pixel of an image
    is predicted. ``do_reduce_labels`` concerns the masks of a training alone; the model's classes begin at 0 with or
    without it. Raises ``ValueError`` where it cannot be understood.
    """
    try:
        rescale = float(preprocessor.get("rescale_factor", 1 / 255)) if preprocessor.get("do_rescale", True) else 1.0
        if preprocessor.get("do_normalize", True):
            scale, offset = normalised(
                _three(preprocessor.get("image_mean", MEAN)), _three(preprocessor.get("image_std", STD)), rescale
            )
        else:
            scale, offset = normalised((0.0,) * _CHANNELS, (1.0,) * _CHANNELS, rescale)
        shortest, longest = _edges(preprocessor)
        return Preprocessing(
            scale=scale,
            offset=offset,
            reverses_channels=bool(preprocessor.get("do_flip_channel_order", False)),
            size=description.fixed_size(preprocessor) or _size_of_patches(config),
            shortest_edge=shortest,
            longest_edge=longest,
            side_multiple=_side_multiple(preprocessor, config),
        )
    except (TypeError, ValueError, AttributeError, ZeroDivisionError) as error:
        raise ValueError(f"preprocessor_config.json cannot be understood: {error}") from error


def _size_of_patches(config: Mapping[str, Any]) -> ImageSize | None:
    """Returns the one size that a plain vision transformer takes: its patches have positions in a square."""
    side = config.get("image_size")
    return ImageSize(side, side) if config.get("model_type") in _PLAIN and isinstance(side, int) else None


def _three(values: Any) -> list[float]:  # noqa: ANN401  (JSON)
    """Returns a value for each channel; one number is that of all."""
    numbers = [float(value) for value in values] if isinstance(values, list | tuple) else [float(values)] * _CHANNELS
    if len(numbers) != _CHANNELS:
        raise ValueError(f"{len(numbers)} channels instead of {_CHANNELS}")
    return numbers


def _edges(preprocessor: Mapping[str, Any]) -> tuple[int | None, int | None]:
    """Returns the shortest and the longest edge, where images are scaled by them."""
    size = preprocessor.get("size")
    if not preprocessor.get("do_resize", True):
        return None, None
    if isinstance(size, dict) and "shortest_edge" in size:
        longest = size.get("longest_edge")
        return int(size["shortest_edge"]), int(longest) if longest else None
    if isinstance(size, int) and "max_size" in preprocessor:  # transformers before 4.26
        return size, int(preprocessor["max_size"])
    return None, None


def _side_multiple(preprocessor: Mapping[str, Any], config: Mapping[str, Any]) -> int:
    """Returns what sides have to be multiples of: of the coarsest features of any of these networks, and of patches."""
    wanted = [preprocessor.get("size_divisor"), preprocessor.get("ensure_multiple_of"), config.get("patch_size")]
    return math.lcm(32, *(int(value) for value in wanted if isinstance(value, int) and value > 0))
