"""Doubts about a dataset that can be read: it may well be trained on, but perhaps not as people think.

Pure, but for :func:`are_swapped`, which looks at some images again.
"""

from collections.abc import Callable, Sequence

import numpy as np

from segdrop.dataset import decode, masks
from segdrop.dataset.classes import ClassReading
from segdrop.dataset.encoding import Encoding
from segdrop.dataset.samples import MaskFile, Sample
from segdrop.dataset.source import MemberError
from segdrop.errors import Issue

_FEW_PAIRS = 10
_LOOKED_AT = 8
_MOST_MASK_KEYS = 64
_MOST_COMMON_SHARE, _LEAST_COMMON_SHARE = 0.95, 0.001
_INVERTED_SHARE = 0.6
_SHOWN = 6


def few(num_pairs: int) -> list[Issue]:
    """A warning where results will mean little, ``num_pairs`` being those to train and validate on."""
    return [Issue.of("pair.few", f"there are only {num_pairs} pairs")] if num_pairs < _FEW_PAIRS else []


def imbalance(names: Sequence[str], class_pixels: Sequence[int]) -> list[Issue]:
    """A note on classes that cover nearly everything, or hardly anything."""
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
    return [Issue.of("classes.imbalanced", "; ".join(odd[:_SHOWN]) + more, count=len(odd))]


def inversion(reading: ClassReading, class_pixels: Sequence[int]) -> list[Issue]:
    """A note on black and white masks without names that are mostly white."""
    is_unnamed = reading.encoding is Encoding.BINARY and reading.names == ("background", "foreground")
    if not is_unnamed or class_pixels[1] <= _INVERTED_SHARE * sum(class_pixels):
        return []
    share = class_pixels[1] / sum(class_pixels)
    return [Issue.of("mask.inverted", f"value {reading.values[1]}, read as foreground, covers {share:.0%}")]


def are_swapped(read: Callable[[int], bytes], samples: Sequence[Sample]) -> bool:
    """Whether what is taken for images looks like masks. To be asked where masks do not look like masks."""
    looked = [sample for sample in samples[:_LOOKED_AT] if isinstance(sample.truth, MaskFile)]
    return bool(looked) and all(_is_like_mask(read, sample.image) for sample in looked)


def _is_like_mask(read: Callable[[int], bytes], member: int) -> bool:
    try:
        mask = decode.read_mask(read(member))
    except (decode.DecodeError, MemberError):
        return False
    keys, _ = masks.distinct(np.asarray(mask.values))
    return not mask.is_lossy and len(keys) <= _MOST_MASK_KEYS
