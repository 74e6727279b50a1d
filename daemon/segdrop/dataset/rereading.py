"""What one pass over the pixels shows to be read otherwise by the next: images of more than 8 bits, and turned ones."""

from collections.abc import Sequence

from segdrop.dataset import deep_survey, orientation
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.deep_survey import DeepSurvey
from segdrop.dataset.masks.deep_values import FULL_RANGE
from segdrop.dataset.masks.placing import Turning
from segdrop.dataset.pixel_pass import PixelPass
from segdrop.dataset.samples import LabelledSample
from segdrop.request import DatasetRequest


def requested_turning(request: DatasetRequest | None) -> Turning | None:
    """Returns where the request says that masks lie on images that are turned, or None where it does not."""
    return None if request is None or request.mask_orientation == "auto" else Turning(request.mask_orientation)


def following(archive: Archive, samples: Sequence[LabelledSample], pixel_pass: PixelPass) -> PixelPass | None:
    """Returns the pass that reads what this one turned out to have read wrongly, or None.

    What is to be said of turned images is noted in ``pixel_pass``, and goes on to the next.
    """
    if pixel_pass.deep is None and pixel_pass.images.num_deep:
        deep = deep_survey.survey(archive, samples) or DeepSurvey(FULL_RANGE)
        return PixelPass(pixel_pass.labeller, deep)
    labeller = pixel_pass.labeller
    if labeller.turning is not None or not pixel_pass.doubtful:
        return None
    doubtful = [samples[position] for position in pixel_pass.doubtful]
    verdict = orientation.judge(archive, doubtful, labeller, pixel_pass.deep)
    if verdict is None:
        return None
    said = [*pixel_pass.said, *([verdict.issue] if verdict.issue else [])]
    pixel_pass.labeller, pixel_pass.said = labeller.turned(verdict.turning or Turning.DISPLAYED), said
    return PixelPass(pixel_pass.labeller, pixel_pass.deep, said) if verdict.is_news else None
