"""From any truth to keys: one number for each pixel, the same for the same meaning in all masks of a dataset.

A key below ``BETWEEN`` is a value (an index, a grey level, a bit, a drawn class), one from ``COLOUR`` on is that plus
0xRRGGBB. What keys mean as classes is decided from all of them together, in ``classes``.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.codes import Code
from segdrop.dataset.masks import decode, drawing, mask_union
from segdrop.dataset.masks.stored import AlphaUse, Decoding, FileFacts
from segdrop.dataset.samples import Coding, Drawing, MaskFile, MaskUnion, Truth

#: pixels of blurred masks that lie between the values that were meant
BETWEEN = 1 << 16
COLOUR = 1 << 17
#: one past the largest key
KEYS = COLOUR + (1 << 24)
#: where Cityscapes' ids of instances begin, as a multiple of the class
_INSTANCES = 1000
_SHOWN = 5

_AS_STORED = Decoding()

Keys = decode.Values
Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class TruthKeys:
    """The keys of a truth.

    ``is_lossy`` says that its format changes values; ``facts`` says how a file stores them, where that leaves a choice
    of what they are; ``num_overlapping`` counts pixels that masks of two classes claim.
    """

    keys: Keys  #: (height, width), at full size
    is_lossy: bool
    facts: FileFacts | None = None
    num_overlapping: int = 0


def read(
    read: Read,
    truth: Truth,
    image_size: tuple[int, int] | None,
    legend: Collection[int],
    decoding: Decoding = _AS_STORED,
) -> TruthKeys:
    """Returns the keys of a truth.

    ``decoding`` is for mask files whose values are taken as stored. ``image_size`` is (width, height) as displayed, or
    None if the image cannot be read. Raises DecodeError where a mask cannot be decoded, or an area cannot be drawn.
    """
    match truth:
        case MaskFile():
            return _stored(read(truth.member), truth, legend, decoding)
        case MaskUnion():
            keys, num_overlapping = mask_union.read(read, truth)
            return TruthKeys(keys, is_lossy=False, num_overlapping=num_overlapping)
        case Drawing():
            size = truth.size or image_size
            if size is None:
                raise decode.DecodeError(Code.IMAGE_UNREADABLE, "its image cannot be read")
            decode.allow(*size)  # the annotation file says it, and may say anything
            return TruthKeys(drawing.draw(truth, size), is_lossy=False)


def _stored(content: bytes, truth: MaskFile, legend: Collection[int], decoding: Decoding) -> TruthKeys:
    """Returns the keys of a mask file."""
    if truth.coding is not Coding.STORED or truth.relabel is not None:
        mask = decode.read_mask(content, _colours(truth) or legend)
        return TruthKeys(_relabelled(_numbers(mask, truth.coding), truth), is_lossy=mask.is_lossy)
    mask = decode.read_mask(content, legend, decoding)
    keys = mask.values + np.int32(COLOUR) if mask.is_colour else mask.values
    if mask.transparent is not None:
        outside = BETWEEN if decoding.alpha is AlphaUse.IGNORED else COLOUR if mask.is_colour else 0
        keys = np.where(mask.transparent, np.int32(outside), keys.astype(np.int32))
    return TruthKeys(keys, mask.is_lossy, mask.facts or FileFacts())


def _colours(truth: MaskFile) -> set[int]:
    """Returns the colours (0xRRGGBB) that a mask of named segments can have, black with them; none for other masks."""
    if not truth.is_complete or truth.relabel is None:
        return set()
    return {0, *((number & 0xFF) << 16 | (number >> 8 & 0xFF) << 8 | number >> 16 for number in truth.relabel)}


def _numbers(mask: decode.DecodedMask, coding: Coding) -> npt.NDArray[np.int64]:
    """Returns what the pixels stand for as numbers, by the coding."""
    values = mask.values.astype(np.int64)
    if not mask.is_colour:
        if coding is Coding.ADE20K:
            raise decode.DecodeError(Code.MASK_UNSUPPORTED_MODE, "it has no colours, in which ADE20K codes classes")
        return np.where(values >= _INSTANCES, values // _INSTANCES, values) if coding is Coding.INSTANCE_IDS else values
    if coding is Coding.INSTANCE_IDS:
        raise decode.DecodeError(Code.MASK_UNSUPPORTED_MODE, "it has colours, and no instance ids")
    red, green, blue = values >> 16, values >> 8 & 0xFF, values & 0xFF
    if coding is Coding.ADE20K:
        return np.asarray(red // 10 * 256 + green, np.int64)
    return np.asarray(red + 256 * green + 65536 * blue, np.int64)


def _relabelled(numbers: npt.NDArray[np.int64], truth: MaskFile) -> Keys:
    """Returns numbers as the values that the truth maps them to."""
    if truth.relabel is None:
        return numbers.astype(np.int32)
    found, positions = np.unique(numbers, return_inverse=True)
    if truth.is_complete and (unknown := sorted(set(found.tolist()) - set(truth.relabel) - {0})):
        shown = ", ".join(f"({n & 0xFF}, {n >> 8 & 0xFF}, {n >> 16})" for n in unknown[:_SHOWN])
        message = f"no class or object is listed for its colours {shown}"
        raise decode.DecodeError(Code.MASK_UNKNOWN_VALUE, message)
    values = np.asarray([truth.relabel.get(int(number), 0) for number in found], np.uint16)
    return values[positions].reshape(numbers.shape)


def distinct(keys: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Returns the distinct keys, sorted, and the number of pixels of each.

    They are counted by runs: masks are made of areas, and sorting all pixels is slow.
    """
    flat = keys.ravel()
    if not flat.size:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    if flat.dtype == np.uint8:
        counts = np.asarray(Image.fromarray(keys.reshape(1, -1)).histogram())  # numpy's takes three times as long
        found = np.flatnonzero(counts)
        return found.astype(np.int64), counts[found].astype(np.int64)
    starts = np.concatenate(([0], np.flatnonzero(flat[1:] != flat[:-1]) + 1))
    lengths = np.diff(np.append(starts, flat.size))
    found, positions = np.unique(flat[starts], return_inverse=True)
    return found.astype(np.int64), np.bincount(positions, weights=lengths).astype(np.int64)
