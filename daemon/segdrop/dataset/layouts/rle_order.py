"""Whether run lengths go down the columns or along the rows, by how runs that follow one another lie to each other.

An object's runs lie side by side: one begins about a column's height after the last where they go down columns, and
about a row's width after it where they go along rows.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from segdrop.codes import Code
from segdrop.dataset.archive import image_headers
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.errors import DataError, Issue

if TYPE_CHECKING:
    from array import array

#: starts and lengths of the runs of one object
Runs = tuple["array[int]", "array[int]"]

_LOOKED_AT = 6
_MOST_RUNS = 2_000
#: so many pairs of runs are evidence, and so small a share of them that fits is evidence against a size
_ENOUGH, _LEAST_SHARE = 20, 0.1


class Order(Enum):
    """An order of pixels, in words."""

    COLUMNS = "down the columns"
    ROWS = "along the rows"


@dataclass(slots=True)
class Votes:
    """Numbers of pairs of runs that lie side by side in one order alone, in both, or in none."""

    columns: int = 0
    rows: int = 0
    both: int = 0
    none: int = 0

    @property
    def total(self) -> int:
        """All pairs of runs."""
        return self.columns + self.rows + self.both + self.none


def order_of(tree: Tree, images: Sequence[tuple[int, Sequence[Runs]]]) -> Order:
    """Returns the order that the smallest files among the images speak for; columns where they do not tell.

    Raises DataError where runs fit the images' sizes in no order: they were counted at another size.
    """
    telling = [entry for entry in images if any(len(starts) > 1 for starts, _ in entry[1])]
    votes = Votes()
    for image, objects in sorted(telling, key=lambda entry: tree.size_bytes(entry[0]))[:_LOOKED_AT]:
        size = _size(tree, image)
        if size is not None:
            for runs in objects:
                count(votes, runs, size)
    return decide(votes)


def decide(votes: Votes) -> Order:
    """Returns the order that the votes are for. Raises DataError where they are against both."""
    if votes.total >= _ENOUGH and votes.total - votes.none < _LEAST_SHARE * votes.total:
        message = (
            f"of {votes.total} pairs of run lengths that follow one another, {votes.total - votes.none} lie side by "
            "side in the images: they were counted in images of another size"
        )
        fix = "Pack the images at the size that the run lengths were made for."
        raise DataError([Issue.of(Code.ANNOTATION_INVALID, message, fix=fix)])
    return Order.ROWS if votes.rows > 2 * votes.columns + 1 else Order.COLUMNS


def count(votes: Votes, runs: Runs, size: tuple[int, int]) -> None:
    """Count how an object's runs lie in an image of this (width, height)."""
    starts, lengths = runs
    width, height = size
    for i in range(min(len(starts) - 1, _MOST_RUNS)):
        fits = [_is_beside(starts, lengths, i, stride) for stride in (height, width)]
        match fits:
            case [True, True]:
                votes.both += 1
            case [True, False]:
                votes.columns += 1
            case [False, True]:
                votes.rows += 1
            case _:
                votes.none += 1


def _is_beside(starts: Sequence[int], lengths: Sequence[int], place: int, stride: int) -> bool:
    """Whether a run, moved on by a column or a row, overlaps the next."""
    moved, following = starts[place] + stride, starts[place + 1]
    return moved < following + lengths[place + 1] and following < moved + lengths[place]


def _size(tree: Tree, image: int) -> tuple[int, int] | None:
    """Returns an image's (width, height) by its header, or None where it says none."""
    try:
        extent = image_headers.extent(iter([tree.read(image)]))
    except (MemberError, LookupError):
        return None
    return extent.sides if extent is not None and all(extent.sides) else None
