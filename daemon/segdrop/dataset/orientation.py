"""Whether masks lie on images as their EXIF tags turn them, or on the pixels as stored, where no size tells.

Of a few pairs, the borders between the areas of the mask are laid on the edges in the image, in both ways: the right
way has the borders on edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code, Severity
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.deep_survey import DeepSurvey, spread
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.masks import decode, image_reading, mask_keys
from segdrop.dataset.masks.placing import Turning, View, leaves_stored
from segdrop.dataset.samples import Drawing, LabelledSample
from segdrop.errors import Issue

_NUM_MEASURED = 24
_MAX_SIDE = 384
#: by how much one way must lie better: at least so much, and the more the fewer pairs there are
_LEAST_LEAD, _LEAD_OF_ONE = 0.05, 0.2
_LEAST_BORDER = 16
_FIX = (
    'Look at samples (`segdrop check --samples DIR`), and put into the request where masks lie: `"mask_orientation": '
    '"displayed"` or `"mask_orientation": "stored"`. Or turn the images for good (`mogrify -auto-orient`).'
)


@dataclass(frozen=True, slots=True)
class Measured:
    """One pair, laid both ways. Each is the mean of the image's edges along the mask's borders, 1 by chance."""

    displayed: float
    stored: float

    @property
    def lead(self) -> float:
        """Returns how much better the mask lies on the pixels as stored, from -1 to 1."""
        return (self.stored - self.displayed) / max(self.stored + self.displayed, 1e-9)


@dataclass(frozen=True, slots=True)
class OrientationVerdict:
    """Tells which way the truth lies, None where that is not clear, and what there is to say about it."""

    turning: Turning | None
    issue: Issue | None = None
    is_news: bool = False  #: it was read otherwise by the sizes alone


def judge(
    archive: Archive, samples: Sequence[LabelledSample], labeller: Labeller, deep: DeepSurvey | None
) -> OrientationVerdict | None:
    """Returns how the truth of images that are turned lies on them, or None where sizes say it of all.

    ``samples`` are those whose images are turned by their EXIF tags, and whose sizes allow both.
    """
    doubtful = [sample for sample in spread(samples, _NUM_MEASURED) if not _is_clear(archive, sample, labeller)]
    if not doubtful:
        return None
    names = [archive.names[sample.image] for sample in doubtful]
    if any(_leaves_stored(archive, sample) for sample in doubtful):
        message = (
            f"the sides of {len(samples)} images that their EXIF orientation turns are written as stored, and areas "
            "lie outside them: the areas were drawn on the images as displayed"
        )
        return OrientationVerdict(
            Turning.DISPLAYED, Issue.of(Code.IMAGE_ORIENTATION, message, files=names, fix=_FIX), is_news=True
        )
    measured = [found for sample in doubtful if (found := _measured(archive, sample, labeller, deep)) is not None]
    return _verdict(measured, names, len(samples), is_swapped=any(_is_swapped(archive, sample) for sample in doubtful))


def preferred(measured: Sequence[Measured]) -> Turning | None:
    """Returns the way in which masks lie clearly better on the edges of their images, or None."""
    if not measured:
        return None
    lead = float(np.mean([found.lead for found in measured]))
    if abs(lead) < _LEAST_LEAD + _LEAD_OF_ONE / len(measured) ** 0.5:
        return None
    return Turning.STORED if lead > 0 else Turning.DISPLAYED


def _verdict(measured: Sequence[Measured], names: list[str], count: int, *, is_swapped: bool) -> OrientationVerdict:
    """Returns the verdict, with what was measured in words."""
    turning = preferred(measured)
    displayed, stored = (
        float(np.mean([getattr(found, way) for found in measured])) if measured else 1.0 for way in Turning
    )
    evidence = (
        f"along the borders of the masks the edges of the images are {displayed:.2f} times the mean as displayed, "
        f"{stored:.2f} times with the masks turned alike ({len(measured)} pairs measured)"
    )
    what = f"{count} images are turned by their EXIF orientation"
    if turning is Turning.STORED:
        message = f"{what}, and their masks were made from the pixels as stored: they were turned as well; {evidence}"
    elif turning is Turning.DISPLAYED and not is_swapped:
        return OrientationVerdict(turning)
    elif turning is Turning.DISPLAYED:
        message = f"{what}; the annotations state the sides as stored, but lie on the images as displayed; {evidence}"
    elif is_swapped:
        message = (
            f"{what}; the annotations state the sides as stored, and whether their areas lie on the pixels as stored "
            f"or as displayed is not clear: {evidence}"
        )
        issue = Issue.of(Code.IMAGE_ORIENTATION, message, files=names, severity=Severity.FAULT, fix=_FIX)
        return OrientationVerdict(None, issue)
    else:
        message = (
            f"{what}; whether their masks were made from the pixels as stored or as displayed (rotated) is not clear, "
            f"and they were read as displayed: {evidence}"
        )
    issue = Issue.of(Code.IMAGE_ORIENTATION, message, files=names, fix=_FIX)
    return OrientationVerdict(turning, issue, is_news=turning is not None)


def _is_clear(archive: Archive, sample: LabelledSample, labeller: Labeller) -> bool:
    """Whether the truth of an image comes out the same both ways, or cannot be read."""
    try:
        view = image_reading.view(archive.read(sample.image))
        one, other = (labeller.turned(way).read(archive.read, sample.truth, view).keys for way in Turning)
    except (decode.DecodeError, MemberError):
        return True
    return np.array_equal(one, other)


def _leaves_stored(archive: Archive, sample: LabelledSample) -> bool:
    return isinstance(sample.truth, Drawing) and leaves_stored(sample.truth, _view(archive, sample))


def _is_swapped(archive: Archive, sample: LabelledSample) -> bool:
    size = sample.truth.size if isinstance(sample.truth, Drawing) else None
    return size is not None and _view(archive, sample).lies_on_stored(size)


def _view(archive: Archive, sample: LabelledSample) -> View:
    return image_reading.view(archive.read(sample.image))


def _measured(archive: Archive, sample: LabelledSample, labeller: Labeller, deep: DeepSurvey | None) -> Measured | None:
    """Returns how well both ways fit one pair, or None where its mask has hardly any borders."""
    deep_range = deep.deep_range if deep else None
    try:
        pixels, facts = image_reading.read_to_show(archive.read(sample.image), _MAX_SIDE, deep_range)
    except (decode.DecodeError, MemberError):
        return None  # an issue of the pass says so
    edges = edge_strength(pixels)
    fits = []
    for way in Turning:
        keys = labeller.turned(way).read(archive.read, sample.truth, facts.view).keys
        fits.append(fit(edges, keys))
    if None in fits:
        return None
    return Measured(*(found for found in fits if found is not None))


def edge_strength(pixels: decode.Bytes) -> npt.NDArray[np.float64]:
    """Returns how steep an image (height, width, 3) is at each pixel, 1 on average; of steep places a pixel around."""
    grey = pixels.astype(np.float64).mean(axis=-1)
    down, across = (np.abs(np.gradient(grey, axis=axis)) if grey.shape[axis] > 1 else 0 * grey for axis in (0, 1))
    steep = np.pad(down + across, 1, "edge")
    height, width = grey.shape
    around = np.max(
        [steep[row : row + height, column : column + width] for row in range(3) for column in range(3)], axis=0
    )
    return np.asarray(around / max(float(around.mean()), 1e-9))


def fit(edges: npt.NDArray[np.float64], keys: mask_keys.Keys) -> float | None:
    """Returns the mean of an image's edges along the borders between a mask's areas, or None where it has few."""
    small = decode.resize_nearest(keys, *edges.shape)
    borders = np.zeros(edges.shape, np.bool_)
    borders[1:] |= small[1:] != small[:-1]
    borders[:, 1:] |= small[:, 1:] != small[:, :-1]
    if np.count_nonzero(borders) < _LEAST_BORDER:
        return None
    return float(edges[borders].mean())
