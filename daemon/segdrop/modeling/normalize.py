"""Normalisation of uint8 pixels, as for the published weights (torchvision's presets)."""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segdrop.architectures import MEAN, STD

# (x / 255 - mean) / std as one multiplication and one addition
_SCALE = torch.tensor([1 / (255 * std) for std in STD])
_OFFSET = torch.tensor([-mean / std for mean, std in zip(MEAN, STD, strict=True)])


def to_input(images: npt.NDArray[np.uint8]) -> Tensor:
    """Returns images (N, H, W, 3) uint8 as (N, 3, H, W) float32 in channels_last memory: no copy is rearranged."""
    pixels = torch.from_numpy(np.ascontiguousarray(images)).float()
    return pixels.mul_(_SCALE).add_(_OFFSET).permute(0, 3, 1, 2)
