"""Outlines of regions as few points: simplified as far as the pixels stay the same, or nearly.

Programs turn outlines into pixels by two rules. Some take the pixels whose centres lie inside (pycocotools, and with it
datumaro and CVAT). Others cut the coordinates off to whole numbers, and take the pixels that the outline touches, too
(Pillow and with it LabelMe, OpenCV's ``fillPoly`` with Ultralytics' YOLO, and this package's own reader). Outlines that
lie a little within the border of the pixels give the same pixels by both, and it is by both that each outline is
checked here before it is taken.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from segdrop.inference.outputs.tracing import Integers, Rings, predecessors, successors

Points = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

#: pixels by which outlines lie within the border: cut off, coordinates are those of the region's own pixels
INSET = 0.05
#: pixels by which points that are left out may lie beside the outline: tried one after the other
_TOLERANCES = (0.6, 0.45, 0.35)
#: sides shorter than this belong to the steps of an oblique border
_LONG = 2
_CORNERS_OF_RECTANGLE = 4
#: pixels by which outlines are moved to see what rounding may do to them, and how much a change then counts
_ASIDE, _WEIGHT_ASIDE = ((-0.1, -0.1), (-0.1, 0.1), (0.1, -0.1), (0.1, 0.1)), 1 / 3


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Closed rings of points (x, y) in pixels, (number of points, 2), one after the other as in ``Rings``.

    ``place`` says where along the rings each point lies, and grows: n is the n-th corner of all rings, n + 0.5 the
    middle of the side after it.
    """

    points: Points
    place: Points
    first: Integers

    def ring(self, number: int) -> Points:
        """Returns the points of one ring."""
        return self.points[self.first[number] : self.first[number + 1]]

    @property
    def ring_of_point(self) -> Integers:
        """Number of the ring of each point."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


def exact(rings: Rings) -> Outlines:
    """Returns outlines with a point for each corner of the border."""
    along_in, along_out = _directions(rings)
    points = rings.corners + INSET * (_inwards(along_in) + _inwards(along_out))
    return Outlines(points, np.arange(len(points), dtype=np.float64), rings.first)


def simplified(rings: Rings, most: Points) -> Outlines:
    """Returns outlines with fewer points that change next to no pixels.

    ``most`` is the number of pixels that each ring may change, (number of rings,), by either rule; where it is less
    than one, the ring stays as it is. Points are left out by the method of Ramer, Douglas and Peucker (1973), for all
    rings at once. Where each tolerance changes too much, those lines that change most become the border again.
    """
    whole = exact(rings)
    is_open = (np.diff(rings.first) > _CORNERS_OF_RECTANGLE) & (most >= 1)
    number = np.flatnonzero(is_open)
    if not len(number):
        return whole
    elements, bounds = _ranges(rings.first[number], rings.first[number + 1])
    part = Rings(rings.corners[elements], bounds, rings.least[number], rings.of_side, rings.corner_of_side)
    found = _simplified(part, most[number])
    place = found.place + (rings.first[number] - bounds[:-1])[found.ring_of_point]
    return _joined(whole, Outlines(found.points, place, found.first), is_open)


def _simplified(rings: Rings, most: Points) -> Outlines:
    """Returns outlines as :func:`simplified` does, for rings of which each may change a pixel at least."""
    whole, stepless = exact(rings), _stepless(rings)
    is_open = np.ones(len(most), np.bool_)
    outlines = whole
    for tolerance in _TOLERANCES:
        outlines = _chosen(is_open, _straightened(stepless, tolerance), outlines)
        is_open = is_open & ~_is_good(whole, outlines, is_open, rings.is_hole, most)
    outlines = _restored(whole, outlines, _is_bad(whole, outlines, is_open, rings.is_hole, most))
    is_open = is_open & ~_is_good(whole, outlines, is_open, rings.is_hole, most)
    return _chosen(is_open, whole, outlines)


def _joined(whole: Outlines, part: Outlines, is_in_part: Flags) -> Outlines:
    """Returns outlines with the rings of a part, in their order, in place of those that are in it."""
    is_left = ~is_in_part[whole.ring_of_point]
    points = np.concatenate((whole.points[is_left], part.points))
    place = np.concatenate((whole.place[is_left], part.place))
    order = np.argsort(place, kind="stable")
    return Outlines(points[order], place[order], np.searchsorted(place[order], whole.first))


def _directions(rings: Rings) -> tuple[Points, Points]:
    """Returns the unit vectors along the sides before and after each corner."""
    after = np.sign(rings.corners[successors(rings.first)] - rings.corners).astype(np.float64)
    return after[predecessors(rings.first)], after


def _inwards(along: Points) -> Points:
    """Returns the vectors to the right of others, y pointing down: from a border into its region."""
    return np.stack((-along[:, 1], along[:, 0]), axis=1)


def _stepless(rings: Rings) -> Outlines:
    """Returns outlines without the steps of oblique borders.

    Where a border makes a step of one pixel, the line goes through the middle of the step, from points on the sides
    before and after that are equally far from it: for a straight border they lie on a line. All other corners stay.
    """
    after, before = successors(rings.first), predecessors(rings.first)
    along_in, along_out = _directions(rings)
    length_out = np.abs(rings.corners[after] - rings.corners).sum(axis=1)
    length_in = length_out[before]
    is_left_turn = along_in[:, 0] * along_out[:, 1] < along_in[:, 1] * along_out[:, 0]
    is_step_out = (length_out == 1) & (is_left_turn != is_left_turn[after])
    is_step_in = is_step_out[before]
    back = _reach(length_in, np.where(is_step_out, length_out[after], 1))
    ahead = _reach(length_out, np.where(is_step_in, length_in[before], 1))
    is_corner = np.minimum(length_in, length_out) >= _LONG
    is_skipped = is_step_in & (length_out >= _LONG) & (length_in[before] >= _LONG)
    corner = rings.corners + INSET * (_inwards(along_in) + _inwards(along_out))
    point_in = rings.corners - back[:, None] * along_in + INSET * _inwards(along_in)
    point_out = rings.corners + ahead[:, None] * along_out + INSET * _inwards(along_out)
    points = np.stack((np.where(is_corner[:, None], corner, point_in), point_out), axis=1).reshape(-1, 2)
    number = np.arange(len(rings.corners))
    place = np.stack((number - np.where(is_corner, 0, back / length_in), number + ahead / length_out), axis=1)
    # the middle of a side of one pixel is that before the next corner, too
    used = np.stack((~is_skipped, ~is_corner & (length_out > 1)), axis=1).reshape(-1)
    first = np.concatenate(([0], np.cumsum(used)))[2 * rings.first]
    return _sorted(points[used], place.reshape(-1)[used], first, rings.first)


def _reach(length: Integers, other: Integers) -> Points:
    """Returns how far a point lies from a step on a side, so that one on the other side can be as far from it."""
    return (np.minimum(length, other) - 1) // 2 + 0.5


def _sorted(points: Points, place: Points, first: Integers, corners: Integers) -> Outlines:
    """Returns outlines of which a point before a ring's first corner (on its last side) is put at its end."""
    ring = np.repeat(np.arange(len(first) - 1), np.diff(first))
    place = np.where(place < corners[ring], place + np.diff(corners)[ring], place)
    order = np.argsort(place, kind="stable")
    return Outlines(points[order], place[order], first)


