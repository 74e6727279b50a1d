"""Segmenters without weights, for tests of what is done with their logits."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from segdrop.dataset.unlabelled.item import Item
from segdrop.request import ImageSize

#: Takes pixels (N, 3, H, W) float32 from 0 to 1, and returns logits.
Compute = Callable[[Tensor], Tensor]


class ToySegmenter:
    """Computes logits by a function; notes the shapes of the batches that it is given."""

    def __init__(
        self, compute: Compute, num_classes: int, *, input_size: tuple[int, int] | None = None, side_multiple: int = 1
    ) -> None:
        self._compute = compute
        self.classes = tuple(f"class {number}" for number in range(num_classes))
        self.colours = None
        self.input_size = ImageSize(*input_size) if input_size else None
        self.side_multiple = side_multiple
        self.batches: list[tuple[int, ...]] = []

    def logits(self, images: npt.NDArray[np.uint8]) -> Tensor:
        assert images.dtype == np.uint8
        self.batches.append(images.shape)
        return self._compute(torch.from_numpy(images.copy()).float().permute(0, 3, 1, 2) / 255)


def by_colour(num_classes: int, stride: int = 1) -> Compute:
    """Classes by the colours of a pixel, or of areas of ``stride`` pixels: the same wherever the pixel is."""
    weight = torch.randn(num_classes, 3, 1, 1, generator=torch.Generator().manual_seed(0)) * 8
    return lambda pixels: functional.conv2d(functional.avg_pool2d(pixels, stride), weight)


def item(height: int, width: int, index: int = 0, *, is_smooth: bool = True) -> Item:
    """An image of soft colours, or of noise."""
    random = np.random.default_rng(index)
    if not is_smooth:
        image = random.integers(0, 256, (height, width, 3), np.uint8)
        return Item(index, f"{index}.jpg", str(index), image)
    rows, columns = np.mgrid[:height, :width][..., None]
    phases, speeds = random.uniform(0, 6, (2, 3)), random.uniform(0.02, 0.1, (2, 3))
    waves = np.sin(rows * speeds[0] + phases[0]) * np.sin(columns * speeds[1] + phases[1])
    return Item(index, f"{index}.jpg", str(index), ((waves + 1) * 127).astype(np.uint8))
