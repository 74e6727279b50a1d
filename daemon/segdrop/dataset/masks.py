"""Any truth to keys: one number for each pixel, the same for the same meaning in all masks of a dataset.

A key below ``BETWEEN`` is a value (an index, a grey level, a bit, a drawn class), one from ``COLOUR`` on is that plus
0xRRGGBB. What keys mean as classes is decided from all of them together, in ``classes``.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from segdrop.dataset import decode, drawing
from segdrop.dataset.samples import Coding, Drawing, MaskFile, MaskUnion, Truth

#: pixels of blurred masks that lie between the values that were meant
BETWEEN = 1 << 16
COLOUR = 1 << 17
#: one past the largest key
KEYS = COLOUR + (1 << 24)

Keys = decode.Values
Read = Callable[[int], bytes]


@dataclass(frozen=True, slots=True)
class TruthKeys:
    keys: Keys  #: (height, width), at full size
    is_lossy: bool


def read(read: Read, truth: Truth, image_size: tuple[int, int] | None, legend: Collection[int]) -> TruthKeys:
    """The keys of a truth. ``image_size``: (width, height) as displayed, ``None`` if the image cannot be read.

    ``DecodeError`` where a mask cannot be decoded, or an area cannot be drawn.
    """
    match truth:
        case MaskFile():
            return _stored(read(truth.member), truth, legend)
        case MaskUnion():
            return TruthKeys(_union(read, truth), is_lossy=False)
        case Drawing():
            size = truth.size or image_size
            if size is None:
                raise decode.DecodeError("image.unreadable", "its image cannot be read")
            decode.allow(*size)  # the annotation file says it, and may say anything
            return TruthKeys(drawing.draw(truth, size), is_lossy=False)


def _stored(content: bytes, truth: MaskFile, legend: Collection[int]) -> TruthKeys:
    mask = decode.read_mask(content, legend)
    if truth.coding is Coding.STORED and truth.relabel is None:
        return TruthKeys(mask.values + np.int32(COLOUR) if mask.is_colour else mask.values, mask.is_lossy)
    return TruthKeys(_relabelled(_numbers(mask, truth.coding), truth), is_lossy=mask.is_lossy)


def _numbers(mask: decode.DecodedMask, coding: Coding) -> npt.NDArray[np.int64]:
    """What the pixels stand for as numbers, by the coding."""
    values = mask.values.astype(np.int64)
    if not mask.is_colour:
        if coding is Coding.ADE20K:
            raise decode.DecodeError("mask.unsupported_mode", "it has no colours, in which ADE20K codes classes")
        return values
    red, green, blue = values >> 16, values >> 8 & 0xFF, values & 0xFF
    if coding is Coding.ADE20K:
        return np.asarray(red // 10 * 256 + green, np.int64)
    return np.asarray(red + 256 * green + 65536 * blue, np.int64)


def _relabelled(numbers: npt.NDArray[np.int64], truth: MaskFile) -> Keys:
    if truth.relabel is None:
        return numbers.astype(np.int32)
    found, positions = np.unique(numbers, return_inverse=True)
    values = np.asarray([truth.relabel.get(int(number), 0) for number in found], np.uint16)
    return values[positions].reshape(numbers.shape)


def _union(read: Read, truth: MaskUnion) -> Keys:
    """Binary masks of one size painted over each other."""
    keys = np.zeros_like(decode.read_mask(read(truth.member)).values, np.uint16)
    for member, value in truth.parts:
        part = np.asarray(decode.read_mask(read(member)).values > 0)
        if part.shape != keys.shape:
            sizes = f"{part.shape[1]}x{part.shape[0]}, another {keys.shape[1]}x{keys.shape[0]}"
            raise decode.DecodeError("pair.size_mismatch", f"one mask of an object is {sizes}")
        keys[part] = value
    return keys


def distinct(keys: npt.NDArray[np.integer]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The distinct keys, sorted, and the pixels of each. By runs: masks are made of areas, and sorting is slow."""
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
