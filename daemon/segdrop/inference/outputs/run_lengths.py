"""Masks as run lengths, in the codes of COCO, CVAT and Label Studio.

``positions`` are those of the pixels that are on, counted along rows or along columns, in ascending order.
"""

import numpy as np
import numpy.typing as npt

Integers = npt.NDArray[np.int64]

_FIRST_CHARACTER = 48  #: stands for 0
_BITS, _MORE, _SIGN = 5, 0x20, 0x10
_BRUSH_WORD_BITS = 8
_BRUSH_WIDTHS = (3, 4, 8, 16)  #: bits of a run's length, from which each run chooses
_LONGEST_BRUSH_RUN = 1 << 16
_BRUSH_CHANNELS = 4


def lengths(positions: Integers, total: int) -> list[int]:
    """Returns run lengths of ``total`` pixels: off, on, off and so on. The first may be 0, the others are not."""
    if not len(positions):
        return [total]
    gaps = np.flatnonzero(np.diff(positions) != 1)
    begin = positions[np.concatenate(([0], gaps + 1))]
    end = positions[np.append(gaps, len(positions) - 1)] + 1
    edges = np.stack((begin, end), axis=1).reshape(-1)
    found: list[int] = np.diff(np.concatenate(([0], edges, [total]))).tolist()
    return found if found[-1] else found[:-1]


def packed(run_lengths: list[int]) -> str:
    """Returns COCO's run lengths as a string, as pycocotools packs them (``maskApi.c``, ``rleToString``).

    Five bits a character, from the lowest; the sixth says that more follow. From the fourth number on, the difference
    to the last but one stands for a number.
    """
    characters = []
    for place, length in enumerate(run_lengths):
        number = length - run_lengths[place - 2] if place > 2 else length  # noqa: PLR2004
        while True:
            bits = number & (_MORE - 1)
            number >>= _BITS
            is_last = number == (-1 if bits & _SIGN else 0)
            characters.append(chr(_FIRST_CHARACTER + bits + (0 if is_last else _MORE)))
            if is_last:
                break
    return "".join(characters)


def brush(run_lengths: list[int]) -> list[int]:
    """Returns run lengths along rows as the bytes of Label Studio's brush: an RGBA image, 255 where it is on.

    Source: label-studio-sdk, ``converter/brush.py``, ``mask2rle`` and ``encode_rle``. After a header (number of values,
    bits of a value, four widths) comes for each run: 1 for a repeated value, which of the widths its length has, the
    length less one, the value.
    """
    num_values = _BRUSH_CHANNELS * sum(run_lengths)
    bits = [f"{num_values:032b}{_BRUSH_WORD_BITS - 1:05b}", *(f"{width - 1:04b}" for width in _BRUSH_WIDTHS)]
    for place, length in enumerate(run_lengths):
        value = "1" * _BRUSH_WORD_BITS if place % 2 else "0" * _BRUSH_WORD_BITS
        left = _BRUSH_CHANNELS * length
        while left:
            part = min(left, _LONGEST_BRUSH_RUN)
            choice = next(place for place, width in enumerate(_BRUSH_WIDTHS) if part <= 1 << width)
            bits.append(f"1{choice:02b}{part - 1:0{_BRUSH_WIDTHS[choice]}b}{value}")
            left -= part
    text = "".join(bits)
    text += "0" * (8 - len(text) % 8)
    return list(int(text, 2).to_bytes(len(text) // 8, "big"))
