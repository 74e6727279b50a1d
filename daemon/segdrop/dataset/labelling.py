"""From the truth of one sample to what is learned: the keys that were meant, and from them the class of each pixel.

The pixel pass, the overlays and the conversion all read truth in this one way.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segdrop.dataset.classes.assignment import IGNORE
from segdrop.dataset.masks import decode, deep_values, mask_keys, snapping
from segdrop.dataset.masks.placing import Turning, View, placed
from segdrop.dataset.masks.stored import Decoding, FileFacts
from segdrop.dataset.samples import Drawing, MaskFile, MaskUnion, Truth


@dataclass(frozen=True, slots=True)
class Labelling:
    """The truth of one sample as keys.

    ``num_snapped`` counts the pixels whose colour was near one of the legend's, ``num_overlapping`` those that masks of
    two classes claim.
    """

    keys: mask_keys.Keys  #: (height, width), at full size
    num_snapped: int
    is_lossy: bool
    facts: FileFacts | None = None  #: how a mask file stores its values
    is_turned: bool = False  #: was turned as its image
    is_doubtful: bool = False  #: no size tells whether it is to be turned
    num_overlapping: int = 0


class Labeller:
    """Reads truth, always in the same way. Any thread may use it."""

    def __init__(
        self,
        legend: Sequence[int] = (),
        snapper: snapping.Snapper | snapping.Objects | None = None,
        decoding: Decoding | None = None,
        said: tuple[str, ...] = (),
        turning: Turning | None = None,
    ) -> None:
        """``legend`` has the colours (0xRRGGBB) that masks are expected to have; ``snapper`` is for masks that are
        blurred; ``decoding`` is how palettes and transparency are read, once that is decided; ``said`` are the
        sentences that say so; ``turning`` says which pixels the truth lies on where the size of images that are turned
        does not.
        """
        self.turning = turning
        self._legend = frozenset(legend)
        self._snapper = snapper
        self._decoding = decoding or Decoding()
        self.is_decoding_decided = decoding is not None
        self.said = said
        self._known = np.sort(np.asarray([mask_keys.COLOUR + colour for colour in legend], np.int64))
        self._near = snapping.Snapper(self._known.tolist(), snapping.LEGEND_TOLERANCE) if legend else None

    @property
    def has_snapped(self) -> bool:
        """Whether blurred keys are taken for those that were meant."""
        return self._snapper is not None

    def decoded(self, decoding: Decoding, said: Sequence[str]) -> "Labeller":
        """Returns the same labeller with the decision about palettes and transparency."""
        return self._but(decoding=decoding, said=(*self.said, *said))

    def snapped(self, snapper: snapping.Snapper | snapping.Objects) -> "Labeller":
        """Returns the same labeller with a snapper, for masks that are blurred or number objects."""
        return self._but(snapper=snapper)

    def turned(self, turning: Turning) -> "Labeller":
        """Returns the same labeller with the decision where the truth of turned images lies."""
        return self._but(turning=turning)

    def _but(self, **changes: Any) -> "Labeller":  # noqa: ANN401  (any of the arguments)
        same = {
            "legend": sorted(self._legend),
            "snapper": self._snapper,
            "decoding": self._decoding if self.is_decoding_decided else None,
            "said": self.said,
            "turning": self.turning,
        }
        return Labeller(**(same | changes))

    def read(self, read: mask_keys.Read, truth: Truth, view: View | None) -> Labelling:
        """Returns the keys of a truth: blurred ones as those that were meant, colours as the legend's.

        ``read`` returns a member's bytes; ``view`` says how the image is displayed, or is None if it cannot be read.
        Raises DecodeError where a mask cannot be decoded, or an area cannot be drawn.
        """
        is_turned, given = False, truth
        if isinstance(truth, Drawing):
            truth, is_turned = placed(truth, view, self.turning)
        found = mask_keys.read(read, truth, view.size if view else None, self._legend, self._decoding)
        if view is not None and not isinstance(truth, Drawing):
            is_turned = self._is_to_be_turned(read, truth, view, found.keys)
        keys, num_snapped = found.keys, 0
        is_doubtful = view is not None and view.is_turned and _may_lie_two_ways(given, view, keys)
        if view is not None and is_turned:
            keys = np.ascontiguousarray(deep_values.turned(keys, view.orientation))
        if self._snapper is not None:
            keys = self._snapper.snap(keys)
        if self._near is not None:
            keys, num_snapped = snapping.to_legend(keys, self._near, self._known)
        return Labelling(keys, num_snapped, found.is_lossy, found.facts, is_turned, is_doubtful, found.num_overlapping)

    def _is_to_be_turned(
        self, read: mask_keys.Read, truth: MaskFile | MaskUnion, view: View, keys: mask_keys.Keys
    ) -> bool:
        """Whether a mask lies on the image as stored. One that has been turned by a tag of its own does not."""
        size = keys.shape[1], keys.shape[0]
        may_be = self.turning is Turning.STORED and view.may_lie_on_both(size)
        return (may_be or view.lies_on_stored(size)) and decode.orientation(read(truth.member)) == 1


def _may_lie_two_ways(truth: Truth, view: View, keys: mask_keys.Keys) -> bool:
    """Whether no size tells where a truth lies on an image that is turned. ``keys`` are not turned yet."""
    if not isinstance(truth, Drawing):
        return view.may_lie_on_both((keys.shape[1], keys.shape[0]))
    return truth.size is None or view.lies_on_stored(truth.size) or view.may_lie_on_both(truth.size)


def class_ids(keys: mask_keys.Keys, lookup: Mapping[int, int]) -> npt.NDArray[np.uint8]:
    """Returns class ids in the shape of the keys, by a reading's ``lookup``; pixels without a class, or ignored, have
    255.
    """
    found, _ = mask_keys.distinct(keys)
    table = np.asarray([lookup.get(key, IGNORE) for key in found.tolist()], np.uint8)
    return table[np.searchsorted(found, keys)]
