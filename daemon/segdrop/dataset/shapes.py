"""Areas of an image as annotation files give them: pure data, drawn by :mod:`segdrop.dataset.masks.drawing`.

Coordinates are pixels from the upper left corner, x before y, unless their ``Drawing`` says fractions.
"""

import math
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

_CIRCLE_POINTS = 72
#: pixels from the corner; single precision, in which rings are kept, is still exact to a pixel here
_FARTHEST = 1e7


@dataclass(frozen=True, slots=True)
class Polygon:
    """The area inside the first ring and outside the others (holes). A ring is x0, y0, x1, y1 and so on."""

    value: int
    rings: tuple["array[float]", ...]


@dataclass(frozen=True, slots=True)
class Runs:
    """Run lengths within a box: pixels off, on, off and so on, along columns (COCO) or along rows (CVAT)."""

    value: int
    lengths: "array[int]"
    left: int
    top: int
    width: int
    height: int
    by_columns: bool


@dataclass(frozen=True, slots=True)
class Stretches:
    """Runs of pixels of the whole image, whatever its size, each by its first pixel, counted from 0, and its length.

    Pixels are counted along columns (Kaggle) or along rows.
    """

    value: int
    starts: "array[int]"
    lengths: "array[int]"
    by_columns: bool


@dataclass(frozen=True, slots=True)
class Bitmap:
    """The pixels of a small image file that are not zero (of a partly transparent one: not transparent), at a place."""

    value: int
    content: bytes
    left: int
    top: int


@dataclass(frozen=True, slots=True)
class Brush:
    """A brush stroke of Label Studio: its own run-length code of an RGBA image as large as the labelled one."""

    value: int
    code: bytes
    width: int
    height: int


Shape = Polygon | Runs | Stretches | Bitmap | Brush


def ring(points: Iterable[Sequence[float]]) -> "array[float]":
    """Returns (x, y) pairs as a ring.

    Raises ValueError or TypeError for anything else, or numbers that no image has.
    """
    flat = array("f")
    for x, y in points:
        # so written, NaN fails too, and integers too large for a float
        if not (abs(x) <= _FARTHEST and abs(y) <= _FARTHEST):
            raise ValueError("a coordinate is not a number of pixels")
        flat.extend((float(x), float(y)))
    return flat


def rectangle(x0: float, y0: float, x1: float, y1: float) -> "array[float]":
    """Returns the rectangle between two opposite corners as a ring."""
    return ring([(x0, y0), (x1, y0), (x1, y1), (x0, y1)])


def ellipse(x: float, y: float, radius_x: float, radius_y: float, angle_radians: float = 0.0) -> "array[float]":
    """Returns an ellipse around (x, y) as a ring of many points, turned clockwise (as seen) by the angle."""
    cosine, sine = math.cos(angle_radians), math.sin(angle_radians)
    points = []
    for step in range(_CIRCLE_POINTS):
        turn = 2 * math.pi * step / _CIRCLE_POINTS
        along, across = radius_x * math.cos(turn), radius_y * math.sin(turn)
        points.append((x + along * cosine - across * sine, y + along * sine + across * cosine))
    return ring(points)


def area(outline: "array[float]") -> float:
    """Returns the area within a ring (shoelace formula), in squares of its unit."""
    xs, ys = outline[0::2], outline[1::2]
    doubled = sum(xs[i - 1] * ys[i] - xs[i] * ys[i - 1] for i in range(len(xs)))
    return abs(doubled) / 2
