"""Whether the borders between the areas of a mask lie where its image has edges, in numbers of one pair.

Edges are ranked within their image, so that neither contrast nor exposure matters: a rank says how large a part of the
image has weaker edges. Everything is small and of one size, whatever the size of the image.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segdrop.dataset.masks.decode import Bytes, Values
from segdrop.dataset.masks.image_reading import GLANCE_SIDE

#: width and height of what is compared
SIDE = GLANCE_SIDE
#: a mask with fewer pixels at borders says nothing
_FEWEST_BORDER_PIXELS = 20

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Edges:
    """The edges of one image and the borders of its mask, each ``SIDE`` x ``SIDE``."""

    position: int  #: of the pair in its dataset
    ranks: Bytes  #: 0 for the weakest edge of the image, 255 for the strongest
    packed_borders: Bytes  #: bits
    is_square: bool  #: the image is, so that its mask may lie across it

    @property
    def borders(self) -> Flags:
        """Where the mask has a border between two areas."""
        return np.unpackbits(self.packed_borders).reshape(SIDE, SIDE).astype(bool)


def measured(position: int, glance: Bytes, keys: Values, size: tuple[int, int]) -> Edges | None:
    """Returns the edges of a pair, or None where the mask has hardly any border.

    ``glance`` is the image (SIDE, SIDE, 3); ``keys`` are those of its mask at any size; ``size`` is that of the image.
    """
    borders = _borders(_sampled(keys))
    if np.count_nonzero(borders) < _FEWEST_BORDER_PIXELS:
        return None
    return Edges(position, _ranks(glance), np.packbits(borders), size[0] == size[1])


def _ranks(glance: Bytes) -> Bytes:
    """Returns for each pixel which part of all has weaker edges, 0 to 255; equal edges share their middle rank."""
    planes = np.ascontiguousarray(glance.transpose(2, 0, 1))
    steps = np.zeros(glance.shape[:2], np.intp)
    steps[:, 1:-1] += _differences(planes[:, :, 2:], planes[:, :, :-2])
    steps[1:-1] += _differences(planes[:, 2:], planes[:, :-2])
    counts = np.bincount(steps.ravel())
    middle = np.cumsum(counts) - counts / 2
    return (middle * (255 / steps.size)).astype(np.uint8).take(steps)


def _differences(some: Bytes, others: Bytes) -> Bytes:
    """Returns the largest difference of any channel; some and others are (3, height, width)."""
    return np.asarray((np.maximum(some, others) - np.minimum(some, others)).max(axis=0))


def _sampled(keys: Values) -> Values:
    """Returns a mask's keys at ``SIDE`` x ``SIDE``, each that of the pixel at its centre."""
    rows, columns = (((np.arange(SIDE) + 0.5) * side / SIDE).astype(np.intp) for side in keys.shape)
    return np.asarray(keys[rows[:, None], columns])


def _borders(keys: Values) -> Flags:
    """Returns where two areas meet, on both sides; the edge of the picture is no border."""
    borders = np.zeros(keys.shape, np.bool_)
    beside = keys[:, 1:] != keys[:, :-1]
    below = keys[1:] != keys[:-1]
    borders[:, 1:] |= beside
    borders[:, :-1] |= beside
    borders[1:] |= below
    borders[:-1] |= below
    borders[[0, -1]] = False
    borders[:, [0, -1]] = False
    return borders