def _straightened(outlines: Outlines, tolerance: float) -> Outlines:
    """Returns outlines of which no point left out is farther than the tolerance from what is left."""
    points, first = outlines.points, outlines.first
    is_kept = np.zeros(len(points), np.bool_)
    begin, stop = first[:-1], first[1:]
    is_kept[begin] = True
    end = begin  # where the stretch from a kept point on ends: the ring is closed
    split = _peaks(((points - points[begin[outlines.ring_of_point]]) ** 2).sum(axis=1), begin)
    while len(split):
        is_kept[split] = True
        begin, stop, end = (np.concatenate(pair) for pair in ((begin, split), (split, stop), (split, end)))
        is_open = stop - begin > 1
        begin, stop, end = begin[is_open], stop[is_open], end[is_open]
        if not len(begin):
            break
        inner, bounds = _ranges(begin + 1, stop)
        length = stop - begin - 1
        distance = _distances(points[inner], np.repeat(points[begin], length, 0), np.repeat(points[end], length, 0))
        peak = _peaks(distance, bounds[:-1])
        is_far = distance[peak] > tolerance
        begin, stop, end, split = begin[is_far], stop[is_far], end[is_far], inner[peak[is_far]]
    return Outlines(points[is_kept], outlines.place[is_kept], np.concatenate(([0], np.cumsum(is_kept)))[first])


