"""Tiles: how an image is cut into windows that a model can see, and where which window decides.

Windows overlap by at least a quarter of their side. In the middle of an overlap, over an eighth of a side, one window
fades out while the next one fades in, so there is no seam; the margin of a window, where a network sees padding, has no
say. Where a window reaches beyond the image it is filled with the image's mirror image, as in U-Net's overlap-tile
strategy (Ronneberger et al., "U-Net: Convolutional Networks for Biomedical Image Segmentation", 2015, arXiv 1505.04597,
figure 2).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.request import ImageSize

Tile = int | Literal["auto"] | None

#: Sides in pixels up to which a model of any size sees an image as a whole, unless the request says otherwise.
LARGEST_WHOLE_SIDE = 1024
#: Windows move on by so much of their side at most.
_STEP = 0.75
#: Share of a side over which a window fades.
_FADE = 0.125


@dataclass(frozen=True, slots=True)
class Share:
    """The say of a window in a stretch."""

    window: int  #: its place along the axis
    weights: npt.NDArray[np.float32] | None  # (length of the stretch,): between 0 and 1; None where it decides alone


@dataclass(frozen=True, slots=True)
class Stretch:
    """Pixels along an axis, from ``begin`` to before ``end``, that are decided by one window, or by two that fade."""

    begin: int
    end: int
    shares: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Axis:
    """The windows along one axis of an image. All have the same length, and the last may reach beyond the image."""

    length: int  #: of the image in pixels
    starts: tuple[int, ...]  #: of the windows in pixels
    side: int  #: of a window in pixels

    def stretches(self, window: int) -> list[Stretch]:
        """Returns the stretches in which a window decides alone or together with the one before it."""
        fade = [self.fade(window)] if window else []
        begin = fade[0].end if fade else 0
        end = self.fade(window + 1).begin if window + 1 < len(self.starts) else self.length
        return [*fade, Stretch(begin, end, (Share(window, None),))] if begin < end else fade

    def fade(self, window: int) -> Stretch:
        """Returns the stretch in which a window takes over from the one before it: the middle of their overlap."""
        begin, end = self.starts[window], self.starts[window - 1] + self.side
        width = min(end - begin, int(_FADE * self.side))
        begin += (end - begin - width) // 2
        rising = np.sin(np.pi / 2 * (np.arange(width) + 0.5) / max(width, 1)).astype(np.float32) ** 2
        return Stretch(begin, begin + width, (Share(window - 1, 1 - rising), Share(window, rising)))


@dataclass(frozen=True, slots=True)
class Plan:
    """The windows of an image, and the size to which each is scaled for the model."""

    rows: Axis
    columns: Axis
    input_size: ImageSize

    def places(self) -> Iterator[tuple[int, int]]:
        """Yields the (row, column) of each window, line by line."""
        for row in range(len(self.rows.starts)):
            for column in range(len(self.columns.starts)):
                yield row, column

    def windows(self, image: npt.NDArray[np.uint8]) -> Iterator[npt.NDArray[np.uint8]]:
        """Yields what the model sees of an image (H, W, 3): arrays of the input size, line by line."""
        for row, column in self.places():
            top, left = self.rows.starts[row], self.columns.starts[column]
            yield _scaled(_cut(image, top, left, self.rows.side, self.columns.side), self.input_size)


def plan(height: int, width: int, tile: Tile, input_size: ImageSize | None, side_multiple: int) -> Plan:
    """Decides how a model sees an image of a height and width in pixels.

    A model with an input size sees the whole image scaled to it, as in training; with an integer ``tile``, it sees an
    image with a longer side than that in windows of that many pixels. They have the shape of the input size, whose
    longer side ``tile`` is, so that nothing is distorted. A model of any size sees an image as it is, filled up to
    sides that are multiples of ``side_multiple``; in windows, where a side is longer than ``tile``, which ``auto``
    takes for LARGEST_WHOLE_SIDE and None for endless.
    """
    if input_size is not None:
        return _scaled_plan(height, width, tile, input_size)
    if tile is None:
        tile = max(height, width)
    side = LARGEST_WHOLE_SIDE if tile == "auto" else tile
    side = max(_up(side, side_multiple), 2 * side_multiple)  # two steps, so that neighbours can overlap
    rows, columns = (_axis(length, side, side_multiple) for length in (height, width))
    return Plan(rows, columns, ImageSize(rows.side, columns.side))


def _scaled_plan(height: int, width: int, tile: Tile, input_size: ImageSize) -> Plan:
    if isinstance(tile, int):
        sides = [max(1, round(tile * side / max(input_size))) for side in input_size]
        if height > sides[0] or width > sides[1]:
            rows, columns = (
                Axis(length, _starts(length, side, 1), side)
                for length, side in zip((height, width), sides, strict=True)
            )
            return Plan(rows, columns, input_size)
    return Plan(Axis(height, (0,), height), Axis(width, (0,), width), input_size)


def _axis(length: int, side: int, multiple: int) -> Axis:
    """Returns windows of ``side`` pixels, or one as long as the image, filled up to a multiple."""
    return Axis(length, _starts(length, side, multiple), min(side, _up(length, multiple)))


def _starts(length: int, side: int, multiple: int) -> tuple[int, ...]:
    """Returns where windows begin that cover a length: evenly spread, at multiples, so few that they just overlap.

    A network of stride ``multiple`` then sees each of them on the same grid.
    """
    last = max(0, -(-(length - side) // multiple))
    steps = -(-last // max(1, int(_STEP * side) // multiple))
    return tuple(last * number // max(1, steps) * multiple for number in range(steps + 1))


def _up(length: int, multiple: int) -> int:
    return -(-length // multiple) * multiple


def _cut(image: npt.NDArray[np.uint8], top: int, left: int, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Returns a part of an image, with the image's mirror image where the part reaches beyond it."""
    part = image[top : top + height, left : left + width]
    missing = (height - part.shape[0], width - part.shape[1])
    return np.pad(part, ((0, missing[0]), (0, missing[1]), (0, 0)), mode="reflect") if any(missing) else part


def _scaled(part: npt.NDArray[np.uint8], size: ImageSize) -> npt.NDArray[np.uint8]:
    """Returns a part of an image scaled as for training, and as predict.py does it."""
    if part.shape[:2] == size:
        return part
    return np.asarray(Image.fromarray(part).resize((size.width, size.height), Image.Resampling.BILINEAR))
