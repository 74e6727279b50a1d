"""From class ids to borders: the connected regions of an image, each with the rings of lattice corners around it.

An image is read as runs: stretches of one class within a row. The left and the right end of each run are the upright
parts of all borders, and which one follows which depends on the runs above and below alone. So borders, regions and
what lies in which hole are all found in time that grows with the number of runs, and with nothing else.

A region is connected over the sides of its pixels (4-connectivity): two pixels of a class that touch at a corner only
belong to two regions.
"""

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]
_NONE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """The runs of an image, row by row, from left to right: columns ``starts`` to ``ends`` (exclusive) of ``rows``."""

    class_ids: npt.NDArray[Any]
    rows: Integers
    starts: Integers
    ends: Integers
    width: int

    def __len__(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, slots=True, eq=False)
class Rings:
    """The borders of all regions as rings of lattice corners (x, y), (number of corners, 2), one after the other.

    Ring i has the corners ``first[i]`` to ``first[i + 1]``. With y pointing down, its region is on the right of each
    side.
    """

    corners: Integers
    first: Integers
    least: Integers  #: of each ring: its least upright side (2 * run for left ends, 2 * run + 1 for right ends)
    of_side: Integers  #: ring of each upright side
    corner_of_side: Integers  #: corner at which the stretch begins that an upright side is part of

    @property
    def is_hole(self) -> npt.NDArray[np.bool_]:
        """Whether each ring is the border of a hole; else it is the outer border of a region."""
        return np.asarray(self.least % 2 == 1, np.bool_)


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """Which ring belongs to which region, and which region lies in which hole. Regions are numbered by outer rings."""

    region: Integers  #: of each ring
    outer: Integers  #: ring of each region
    hole_around: Integers  #: of each region: the ring of the hole that it lies in, or -1
    of_run: Integers  #: region of each run


def find_runs(class_ids: npt.NDArray[Any]) -> Runs:
    """Returns the runs of an image of class ids (H, W)."""
    height, width = class_ids.shape
    begins = np.ones((height, width), np.bool_)
    np.not_equal(class_ids[:, 1:], class_ids[:, :-1], out=begins[:, 1:])
    flat = np.flatnonzero(begins)
    rows = flat // width
    starts = flat - rows * width
    ends = np.append(flat[1:], height * width) - rows * width
    return Runs(class_ids.reshape(-1)[flat], rows, starts, ends, width)


def trace(runs: Runs) -> Rings:
    """Returns the borders of all regions."""
    following = _following(runs)
    order, first = _cycles(following)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    of_side = np.repeat(np.arange(len(first) - 1), np.diff(first))[rank]
    corners, begin, bounds = _corners(runs, order, first)
    return Rings(corners, bounds, order[first[:-1]], of_side, begin[rank])


