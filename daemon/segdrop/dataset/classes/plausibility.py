"""Doubts about a dataset that can be read: it may well be trained on, but perhaps not as people think.

Everything is pure, but for :func:`are_swapped`, which looks at some images again.
"""

from collections.abc import Callable, Sequence

import numpy as np

from segdrop.codes import Code
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.classes.assignment import ClassReading
from segdrop.dataset.classes.value_encoding import Encoding
from segdrop.dataset.masks import decode, mask_keys
from segdrop.dataset.samples import LabelledSample, MaskFile
from segdrop.errors import Issue
from segdrop.request import DatasetRequest

_FEW_PAIRS = 10
_LOOKED_AT = 8
_MOST_MASK_KEYS = 64
_MOST_COMMON_SHARE, _LEAST_COMMON_SHARE = 0.95, 0.001
_INVERTED_SHARE, _FRAMED_SHARE = 0.5, 0.8
_MOST_OVERLAP = 0.005
#: an ignored value is doubted with this share of all pixels, or so many times those of the one object class
_MOSTLY_IGNORED, _TIMES_THE_OBJECT = 0.6, 10
_SHOWN = 6


def few(num_pairs: int) -> list[Issue]:
    """Returns a warning where results will mean little; ``num_pairs`` are those to train and validate on."""
    return [Issue.of(Code.PAIR_FEW, f"there are only {num_pairs} pairs")] if num_pairs < _FEW_PAIRS else []


def imbalance(names: Sequence[str], class_pixels: Sequence[int]) -> list[Issue]:
    """Returns a note on classes that cover nearly everything, or hardly anything."""
    total = sum(class_pixels)
    shares = {name: pixels / total for name, pixels in zip(names, class_pixels, strict=True) if pixels}
    odd = [
        f"'{name}' covers {share:.2%} of the labelled pixels"
        for name, share in sorted(shares.items(), key=lambda entry: -entry[1])
        if not _LEAST_COMMON_SHARE <= share <= _MOST_COMMON_SHARE
    ]
    if not odd:
        return []
    more = f"; and {len(odd) - _SHOWN} classes more" if len(odd) > _SHOWN else ""
    return [Issue.of(Code.CLASSES_IMBALANCED, "; ".join(odd[:_SHOWN]) + more, count=len(odd))]


def overlap(num_overlapping: int, class_pixels: Sequence[int]) -> list[Issue]:
    """Returns a warning where masks of several classes claim a share of the pixels that is more than their edges."""
    share = num_overlapping / max(1, sum(class_pixels))
    if share < _MOST_OVERLAP:
        return []
    message = (
        f"masks of different classes overlap in {num_overlapping} pixels ({share:.1%}): the smaller area is on top"
    )
    return [Issue.of(Code.MASK_OVERLAP, message)]


def inversion(reading: ClassReading, class_pixels: Sequence[int], num_framed: int, num_pairs: int) -> list[Issue]:
    """Returns a warning on black and white masks without names whose white covers most, and frames the objects.

    ``num_framed`` masks have white along (nearly) all of their edge. Where white covers most and does not frame, as
    cells between membranes do, it may well be the object.
    """
    is_unnamed = reading.encoding is Encoding.BINARY and reading.names == ("background", "foreground")
    is_mostly_white = is_unnamed and class_pixels[1] > _INVERTED_SHARE * sum(class_pixels)
    if not is_mostly_white or num_framed < _FRAMED_SHARE * num_pairs:
        return []
    black, white = reading.values
    message = (
        f"value {white}, read as foreground, covers {class_pixels[1] / sum(class_pixels):.0%} of the pixels and runs "
        f"along the edge of {num_framed} of {num_pairs} masks, as a background does"
    )
    fix = (
        f'If {white} is the background, say so in the request: "classes": {{"{black}": "object", "{white}": '
        f'"background"}}; if it is the object, name it: "classes": {{"{black}": "background", "{white}": "object"}}.'
    )
    return [Issue.of(Code.MASK_INVERTED, message, fix=fix)]


def lone(names: Sequence[str], files_of: Sequence[Sequence[str]], num_pairs: int) -> list[Issue]:
    """Returns a note on classes that are in one mask alone; ``files_of`` has some of the masks of each class."""
    found = [(name, files[0]) for name, files in zip(names, files_of, strict=True) if len(files) == 1]
    if num_pairs < _FEW_PAIRS or not found:
        return []
    shown = ", ".join(f"'{name}' in {file}" for name, file in found[:_SHOWN])
    more = f"; and {len(found) - _SHOWN} classes more" if len(found) > _SHOWN else ""
    message = f"{len(found)} of {len(names)} classes are in one mask of {num_pairs} only: {shown}{more}"
    return [Issue.of(Code.CLASSES_IN_ONE_FILE, message, files=[file for _, file in found])]


def mostly_ignored(
    reading: ClassReading, class_pixels: Sequence[int], ignored_pixels: int, request: DatasetRequest
) -> list[Issue]:
    """Returns a warning where most pixels are left out, and nobody asked for it."""
    total = ignored_pixels + sum(class_pixels)
    asked = isinstance(request.ignore_index, int) or request.class_map is not None
    objects = sum(class_pixels[1:])
    is_binary = reading.names == ("background", "foreground") and ignored_pixels > _TIMES_THE_OBJECT * objects
    if asked or not (ignored_pixels > _MOSTLY_IGNORED * total or (is_binary and reading.ignore_index is not None)):
        return []
    what = f"value {reading.ignore_index}, read as ignored," if reading.ignore_index is not None else "what is ignored"
    message = f"{what} covers {ignored_pixels / total:.0%} of all pixels, and all classes but '{reading.names[0]}' "
    return [Issue.of(Code.MASK_MOSTLY_IGNORED, message + f"cover {objects / total:.2%}")]


def are_swapped(read: Callable[[int], bytes], samples: Sequence[LabelledSample]) -> bool:
    """Whether what is taken for images looks like masks. It is asked where masks do not look like masks."""
    looked = [sample for sample in samples[:_LOOKED_AT] if isinstance(sample.truth, MaskFile)]
    return bool(looked) and all(_is_like_mask(read, sample.image) for sample in looked)


def _is_like_mask(read: Callable[[int], bytes], member: int) -> bool:
    try:
        mask = decode.read_mask(read(member))
    except (decode.DecodeError, MemberError):
        return False
    keys, _ = mask_keys.distinct(np.asarray(mask.values))
    return not mask.is_lossy and len(keys) <= _MOST_MASK_KEYS
