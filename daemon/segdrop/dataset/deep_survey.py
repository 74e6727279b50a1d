"""The values of images with more than 8 bits are looked at first, since one range for all of them must be known before
any is read: the same values must be the same grey in every image, and in every prediction.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.masks import decode, deep_values, image_reading
from segdrop.dataset.masks.deep_values import DeepRange
from segdrop.dataset.samples import Sample
from segdrop.errors import Issue

#: images whose first bytes tell whether there are deep ones at all, and those whose values are looked at
_NUM_PEEKED, _NUM_SURVEYED = 8, 64
_HEAD_BYTES = 64
_MOST_VALUES = 1 << 14  # of an image
#: shares of values that may lie outside the range, in percent, below and above
_PERCENTILES = (0.1, 99.9)
#: with this much less than the range's length, an outlier is still within
_OUTLIER = 0.5
#: a lowest value of so small a share of the highest is grey: black stays 0
_NEARLY_ZERO = 1 / 3
_DARK = 1 / 16
_BYTE_TOP = 255.0

AnySample = TypeVar("AnySample", bound=Sample)
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class DeepSurvey:
    """The range of values that becomes black to white, and what is odd about it."""

    deep_range: DeepRange
    issues: list[Issue] = field(default_factory=list)

    @property
    def assumption(self) -> str:
        """Says how values were scaled."""
        low, high = (f"{end:.6g}" for end in self.deep_range)
        if self.deep_range == deep_values.FULL_RANGE:
            return "the values 0…65535 of more than 8 bits were scaled to 0…255: the upper 8 bits are used"
        return f"the values {low}…{high} of more than 8 bits were scaled to 0…255, in all images and bands alike"


def may_have_deep_images(archive: Archive, samples: Sequence[Sample]) -> bool:
    """Whether one of a few images begins as one with more than 8 bits a channel may."""
    for sample in spread(samples, _NUM_PEEKED):
        try:
            head = archive.head(sample.image, _HEAD_BYTES)
        except MemberError:
            continue
        if len(head) == _HEAD_BYTES and deep_values.may_be_deep(head):
            return True
    return False


def survey(archive: Archive, samples: Sequence[Sample]) -> DeepSurvey | None:
    """Returns the range of the images with more than 8 bits, by a sample of them, or None where there are none."""
    samples = [sample for sample in samples if may_have_deep_images(archive, [sample])]
    found = [(archive.names[sample.image], values) for sample, values in _deep(archive, samples)]
    pooled = np.concatenate([_some(values) for _, values in found]) if found else np.empty(0)
    if not pooled.size:
        return None
    kinds = {values.dtype.kind == "f" for _, values in found}
    deep_range = chosen(pooled, is_whole=kinds == {False})
    return DeepSurvey(deep_range, _dark([(name, _some(values)) for name, values in found], deep_range))


def spread(samples: Sequence[AnySample], count: int) -> list[AnySample]:
    """Returns so many samples, evenly spread."""
    count = min(count, len(samples))
    return [samples[number * len(samples) // count] for number in range(count)]


def _deep(archive: Archive, samples: Sequence[Sample]) -> Iterator[tuple[Sample, npt.NDArray[Any]]]:
    """Yields images with more than 8 bits, with a few of their values. What cannot be decoded is said by the pass."""
    for sample in spread(samples, _NUM_SURVEYED):
        try:
            content = archive.read(sample.image)
            values = image_reading.deep_numbers(content)
        except (decode.DecodeError, MemberError):
            continue
        if values is not None:
            flat = values.ravel()
            yield sample, flat[:: max(1, flat.size // _MOST_VALUES)].copy()


def _some(values: npt.NDArray[Any]) -> Values:
    """Returns the values that are numbers."""
    numbers = values.astype(np.float64)
    return numbers[np.isfinite(numbers)]


def chosen(values: Values, *, is_whole: bool) -> DeepRange:
    """Returns the range of values, without a few outliers (hot pixels, clouds).

    Where 0 to 255 or 0 to 65535 are in use, or 0 to 1 by fractions, that is the range: these images are stored so.
    """
    low, high = (float(end) for end in np.percentile(values, _PERCENTILES))
    least, most = float(values.min()), float(values.max())
    length = high - low
    high = most if most - high <= _OUTLIER * length else high
    low = least if low - least <= _OUTLIER * length else low
    if 0 <= low <= _NEARLY_ZERO * high:
        low = 0.0
    for top in (255.0, 65_535.0) if is_whole else (1.0, 255.0):
        if (low == 0 or 0 < low < top == _BYTE_TOP) and top / 2 < high <= top:
            low, high = 0.0, top
    if is_whole:
        low, high = float(np.floor(low)), float(np.ceil(high))
    return low, high if high > low else low + 1


def _dark(found: list[tuple[str, Values]], deep_range: DeepRange) -> list[Issue]:
    """Returns a warning where the range of all leaves some images nearly black."""
    low, high = deep_range
    tops = [(name, float(np.percentile(values, _PERCENTILES[1]))) for name, values in found if values.size]
    dark = [(name, top) for name, top in tops if top - low < _DARK * (high - low)]
    if not dark or len(dark) == len(tops):
        return []
    name, top = dark[0]
    message = (
        f"{len(dark)} of {len(tops)} images that were looked at are nearly black beside the others: {name} has values "
        f"up to {top:.6g}, others up to {high:.6g}"
    )
    return [Issue.of(Code.IMAGE_RANGES_DIFFER, message, files=[name for name, _ in dark])]
