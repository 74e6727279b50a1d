"""The connected regions of a prediction, as annotation formats need them: outlines with holes, masks, confidence."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from segdrop.inference.outputs import outlines, tracing
from segdrop.inference.outputs.outlines import INSET, Outlines, Points
from segdrop.inference.outputs.protocol import Setting
from segdrop.inference.outputs.tracing import Integers, Rings, Runs, Tree
from segdrop.inference.prediction import Prediction

#: nobody corrects more of them one by one
MOST_REGIONS = 2_000
#: runs of one class within a row, beyond which a prediction is noise that is not worth outlines: 1 GB of memory
MOST_RUNS = 3_000_000
_MOST_CONFIDENT = 255
#: share of the pixels of a region, and of those of a class in an image, that outlines with fewer points may change
_MOST_OF_REGION, _MOST_OF_CLASS = 0.004, 0.005


@dataclass(frozen=True, eq=False)
class Region:
    """Pixels of one class that are connected over their sides; or all of a class that are not worth a region each.

    ``left``, ``top``, ``width`` and ``height`` are those of its box, in pixels. ``confidence`` is the mean of its
    pixels, 0 to 1.
    """

    class_id: int
    num_pixels: int
    confidence: float
    left: int
    top: int
    width: int
    height: int
    _labels: npt.NDArray[Any] = field(repr=False)  # (H, W) of the whole image
    _label: int = field(repr=False)
    _shape: "_Shape | None" = field(repr=False, default=None)

    @property
    def is_united(self) -> bool:
        """Whether this is not one region but many small ones of a class: it has no outline."""
        return self._shape is None

    @property
    def outline(self) -> Points:
        """Closed ring of points (x, y), (number of points, 2), without holes. Raises ValueError where it is united."""
        return self._known_shape.outline

    @property
    def num_holes(self) -> int:
        """Number of holes, whatever is in them; 0 where it is united."""
        return 0 if self._shape is None else len(self._shape.holes)

    @property
    def shows_background(self) -> bool:
        """Whether pixels that no annotation covers lie in one of its holes, directly or within other regions.

        All other holes are filled by the regions that lie in them, where these are drawn later.
        """
        return self._shape is not None and self._shape.shows_background

    def cut_outline(self) -> Points:
        """Returns one closed ring around the region that goes into each hole and out again on the same row of pixels.

        Raises ValueError where it is united.
        """
        return self._known_shape.cut()

    def mask(self) -> npt.NDArray[np.bool_]:
        """Returns which pixels of its box (height, width) belong to it."""
        box = self._labels[self.top : self.top + self.height, self.left : self.left + self.width]
        return np.asarray(box == self._label, np.bool_)

    @property
    def _known_shape(self) -> "_Shape":
        if self._shape is None:
            raise ValueError("a region that unites small ones has no outline")
        return self._shape


class Tracing:
    """Finds the regions of predictions. It keeps those of the last one, which several outputs ask for in turn."""

    def __init__(self, setting: Setting, most_regions: int = MOST_REGIONS) -> None:
        self._annotated = frozenset(range(len(setting.classes))) - {setting.background}
        self._most_regions = most_regions
        self._last: tuple[Prediction, list[Region]] | None = None

    def __call__(self, prediction: Prediction) -> list[Region]:
        """Returns the regions of a prediction, as :func:`find_regions` does."""
        last = self._last
        if last is None or last[0] is not prediction:
            found = find_regions(prediction.class_ids, prediction.confidence, self._annotated, self._most_regions)
            last = self._last = prediction, found
        return last[1]


def find_regions(
    class_ids: npt.NDArray[np.uint16],
    confidence: npt.NDArray[np.uint8],
    annotated: Collection[int],
    most_regions: int = MOST_REGIONS,
) -> list[Region]:
    """Returns the regions of the annotated classes of an image of class ids (H, W).

    They come in the order of painting: a region before those that lie in its holes. The largest ``most_regions`` are
    regions of their own; the small rest is united, one region for each class, and comes last. ``confidence`` (H, W) is
    255 times the probability of each pixel's class.
    """
    runs = tracing.find_runs(class_ids)
    if len(runs) > MOST_RUNS:
        return list(_united(class_ids, confidence, 0, sorted(annotated)))
    image = _Image(runs, class_ids, confidence, annotated)
    wanted = image.wanted
    largest = wanted[np.argsort(-image.num_pixels[wanted], kind="stable")]
    single, small = largest[:most_regions], largest[most_regions:]
    order = single[np.argsort(-image.enclosed[single], kind="stable")]
    found = [image.region(number) for number in order.tolist()]
    if len(small):
        classes = np.zeros(len(image.class_ids), np.int64)
        classes[small] = image.class_ids[small] + 1
        labels = classes[image.labels]
        found += _united(labels, confidence, 1, sorted(annotated))
    return found


def _united(
    labels: npt.NDArray[Any], confidence: npt.NDArray[np.uint8], first: int, class_ids: Sequence[int]
) -> Iterator[Region]:
    """Yields a region for each class that occurs in ``labels`` (H, W), which are class ids plus ``first``."""
    counts = np.bincount(labels.reshape(-1))
    for class_id in class_ids:
        label = class_id + first
        if label >= len(counts) or not counts[label]:
            continue
        covered = labels == label
        rows, columns = np.flatnonzero(covered.any(axis=1)), np.flatnonzero(covered.any(axis=0))
        top, left = int(rows[0]), int(columns[0])
        size = int(columns[-1]) - left + 1, int(rows[-1]) - top + 1
        sure = float(confidence[covered].mean()) / _MOST_CONFIDENT
        yield Region(class_id, int(counts[label]), sure, left, top, *size, labels, label)


class _Image:
    """All regions of an image, by number, with what is known of each as arrays."""

    def __init__(
        self, runs: Runs, class_ids: npt.NDArray[Any], confidence: npt.NDArray[np.uint8], annotated: Collection[int]
    ) -> None:
        self.runs = runs
        self.rings = tracing.trace(runs)
        self.tree = tracing.nest(runs, self.rings)
        length = runs.ends - runs.starts
        self.labels = np.repeat(self.tree.of_run.astype(np.int32), length).reshape(class_ids.shape)
        num_regions = len(self.tree.outer)
        self.num_pixels = np.bincount(self.tree.of_run, length, num_regions).astype(np.int64)
        sums = np.bincount(self.labels.reshape(-1), confidence.reshape(-1), num_regions)
        self.confidence = sums / (_MOST_CONFIDENT * self.num_pixels)
        self.class_ids = np.zeros(num_regions, np.int64)
        self.class_ids[self.tree.of_run] = runs.class_ids
        is_wanted = np.isin(self.class_ids, sorted(annotated))
        self.wanted = np.flatnonzero(is_wanted)
        areas = _areas(self.rings)
        self.enclosed = areas[self.tree.outer]
        most = np.minimum(
            _MOST_OF_REGION * _shares(self.tree, self.rings.is_hole, areas, self.num_pixels),
            _MOST_OF_CLASS * _shares_of_classes(runs, self.rings, is_wanted[self.tree.region]),
        )
        self.outlines = outlines.simplified(self.rings, most)
        self._boxes = _boxes(self.rings)[self.tree.outer]
        self._holes = _by_region(self.tree, self.rings)
        self._open_holes = _open_holes(self.tree, np.flatnonzero(~is_wanted))

    def region(self, number: int) -> Region:
        left, top, right, bottom = self._boxes[number].tolist()
        outer, holes = int(self.tree.outer[number]), self._holes.get(number, [])
        shape = _Shape(self, outer, tuple(holes), not self._open_holes.isdisjoint(holes))
        return Region(
            int(self.class_ids[number]), int(self.num_pixels[number]), float(self.confidence[number]),
            left, top, right - left, bottom - top, self.labels, number, shape,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class _Shape:
    """The rings of a region in those of its image."""

    image: _Image
    outer: int
    holes: tuple[int, ...]
    shows_background: bool

    @cached_property
    def outline(self) -> Points:
        return self.image.outlines.ring(self.outer)

    def cut(self) -> Points:
        """Returns the outer ring with all holes cut into it.

        A hole is cut in along the run of pixels at the left of its topmost row, from the ring at the left end of that
        run: the outer ring, or that of a hole which begins before. The cut lies within the region: programs that paint
        outlines, too, change no pixel by it.
        """
        runs, rings, found = self.image.runs, self.image.rings, self.image.outlines
        inserted: dict[int, list[tuple[float, Points]]] = {}
        for hole in reversed(self.holes):
            side = int(rings.least[hole])
            run = side // 2
            row = runs.rows[run] + 0.5
            near, far = (runs.starts[run] + INSET, row), (runs.ends[run] - INSET, row)
            begin = _place(rings, side, row)
            loop = _opened(found, hole, inserted.pop(hole, []), begin)
            cut = np.concatenate(([near, far], loop, [far, near]))
            parent = int(rings.of_side[side - 1])
            inserted.setdefault(parent, []).append((_place(rings, side - 1, row), cut))
        return _opened(found, self.outer, inserted.pop(self.outer, []), float(rings.first[self.outer]) - 1)


def _place(rings: Rings, side: int, row: float) -> float:
    """Returns where along its ring an upright side has the middle of its row."""
    corner = int(rings.corner_of_side[side])
    ring = int(rings.of_side[side])
    after = corner + 1 if corner + 1 < rings.first[ring + 1] else int(rings.first[ring])
    begin, end = rings.corners[corner, 1], rings.corners[after, 1]
    return float(corner + abs(row - begin) / abs(end - begin))


def _opened(found: Outlines, ring: int, inserted: list[tuple[float, Points]], begin: float) -> Points:
    """Returns the points of a ring from a place on around to it, with other points inserted at theirs."""
    part = slice(found.first[ring], found.first[ring + 1])
    points, place = found.points[part], found.place[part]
    start = int(np.searchsorted(place, begin))
    points, place = np.concatenate((points[start:], points[:start])), np.concatenate((place[start:], place[:start]))
    period = float(found.place[-1]) + 1  # what lies before the begin comes last
    along = np.where(place < begin, place + period, place)
    parts, last = [], 0
    for at, extra in sorted(
        ((at + period if at < begin else at, extra) for at, extra in inserted), key=lambda entry: entry[0]
    ):
        stop = int(np.searchsorted(along, at))
        parts += [points[last:stop], extra]
        last = stop
    return np.concatenate([*parts, points[last:]])


def _areas(rings: Rings) -> Integers:
    """Returns the number of pixels that each ring encloses, holes of its region included."""
    x, y = rings.corners[:, 0], rings.corners[:, 1]
    after = tracing.successors(rings.first)
    return np.abs(np.add.reduceat(x * y[after] - x[after] * y, rings.first[:-1])) // 2


def _shares(
    tree: Tree, is_hole: npt.NDArray[np.bool_], areas: Integers, num_pixels: Integers
) -> npt.NDArray[np.float64]:
    """Returns the share of its region's pixels by which the simplification of each ring is measured.

    The outer ring and all holes have half each, and no hole has more than it encloses.
    """
    holes = np.bincount(tree.region, np.where(is_hole, areas, 0), len(num_pixels))
    pixels = np.where(holes > 0, num_pixels / 2, num_pixels)[tree.region]
    return np.where(is_hole, np.minimum(pixels * areas / np.maximum(holes[tree.region], 1), areas), pixels)


def _shares_of_classes(runs: Runs, rings: Rings, is_drawn: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Returns for each ring the number of pixels of a class that it decides on: the least of all classes at it.

    Rings divide the pixels of a class by their lengths: those of its own regions, and those that its pixels lie along.
    That holds for the pixels of the background, too, whose own rings are not drawn and get none.
    """
    classes = np.flatnonzero(np.bincount(runs.class_ids))
    own = np.searchsorted(classes, runs.class_ids)
    length = np.add.reduceat(np.abs(rings.corners[tracing.successors(rings.first)] - rings.corners), rings.first[:-1])
    length = np.where(is_drawn, length.sum(axis=1), 0)
    # across the left end of a run is the run before it, across its right end that after it
    is_inside = np.stack((runs.starts > 0, runs.ends < runs.width), axis=1).reshape(-1)
    across = np.stack((np.roll(own, 1), np.roll(own, -1)), axis=1).reshape(-1)
    base = rings.of_side * len(classes)
    pairs = np.sort(np.concatenate((base + np.repeat(own, 2), (base + across)[is_inside])))
    pairs = pairs[np.append(True, pairs[1:] != pairs[:-1])]
    ring, number = np.divmod(pairs, len(classes))
    pixels = np.bincount(own, runs.ends - runs.starts)
    total = np.bincount(number, length[ring], len(classes))
    share = pixels[number] * length[ring] / np.maximum(total[number], 1)
    return np.asarray(np.minimum.reduceat(share, np.searchsorted(ring, np.arange(len(length)))), np.float64)


def _boxes(rings: Rings) -> Integers:
    """Returns the left, top, right and bottom of each ring, (number of rings, 4)."""
    begin = rings.first[:-1]
    least, most = np.minimum.reduceat(rings.corners, begin), np.maximum.reduceat(rings.corners, begin)
    return np.concatenate((least, most), axis=1)


def _by_region(tree: Tree, rings: Rings) -> dict[int, list[int]]:
    """Returns the rings of the holes of each region that has any, in ascending order."""
    found: dict[int, list[int]] = {}
    for ring in np.flatnonzero(rings.is_hole).tolist():
        found.setdefault(int(tree.region[ring]), []).append(ring)
    return found


def _open_holes(tree: Tree, regions: Integers) -> set[int]:
    """Returns the holes that some of these regions lie in, directly or within others."""
    found: set[int] = set()
    for region in regions.tolist():
        hole = int(tree.hole_around[region])
        while hole >= 0 and hole not in found:
            found.add(hole)
            hole = int(tree.hole_around[tree.region[hole]])
    return found
