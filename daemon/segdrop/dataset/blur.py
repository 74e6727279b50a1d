"""Whether the masks were blurred, and what is done about it: a second pass that snaps their values."""

from dataclasses import dataclass

from segdrop.dataset import snapping
from segdrop.dataset.masks import BETWEEN
from segdrop.dataset.names import Names
from segdrop.dataset.survey import Survey
from segdrop.errors import Issue

_BLACK, _WHITE = 0, 255
#: so many grey levels, nearly all pixels black or white: a binary mask with smoothed edges
_LEAST_SMOOTHED_LEVELS = 32
_LEAST_EXTREME_SHARE = 0.9
_TWO = 2


@dataclass(frozen=True, slots=True)
class Verdict:
    """``snapper``: for the second pass; ``issue``: what is said about it. Without a snapper, it is a fault."""

    snapper: snapping.Snapper | None
    issue: Issue


def judge(survey: Survey, names: Names | None) -> Verdict | None:
    """What to do about blurred masks, ``None`` where masks are not."""
    if not survey.lossy and not survey.has_too_many_keys and not _is_smoothed(survey, names):
        return None
    if survey.lossy:
        code, what = "mask.lossy", f"{len(survey.lossy)} masks are JPEG files"
    else:
        code, what = "mask.too_many_values", f"the masks hold {survey.num_distinct} different values"
    if any(_WHITE < key < BETWEEN for key in survey.pixels):
        return Verdict(None, Issue.of(code, f"{what}, more than a byte holds", files=survey.lossy))
    found = snapping.meant(survey.histogram, len(names) if names else None)
    if found.reason:
        return Verdict(None, Issue.of(code, f"{what}; {found.reason}", files=survey.lossy))
    shown = ", ".join(snapping.key_text(key) for key in found.keys)
    message = f"{what}; {found.certain_share:.2%} of the pixels are near one of {len(found.keys)} values: {shown}" + (
        "; the others are ignored" if found.certain_share < 1 else ""
    )
    return Verdict(snapping.Snapper(found.keys), Issue.of("mask.snapped", message, files=survey.lossy))


def _is_smoothed(survey: Survey, names: Names | None) -> bool:
    total = sum(survey.pixels.values())
    extremes = survey.pixels.get(_BLACK, 0) + survey.pixels.get(_WHITE, 0)
    few_names = names is None or len(names) <= _TWO
    return few_names and len(survey.pixels) > _LEAST_SMOOTHED_LEVELS and extremes >= _LEAST_EXTREME_SHARE * total
