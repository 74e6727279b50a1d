"""Blurred masks (JPEG, anti-aliased edges) back to the few values that were meant, or the reason why that is not sure.

Areas of one class are flat, give or take what JPEG adds; what blurring makes along edges is thin. So a colour was meant
if it fills areas (pixels whose neighbours are alike) and holds most of what is near to it there. A pixel near enough to
one of these belongs to it, and what lies between is left out, if there is little of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segdrop.dataset.masks.mask_keys import BETWEEN, COLOUR, Keys, distinct

#: bins of the histogram: 64 steps of 4 a channel
_STEPS, _STEP_SHIFT = 64, 2
#: how far JPEG moves flat colours, at most, and how near most pixels of a flat area stay
_NOISE, _CORE = 32.0, 10.0
_LEAST_CORE_SHARE = 0.6
_LEAST_SHARE = 0.001
#: neighbours in one area of a JPEG differ by at most this
_FLAT = 8
_MOST_BETWEEN_SHARE = 0.05
_MAX_MEANT = 64
#: a pixel that is nearer to a colour than this part of the distance between two is certain
_CERTAIN = 0.4
#: a colour profile or a rounded export moves a legend's colours by at most this
LEGEND_TOLERANCE = 12.0
#: colours that people choose differ by this at least, numbers of classes are smaller
_LEAST_SHADE = 64

Colours = npt.NDArray[np.int64]  # (N, 3)


def channels_of(keys: npt.NDArray[np.integer]) -> Colours:
    """Returns red, green and blue of keys, (N, 3); a value stands for grey."""
    keys = keys.astype(np.int64)
    grey = np.minimum(keys, 255)
    colour = keys - COLOUR
    is_colour = keys >= COLOUR
    parts = [np.where(is_colour, colour >> shift & 0xFF, grey) for shift in (16, 8, 0)]
    return np.stack(parts, axis=-1)


def _bins(channels: Colours) -> npt.NDArray[np.int64]:
    """Returns the bin of the histogram for each colour."""
    steps = channels >> _STEP_SHIFT
    return np.asarray((steps[..., 0] * _STEPS + steps[..., 1]) * _STEPS + steps[..., 2], np.int64)


class Histogram:
    """Counts pixels by bin, with the most frequent key in each. Its size does not depend on the data."""

    def __init__(self) -> None:
        self.pixels = np.zeros(_STEPS**3, np.int64)
        self._most = np.zeros(_STEPS**3, np.int64)
        self._keys = np.zeros(_STEPS**3, np.int64)

    def add(self, keys: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
        """Count pixels: the number of them for each key."""
        order = np.argsort(counts)  # the last assignment to a bin wins: the most frequent
        keys, counts = keys[order], counts[order]
        bins = _bins(channels_of(keys))
        np.add.at(self.pixels, bins, counts)
        better = counts > self._most[bins]
        self._most[bins[better]] = counts[better]
        self._keys[bins[better]] = keys[better]

    def used(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Returns keys that stand for the bins with pixels, and the number of these, the fullest first."""
        bins = np.flatnonzero(self.pixels)
        bins = bins[np.argsort(-self.pixels[bins], kind="stable")]
        return self._keys[bins], self.pixels[bins]


@dataclass(frozen=True, slots=True)
class Meant:
    """The keys that were meant, and the share of pixels (0 to 1) that is certain to belong to one of them."""

    keys: tuple[int, ...]
    certain_share: float


@dataclass(frozen=True, slots=True)
class Unclear:
    """The reason why it cannot be told which keys were meant."""

    reason: str


def meant(everything: Histogram, areas: Histogram) -> Meant | Unclear:
    """Find the keys that were meant, from all pixels and from those inside areas."""
    keys, pixels = areas.used()
    if not len(keys):
        return Unclear("they have no areas of one value")
    channels = channels_of(keys).astype(np.float64)
    total = int(pixels.sum())
    free = np.ones(len(keys), np.bool_)
    found: list[int] = []
    for position in range(len(keys)):
        if pixels[position] < _LEAST_SHARE * total or len(found) > _MAX_MEANT:
            break
        if not free[position]:
            continue
        distances = np.abs(channels - channels[position]).max(axis=1)
        near = free & (distances <= _NOISE)
        core = pixels[free & (distances <= _CORE)].sum()
        if core >= _LEAST_CORE_SHARE * pixels[near].sum():
            found.append(position)
            free &= ~near
    if not 2 <= len(found) <= _MAX_MEANT:  # noqa: PLR2004  (one value is no mask)
        return Unclear(f"{len(found)} values stand out")
    chosen = tuple(sorted(_plain(int(keys[position])) for position in found))
    all_keys, all_pixels = everything.used()
    certain = Snapper(chosen).snap(all_keys) != BETWEEN
    share = float(all_pixels[certain].sum()) / int(all_pixels.sum())
    if share < 1 - _MOST_BETWEEN_SHARE:
        return Unclear(f"{1 - share:.0%} of the pixels lie between the {len(found)} values that stand out")
    return Meant(chosen, share)


