"""Where a truth lies on its image when the image's EXIF tag turns it: on the pixels as displayed, or as stored.

Tools differ: some turn a photograph before people draw on it, others show the pixels as they are stored. Sizes tell the
two apart for quarter turns; for half turns, mirrored and square images only the pixels do.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np

from segdrop.dataset.samples import Drawing
from segdrop.dataset.shapes import Polygon

Size = tuple[int, int]

_QUARTER_TURNS = (5, 6, 7, 8)
#: width to height of the same picture, for masks of another size
_ASPECT_TOLERANCE = 0.02


class Turning(StrEnum):
    """Tells which pixels the truth of turned images lies on."""

    DISPLAYED = "displayed"
    STORED = "stored"


@dataclass(frozen=True, slots=True)
class View:
    """Tells how an image is displayed: its (width, height) then, and the EXIF orientation by which it was turned."""

    size: Size
    orientation: int = 1

    @property
    def is_turned(self) -> bool:
        """Whether the pixels are not displayed as they are stored."""
        return 2 <= self.orientation <= 8  # noqa: PLR2004  (EXIF's numbers)

    @property
    def stored_size(self) -> Size:
        """(width, height) as stored."""
        return self.size[::-1] if self.orientation in _QUARTER_TURNS else self.size

    def lies_on_stored(self, size: Size) -> bool:
        """Whether a truth of this size can only lie on the pixels as stored."""
        return self.is_turned and _are_alike(size, self.stored_size) and not _are_alike(size, self.size)

    def may_lie_on_both(self, size: Size) -> bool:
        """Whether the size of a truth does not tell how it lies on the image."""
        return self.is_turned and _are_alike(size, self.stored_size) and _are_alike(size, self.size)


def _are_alike(one: Size, other: Size) -> bool:
    return abs(one[0] * other[1] / max(1, one[1] * other[0]) - 1) <= _ASPECT_TOLERANCE


def placed(drawing: Drawing, view: View | None, turning: Turning | None) -> tuple[Drawing, bool]:
    """Returns a drawing with the size that it is to be drawn at, and whether it is to be turned then.

    Without a turning, the size decides, and where it does not the drawing lies on the image as displayed.
    """
    if view is None or not view.is_turned:
        return drawing, False
    if drawing.size is None:
        is_stored = turning is Turning.STORED
        return replace(drawing, size=view.stored_size if is_stored else view.size), is_stored
    if view.lies_on_stored(drawing.size):
        if turning is Turning.DISPLAYED:  # a tool that turned the image and wrote its sides as stored
            return replace(drawing, size=drawing.size[::-1]), False
        return drawing, True
    return drawing, turning is Turning.STORED and view.may_lie_on_both(drawing.size)


def leaves_stored(drawing: Drawing, view: View) -> bool:
    """Whether areas of a drawing, whose size is that of the pixels as stored, lie outside it, and inside as displayed:
    the sides were written in the wrong order.
    """
    if drawing.size is None or drawing.is_relative or not view.lies_on_stored(drawing.size):
        return False
    rings = [
        np.frombuffer(ring, np.float32).reshape(-1, 2)
        for shape in drawing.shapes
        if isinstance(shape, Polygon)
        for ring in shape.rings
    ]
    if not rings:
        return False
    far = np.concatenate(rings).max(axis=0)
    width, height = drawing.size
    return bool((far > (width + 1, height + 1)).any() and (far <= (height + 1, width + 1)).all())