def nest(runs: Runs, rings: Rings) -> Tree:
    """Returns how rings and regions lie in one another.

    A ring's least side is at a run whose left neighbour, or whose own left end, belongs to a ring that comes before
    it: so one pass in order is enough.
    """
    is_hole = rings.is_hole.tolist()
    at_edge = (runs.starts[rings.least // 2] == 0) & ~rings.is_hole
    before = np.where(at_edge, _NONE, rings.of_side[np.maximum(rings.least - 1, 0)]).tolist()
    region, outer, hole_around = array("q"), array("q"), array("q")
    for ring, (hole, neighbour) in enumerate(zip(is_hole, before, strict=True)):
        if hole:
            region.append(region[neighbour])
            continue
        region.append(len(outer))
        outer.append(ring)
        if neighbour == _NONE:
            hole_around.append(_NONE)
        else:
            hole_around.append(neighbour if is_hole[neighbour] else hole_around[region[neighbour]])
    regions = np.asarray(region)
    return Tree(regions, np.asarray(outer), np.asarray(hole_around), regions[rings.of_side[0::2]])


def _contacts(runs: Runs) -> tuple[Integers, Integers]:
    """Returns the pairs of runs of one class that touch over a side, (upper, lower), in the order of both."""
    flat = runs.rows * runs.width + runs.starts
    all_runs = np.arange(len(runs))
    # of two runs that touch, the contact begins where one of the two does
    upper = all_runs[runs.rows < runs.rows[-1]]
    lower = np.searchsorted(flat, flat[upper] + runs.width, "right") - 1
    later = all_runs[runs.rows > 0]
    above = np.searchsorted(flat, flat[later] - runs.width, "right") - 1
    is_new = runs.starts[above] != runs.starts[later]
    upper, lower = np.concatenate((upper, above[is_new])), np.concatenate((lower, later[is_new]))
    is_same = runs.class_ids[upper] == runs.class_ids[lower]
    upper, lower = upper[is_same], lower[is_same]
    order = np.lexsort((lower, upper))
    return upper[order], lower[order]


def _following(runs: Runs) -> Integers:
    """Returns the upright side that follows each upright side along its border, with the region on the right.

    Sides 2r (upwards) and 2r + 1 (downwards) are the left and the right end of run r. Down a right end, the border goes
    on at the last run below that touches this one: at its right end, unless a further run above touches that, too. With
    no run below, it goes back along this run. Left ends are the same, turned round.
    """
    upper, lower = _contacts(runs)
    number = np.arange(2 * len(runs))
    following = number ^ 1
    if not len(upper):
        return following
    by_lower = np.lexsort((upper, lower))
    place = np.empty_like(by_lower)
    place[by_lower] = np.arange(len(by_lower))

    last = np.flatnonzero(np.append(upper[1:] != upper[:-1], True))
    after = by_lower[np.minimum(place[last] + 1, len(by_lower) - 1)]
    has_more = (place[last] + 1 < len(by_lower)) & (lower[after] == lower[last])
    following[2 * upper[last] + 1] = np.where(has_more, 2 * upper[after], 2 * lower[last] + 1)

    is_first = np.insert(lower[by_lower][1:] != lower[by_lower][:-1], 0, True)
    first = by_lower[is_first]
    previous = np.maximum(first - 1, 0)
    has_more = (first > 0) & (upper[previous] == upper[first])
    following[2 * lower[first]] = np.where(has_more, 2 * lower[previous] + 1, 2 * upper[first])
    return following


def _cycles(following: Integers) -> tuple[Integers, Integers]:
    """Returns a permutation's elements cycle by cycle, each from its least, and where each cycle begins (and ends)."""
    target = array("q", following.tobytes())
    is_seen = bytearray(len(following))
    order, first = array("q"), array("q")
    append = order.append
    for start in range(len(following)):
        if is_seen[start]:
            continue
        first.append(len(order))
        number = start
        while not is_seen[number]:
            is_seen[number] = 1
            append(number)
            number = target[number]
    first.append(len(order))
    return np.asarray(order, np.int64), np.asarray(first, np.int64)


def _corners(runs: Runs, order: Integers, first: Integers) -> tuple[Integers, Integers, Integers]:
    """Returns the corners of rings of upright sides, where each side's stretch begins, and the bounds of the rings."""
    run, is_down = order // 2, order % 2
    x = np.where(is_down == 1, runs.ends[run], runs.starts[run])
    y = runs.rows[run]
    # each side has two ends; where the next goes on in the same column, the two that meet are no corners
    is_turn = x != x[successors(first)]
    kept = np.stack((is_turn[predecessors(first)], is_turn), axis=1).reshape(-1)
    ends = np.stack((y + 1 - is_down, y + is_down), axis=1).reshape(-1)
    corners = np.stack((np.repeat(x, 2), ends), axis=1)[kept]
    count = np.concatenate(([0], np.cumsum(kept)))
    bounds = count[2 * first]
    begin = count[1::2] - 1
    # a ring's first side may go on a stretch that begins with its last corner
    ring = np.repeat(np.arange(len(first) - 1), np.diff(first))
    begin = np.where(begin < bounds[ring], bounds[ring + 1] - 1, begin)
    return corners, begin, bounds


def successors(first: Integers) -> Integers:
    """Returns the next element of each in rings that are stored one after the other."""
    following = np.arange(1, first[-1] + 1)
    following[first[1:] - 1] = first[:-1]
    return following


def predecessors(first: Integers) -> Integers:
    """Returns the element before each in rings that are stored one after the other."""
    previous = np.arange(-1, first[-1] - 1)
    previous[first[:-1]] = first[1:] - 1
    return previous