def inside_areas(keys: Keys, *, is_lossy: bool) -> Keys:
    """Returns the keys of the pixels whose four neighbours are the same, or nearly so where the format is lossy."""
    if is_lossy:
        channels = channels_of(keys)
        alike_down = np.asarray(np.abs(np.diff(channels, axis=0)).max(axis=-1) <= _FLAT)
        alike_right = np.asarray(np.abs(np.diff(channels, axis=1)).max(axis=-1) <= _FLAT)
    else:
        alike_down = np.asarray(keys[1:] == keys[:-1])
        alike_right = np.asarray(keys[:, 1:] == keys[:, :-1])
    inside = alike_down[:-1, 1:-1] & alike_down[1:, 1:-1] & alike_right[1:-1, :-1] & alike_right[1:-1, 1:]
    return np.asarray(keys[1:-1, 1:-1][inside])


def _plain(key: int) -> int:
    """Returns black and white where JPEG missed them by a little, and grey as a value."""
    channels = channels_of(np.asarray([key]))[0]
    channels = np.where(channels <= 4, 0, np.where(channels >= 251, 255, channels))  # noqa: PLR2004  (a little)
    red, green, blue = (int(channel) for channel in channels)
    if max(red, green, blue) - min(red, green, blue) <= 4:  # noqa: PLR2004
        return green
    return COLOUR + (red << 16 | green << 8 | blue)


def key_text(key: int) -> str:
    """Returns a key as people write it: a value, or ``#rrggbb``."""
    return str(key) if key < COLOUR else f"#{key - COLOUR:06x}"


class Snapper:
    """Takes keys to the nearest of a few, and to ``BETWEEN`` where none is near enough to be certain."""

    def __init__(self, keys: Sequence[int], radius: float | None = None) -> None:
        """``radius`` is the largest distance (of the channel that differs most); by default, what is certain."""
        self._keys = np.asarray([*keys, BETWEEN], np.int32)
        self._centres = channels_of(np.asarray(keys)).astype(np.float64)
        gaps = np.abs(self._centres[:, None] - self._centres[None]).max(axis=-1)
        np.fill_diagonal(gaps, np.inf)
        certain = _CERTAIN * float(gaps.min()) if len(keys) > 1 else np.inf
        self.radius = certain if radius is None else min(certain, radius)

    def snap(self, keys: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
        """Returns snapped keys in the same shape. The work is that of the distinct keys."""
        found, _ = distinct(keys)
        channels = channels_of(found).astype(np.float64)
        best = np.zeros(len(found), np.int64)
        nearest = np.full(len(found), np.inf)
        for number, centre in enumerate(self._centres):
            distances = np.abs(channels - centre).max(axis=1)
            better = distances < nearest
            best[better], nearest[better] = number, distances[better]
        best[nearest > self.radius] = len(self._centres)
        return self._keys[best][np.searchsorted(found, keys)]


class Objects:
    """Takes the numbers of objects to one value for all of them."""

    def snap(self, keys: npt.NDArray[np.integer]) -> npt.NDArray[np.int32]:
        """Returns 0 for the background and 1 for every object, in the same shape."""
        return np.asarray(keys > 0, np.int32)


def _is_numbered(found: npt.NDArray[np.int64]) -> bool:
    """Whether the keys of a mask may be numbers of classes in one channel, which lie near to a legend's black."""
    if len(found) < 2 or found[0] < COLOUR:  # noqa: PLR2004  (nothing varies)
        return False
    tops, bottoms = channels_of(found).max(axis=0), channels_of(found).min(axis=0)
    return bool((tops != bottoms).sum() == 1 and tops[tops != bottoms][0] < _LEAST_SHADE)


def to_legend(keys: Keys, legend: Snapper, known: npt.NDArray[np.int64]) -> tuple[Keys, int]:
    """Returns keys with colours near a legend's replaced by the legend's own, and the number of pixels changed.

    ``known`` has the legend's keys, sorted.
    """
    found, counts = distinct(keys)
    strange = ~np.isin(found, known) & (found >= COLOUR)
    if not strange.any() or _is_numbered(found):
        return keys, 0
    snapped = legend.snap(found)
    moved = strange & (snapped != BETWEEN)
    if not moved.any():
        return keys, 0
    table = np.where(moved, snapped, found)
    return table[np.searchsorted(found, keys)].astype(np.int32), int(counts[moved].sum())
