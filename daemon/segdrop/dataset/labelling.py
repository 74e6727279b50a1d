"""The truth of one sample to what is learned: keys as they were meant, and from these the class of each pixel.

The one way for all that looks at truth: the survey, the overlays, the conversion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segdrop.dataset import masks, snapping
from segdrop.dataset.classes import IGNORE
from segdrop.dataset.samples import Truth


@dataclass(frozen=True, slots=True)
class Labelling:
    """The truth of one sample. ``num_snapped``: pixels whose colour was near one of the legend's."""

    keys: masks.Keys  #: (height, width), at full size
    num_snapped: int
    is_lossy: bool


class Labeller:
    """Reads truth, always in the same way: any thread may use it."""

    def __init__(self, legend: Sequence[int] = (), snapper: snapping.Snapper | None = None) -> None:
        """``legend``: colours (0xRRGGBB) that masks are expected to have. ``snapper``: for masks that are blurred."""
        self._legend = frozenset(legend)
        self._snapper = snapper
        self._known = np.sort(np.asarray([masks.COLOUR + colour for colour in legend], np.int64))
        self._near = snapping.Snapper(self._known.tolist(), snapping.LEGEND_TOLERANCE) if legend else None

    @property
    def has_snapped(self) -> bool:
        """Whether blurred keys are taken for those that were meant."""
        return self._snapper is not None

    def read(self, read: masks.Read, truth: Truth, image_size: tuple[int, int] | None) -> Labelling:
        """Blurred keys as those that were meant, colours as the legend's. Arguments and errors of ``masks.read``."""
        found = masks.read(read, truth, image_size, self._legend)
        keys, num_snapped = found.keys, 0
        if self._snapper is not None:
            keys = self._snapper.snap(keys)
        if self._near is not None:
            keys, num_snapped = snapping.to_legend(keys, self._near, self._known)
        return Labelling(keys, num_snapped, found.is_lossy)


def class_ids(keys: masks.Keys, lookup: Mapping[int, int]) -> npt.NDArray[np.uint8]:
    """Class ids of the same shape, by a reading's ``lookup``; 255 for pixels that are ignored, or have no class."""
    found, _ = masks.distinct(keys)
    table = np.asarray([lookup.get(key, IGNORE) for key in found.tolist()], np.uint8)
    return table[np.searchsorted(found, keys)]
