"""Blurred masks: whether masks were blurred, and how a second pass over the pixels snaps their values.

JPEG and smoothing leave many values near the few that were meant, along the edges of areas. Values that fill areas of
their own are classes, however near to each other they are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.masks import snapping
from segdrop.dataset.masks.mask_keys import BETWEEN, COLOUR
from segdrop.dataset.pixel_pass import PixelPass
from segdrop.errors import Issue

_WHITE = 255
#: values that are more than this many times those that stand out are a tail, not classes
_TAIL_FACTOR = 3
#: a value that fills areas has this share of its pixels, and so many, inside of them
_FLAT_SHARE, _LEAST_FLAT = 0.2, 4
#: whole blocks of a JPEG miss the value that was meant by at most this, and they are at most this share of all pixels
_ROUNDING, _MOST_ROUNDED = 3, 0.02
#: noise of greys lies this near to the values that were meant, of which one is as light as this
_NEAR, _LIGHT = 10, 64
_TWO = 2
#: so many values of which most fill no areas, and which are at most this share of all pixels, are no classes, though it
#: is not clear what was meant
_MANY, _MOSTLY, _MOST_TRACED = 32, 0.5, 0.4


@dataclass(frozen=True, slots=True)
class Blur:
    """Tells what to do about blurred masks.

    ``snapper`` is for the second pass, and ``issue`` says what was found. Without a snapper, the issue is a fault.
    """

    snapper: snapping.Snapper | None
    issue: Issue


def judge(pixel_pass: PixelPass, names: ClassNames | None) -> Blur | None:
    """Decide about the masks that a pass has seen; returns None where they are not blurred."""
    must_be = bool(pixel_pass.lossy) or pixel_pass.has_too_many_keys
    if not must_be and not pixel_pass.looked_at:
        return None
    code, what = _what(pixel_pass)
    if any(_WHITE < key < BETWEEN for key in pixel_pass.pixels):
        found: snapping.Meant | snapping.Unclear = snapping.Unclear("some are larger than a byte")
    else:
        found = snapping.meant(pixel_pass.histogram, pixel_pass.areas)
    if isinstance(found, snapping.Unclear):
        return _unclear(pixel_pass, names, found.reason, must_be=must_be)
    if not must_be and not _is_noise(pixel_pass, found.keys):
        return _unclear(pixel_pass, names, "nothing says which were meant", must_be=False)
    shown = ", ".join(snapping.key_text(key) for key in found.keys)
    if names is not None and len(found.keys) not in (len(names), len(names) + 1):
        reason = f"{len(found.keys)} values stand out ({shown}), and there are {len(names)} names"
        return Blur(None, Issue.of(code if must_be else Code.MASK_LOSSY, f"{what}; {reason}", files=pixel_pass.lossy))
    message = f"{what}; {found.certain_share:.2%} of the pixels are near one of {len(found.keys)}: {shown}" + (
        "; the others are ignored" if found.certain_share < 1 else ""
    )
    return Blur(snapping.Snapper(found.keys), Issue.of(Code.MASK_SNAPPED, message, files=pixel_pass.lossy))


def _unclear(pixel_pass: PixelPass, names: ClassNames | None, reason: str, *, must_be: bool) -> Blur | None:
    """Returns a fault where masks have to be blurred, or look so and no list names their values; else None."""
    if not must_be and (names is not None or not _are_mostly_traces(pixel_pass)):
        return None
    code, what = _what(pixel_pass)
    return Blur(None, Issue.of(code, f"{what}; {reason}", files=pixel_pass.lossy))


def _are_mostly_traces(pixel_pass: PixelPass) -> bool:
    """Whether there are many values, most of which fill no area, and together are the lesser part of the pixels."""
    looked_at = pixel_pass.looked_at
    traces = [
        key
        for key, pixels in looked_at.items()
        if pixel_pass.inside.get(key, 0) < max(_LEAST_FLAT, _FLAT_SHARE * pixels)
    ]
    pixels = sum(looked_at[key] for key in traces)
    are_most = len(looked_at) >= _MANY and len(traces) > _MOSTLY * len(looked_at)
    return are_most and pixels <= _MOST_TRACED * sum(looked_at.values())


def _what(pixel_pass: PixelPass) -> tuple[Code, str]:
    """Returns the code for masks that cannot be brought back, and what was found, in words."""
    if pixel_pass.lossy:
        return Code.MASK_LOSSY, f"{len(pixel_pass.lossy)} masks are JPEG files"
    if pixel_pass.has_too_many_keys:
        return Code.MASK_TOO_MANY_VALUES, (
            f"the masks hold {pixel_pass.num_distinct} different values or more, as photographs do and instance ids "
            "(the numbers of single objects)"
        )
    number = pixel_pass.num_distinct
    return Code.MASK_LOSSY, f"the masks hold {number} different values, as JPEG compression or smoothing leaves them"


def _is_noise(pixel_pass: PixelPass, meant: Sequence[int]) -> bool:
    """Whether values beside those that were meant are the traces of blurring, and not classes."""
    tail = [key for key in pixel_pass.looked_at if key not in meant]
    if not tail or _has_areas(pixel_pass, tail, meant):
        return False
    if pixel_pass.num_distinct > _TAIL_FACTOR * len(meant) and any(key >= COLOUR for key in tail):
        return True
    noisy = [key for key in meant if key < BETWEEN and any(abs(key - other) <= _NEAR for other in tail)]
    return len(noisy) >= _TWO and max(noisy) >= _LIGHT


def _has_areas(pixel_pass: PixelPass, tail: Sequence[int], meant: Sequence[int]) -> bool:
    """Whether some of the values fill areas of their own, more than blocks that a JPEG missed by a little."""
    own = {_fullest_near(pixel_pass, key) for key in meant}  # what was meant may itself be missed by a little
    flat = [
        key
        for key in tail
        if key not in own and pixel_pass.inside.get(key, 0) >= max(_LEAST_FLAT, _FLAT_SHARE * pixel_pass.looked_at[key])
    ]
    centres = snapping.channels_of(np.asarray(meant))
    gaps = [int(np.abs(centres - snapping.channels_of(np.asarray([key]))).max(axis=1).min()) for key in flat]
    pixels = sum(pixel_pass.looked_at[key] for key in flat)
    return any(gap > _ROUNDING for gap in gaps) or pixels > _MOST_ROUNDED * sum(pixel_pass.looked_at.values())


def _fullest_near(pixel_pass: PixelPass, meant: int) -> int:
    """Returns the key with most pixels of those that are nearly one that was meant."""
    keys = np.asarray(list(pixel_pass.looked_at))
    near = np.abs(snapping.channels_of(keys) - snapping.channels_of(np.asarray([meant]))).max(axis=1) <= _ROUNDING + 1
    return max(keys[near].tolist(), key=lambda key: pixel_pass.inside.get(key, 0), default=meant)