def _distances(points: Points, begin: Points, end: Points) -> Points:
    """Returns the distance of each point from its line between two points."""
    along = end - begin
    squared = np.maximum((along**2).sum(axis=1), 1e-12)
    share = (((points - begin) * along).sum(axis=1) / squared).clip(0, 1)
    return np.asarray(np.hypot(*(begin + share[:, None] * along - points).T), np.float64)


def _peaks(values: Points, begin: Integers) -> Integers:
    """Returns where the first greatest value is in each stretch of an array; the stretches follow one another."""
    greatest = np.maximum.reduceat(values, begin)
    reached = np.flatnonzero(values == np.repeat(greatest, np.diff(np.append(begin, len(values)))))
    return np.asarray(reached[np.searchsorted(reached, begin)], np.int64)


def _ranges(begin: Integers, stop: Integers) -> tuple[Integers, Integers]:
    """Returns the numbers of several ranges, one after the other, and where each begins (and ends) among them."""
    bounds = np.concatenate(([0], np.cumsum(stop - begin)))
    return np.arange(bounds[-1]) + np.repeat(begin - bounds[:-1], stop - begin), bounds


def _chosen(is_first: Flags, one: Outlines, other: Outlines) -> Outlines:
    """Returns the rings of one where ``is_first`` says so, and those of the other elsewhere."""
    from_one, from_other = is_first[one.ring_of_point], ~is_first[other.ring_of_point]
    points = np.concatenate((one.points[from_one], other.points[from_other]))
    place = np.concatenate((one.place[from_one], other.place[from_other]))
    order = np.argsort(place, kind="stable")
    count = np.where(is_first, np.diff(one.first), np.diff(other.first))
    return Outlines(points[order], place[order], np.concatenate(([0], np.cumsum(count))))


def _by_ring(values: Points, outlines: Outlines) -> Points:
    """Returns the sum of the values of each ring's points."""
    return np.diff(np.concatenate(([0], np.cumsum(values)))[outlines.first])


def _restored(whole: Outlines, outlines: Outlines, is_bad: Flags) -> Outlines:
    """Returns outlines with all corners of the border again between each bad point and the point after it."""
    bad = np.flatnonzero(is_bad)
    after = successors(outlines.first)[bad]
    ring = outlines.ring_of_point[bad]
    begin = np.floor(outlines.place[bad]).astype(np.int64) + 1
    end = np.ceil(outlines.place[after]).astype(np.int64)
    is_round = after <= bad  # from the last point to the first: corners at the end and at the beginning
    steps = np.zeros(len(whole.points) + 1, np.int64)
    np.add.at(steps, begin, 1)
    np.add.at(steps, np.where(is_round, whole.first[ring + 1], end), -1)
    np.add.at(steps, whole.first[ring[is_round]], 1)
    np.add.at(steps, end[is_round], -1)
    corners = np.flatnonzero(np.cumsum(steps[:-1]))
    points = np.concatenate((outlines.points, whole.points[corners]))
    place = np.concatenate((outlines.place, whole.place[corners]))
    order = np.argsort(place, kind="stable")
    return Outlines(points[order], place[order], np.searchsorted(place[order], whole.first))


def _is_good(whole: Outlines, outlines: Outlines, is_open: Flags, is_hole: Flags, most: Points) -> Flags:
    """Returns which of the open rings change no more pixels than they may, by either rule."""
    is_good = is_open.copy()
    if is_open.any():
        is_good &= _by_ring(_changes_by_centre(whole, outlines), outlines) <= most
    for ring in np.flatnonzero(is_good).tolist():
        changed = _changed_by_touch(whole.ring(ring), outlines.ring(ring), is_hole[ring])
        is_good[ring] = np.count_nonzero(changed) <= most[ring]
    return is_good


