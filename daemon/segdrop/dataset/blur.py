"""Whether the masks were blurred, and what is done about it: a second pass that snaps their values."""

from dataclasses import dataclass

from segdrop.dataset import snapping
from segdrop.dataset.masks import BETWEEN, COLOUR
from segdrop.dataset.names import Names
from segdrop.dataset.survey import Survey
from segdrop.errors import Issue

_BLACK, _WHITE = 0, 255
#: nearly all pixels black or white, the rest spread between: a binary mask with smoothed edges
_LEAST_EXTREME_SHARE = 0.9
_TWO = 2
_LEAST_QUARTERS = 3
#: so many times more values than stand out are a tail, not classes
_TAIL_FACTOR = 3


@dataclass(frozen=True, slots=True)
class Verdict:
    """``snapper``: for the second pass; ``issue``: what is said about it. Without a snapper, it is a fault."""

    snapper: snapping.Snapper | None
    issue: Issue


def judge(survey: Survey, names: Names | None) -> Verdict | None:
    """What to do about blurred masks, ``None`` where masks are not."""
    must_be, may_be = bool(survey.lossy) or survey.has_too_many_keys, _may_be_smoothed(survey, names)
    if not must_be and not may_be:
        return None
    if survey.lossy:
        code, what = "mask.lossy", f"{len(survey.lossy)} masks are JPEG files"
    else:
        code, what = "mask.too_many_values", f"the masks hold {survey.num_distinct} different values"
    if any(_WHITE < key < BETWEEN for key in survey.pixels):
        found = snapping.Meant(reason="some are larger than a byte")
    else:
        found = snapping.meant(survey.histogram, survey.areas, len(names) if names else None)
    if found.reason:
        return Verdict(None, Issue.of(code, f"{what}; {found.reason}", files=survey.lossy)) if must_be else None
    if not must_be and survey.num_distinct <= _TAIL_FACTOR * len(found.keys):
        return None
    shown = ", ".join(snapping.key_text(key) for key in found.keys)
    message = f"{what}; {found.certain_share:.2%} of the pixels are near one of {len(found.keys)}: {shown}" + (
        "; the others are ignored" if found.certain_share < 1 else ""
    )
    return Verdict(snapping.Snapper(found.keys), Issue.of("mask.snapped", message, files=survey.lossy))


def _may_be_smoothed(survey: Survey, names: Names | None) -> bool:
    """Colours, or black and white with something in most quarters of what lies between."""
    if any(key >= COLOUR for key in survey.pixels):
        return True
    between = [key for key in survey.pixels if _BLACK < key < _WHITE]
    extremes = survey.pixels.get(_BLACK, 0) + survey.pixels.get(_WHITE, 0)
    few_names = names is None or len(names) <= _TWO
    quarters = {key * 4 // (_WHITE + 1) for key in between}
    return (
        few_names
        and len(quarters) >= _LEAST_QUARTERS
        and extremes >= _LEAST_EXTREME_SHARE * sum(survey.pixels.values())
    )