def _is_bad(whole: Outlines, outlines: Outlines, is_open: Flags, is_hole: Flags, most: Points) -> Flags:
    """Returns the points of open rings before the lines that change most, so that the others change few enough pixels.

    A pixel that the second rule changes counts for the line nearest to it.
    """
    if not is_open.any():
        return np.zeros(len(outlines.points), np.bool_)
    ring = outlines.ring_of_point
    changes = _changes_by_centre(whole, outlines)
    for number in np.flatnonzero(is_open).tolist():
        changed = _changed_by_touch(whole.ring(number), outlines.ring(number), is_hole[number])
        middles = np.argwhere(changed)[:, ::-1] + np.floor(whole.ring(number).min(axis=0)) + 0.5
        np.add.at(changes, outlines.first[number] + _nearest_lines(middles, outlines.ring(number)), 1)
    order = np.lexsort((changes, ring))
    sums = np.cumsum(changes[order])
    before = np.concatenate(([0], sums))[outlines.first[:-1]]
    is_bad = np.zeros(len(ring), np.bool_)
    is_bad[order] = sums - before[ring] > most[ring]
    return is_bad & (changes > 0) & is_open[ring]


def _nearest_lines(places: Points, points: Points) -> Integers:
    """Returns the number of the point before the line of a closed ring that is nearest to each place."""
    end = np.roll(points, -1, axis=0)
    found = [int(_distances(place, points, end).argmin()) for place in places]
    return np.asarray(found, np.int64)


def _changes_by_centre(whole: Outlines, outlines: Outlines) -> Points:
    """Returns how many pixels have their centre within one of two outlines only, by the points of the second.

    Programs round coordinates, pycocotools to a fifth of a pixel: what changes when the second is moved a little
    counts, too, but less. Between the first and the second crossing of a row by either outline, the third and the
    fourth and so on, just one of the two is inside. Each of the two crossings gets half of the pixels.
    """
    width, height = (int(most) + 3 for most in whole.points.max(axis=0))
    true, side = _crossings(whole, height, width)
    before = np.searchsorted(outlines.place, side + 0.5, "right") - 1
    ring = true // (height * width)
    before = np.where(before < outlines.first[ring], outlines.first[ring + 1] - 1, before)
    most = np.zeros(len(outlines.points))
    for aside, weight in (((0.0, 0.0), 1.0), *((aside, _WEIGHT_ASIDE) for aside in _ASIDE)):
        moved = Outlines(outlines.points + aside, outlines.place, outlines.first)
        found, point = _crossings(moved, height, width)
        crossed, cause = np.concatenate((true, found)), np.concatenate((before, point))
        order = np.argsort(crossed, kind="stable")
        gaps = weight * np.diff(crossed[order])[0::2] / 2
        np.maximum(most, np.bincount(cause[order], np.repeat(gaps, 2), len(most)), out=most)
    return most


def _crossings(outlines: Outlines, height: int, width: int) -> tuple[Integers, Integers]:
    """Returns where outlines cross the middles of rows, and after which point.

    A crossing is (ring * height + row) * width + column, the first whose middle is on the right of the outline.
    """
    begin = outlines.points
    end = begin[successors(outlines.first)]
    low, high = (np.ceil(least(begin[:, 1], end[:, 1]) - 0.5).astype(np.int64) for least in (np.minimum, np.maximum))
    row, _ = _ranges(low, high)  # moved aside by less than half a pixel, no outline leaves the rows of its image
    point = np.repeat(np.arange(len(begin)), high - low)
    slope = (end[point, 0] - begin[point, 0]) / (end[point, 1] - begin[point, 1])
    column = np.ceil(begin[point, 0] + slope * (row + 0.5 - begin[point, 1]) - 0.5).astype(np.int64)
    return (outlines.ring_of_point[point] * height + row) * width + column, point


def _changed_by_touch(whole: Points, points: Points, is_hole: bool) -> Flags:  # noqa: FBT001
    """Returns which pixels of the box of one outline lie within or on just one of two.

    A pixel on the outline of a hole is outside of the hole.
    """
    low = np.floor(whole.min(axis=0))
    width, height = (int(side) + 1 for side in whole.max(axis=0) - low)
    drawn = []
    for outline in (whole, points):
        canvas = Image.new("L", (width, height))
        ImageDraw.Draw(canvas).polygon((outline - low).ravel().tolist(), fill=1, outline=0 if is_hole else 1)
        drawn.append(np.asarray(canvas))
    return np.asarray(drawn[0] != drawn[1], np.bool_)
