"""COCO's run-length code as :class:`~segdrop.dataset.shapes.Runs`: a list of numbers, or packed into a string.

The packed form is that of pycocotools (``maskApi.c``, ``rleFrString``): five bits a character, from the lowest, the
sixth says that more follow; from the fourth number on, differences to the last but one.
"""

from array import array
from collections.abc import Sequence

from segdrop.dataset.shapes import Runs

_FIRST = 48  # the character that stands for 0
_MORE, _SIGN, _DATA = 0x20, 0x10, 0x1F
_BITS = 5
_MOST_BITS = 35  # seven characters, enough for a number of 32 bits


def runs(value: int, size: object, counts: object) -> Runs:
    """Returns the runs of a segmentation by its ``size`` ([height, width]) and ``counts`` (list or string).

    Raises ValueError where they are anything else.
    """
    if not (isinstance(size, list) and len(size) == 2 and all(type(n) is int and n > 0 for n in size)):  # noqa: PLR2004
        raise ValueError("its `size` is no [height, width]")
    height, width = size
    if isinstance(counts, str):
        lengths = unpacked(counts)
    elif isinstance(counts, list):
        lengths = _checked(counts)
    else:
        raise ValueError("its `counts` are neither a list nor a string")  # noqa: TRY004  (one kind of refusal)
    if sum(lengths) != height * width:
        raise ValueError(f"its runs cover {sum(lengths)} pixels, its size has {height * width}")
    return Runs(value, lengths, 0, 0, width, height, by_columns=True)


def unpacked(code: str) -> "array[int]":
    """Returns run lengths from the packed form. Raises ValueError where it is none."""
    lengths: list[int] = []
    number = shift = 0
    for character in code:
        bits = ord(character) - _FIRST
        if not 0 <= bits < 2 * _MORE or shift >= _MOST_BITS:
            raise ValueError("its `counts` are no run-length code")
        number |= (bits & _DATA) << shift
        shift += _BITS
        if bits & _MORE:
            continue
        if bits & _SIGN:
            number -= 1 << shift
        lengths.append(number + (lengths[-2] if len(lengths) > 2 else 0))  # noqa: PLR2004
        number = shift = 0
    if shift:
        raise ValueError("its `counts` end in the middle of a number")
    return _checked(lengths)


def _checked(lengths: Sequence[object]) -> "array[int]":
    try:
        return array("I", lengths)  # type: ignore[arg-type]  # the next line is for those that are no numbers
    except (TypeError, OverflowError):
        raise ValueError("its `counts` are no run lengths") from None


def covered(shape: Runs) -> int:
    """Returns the number of pixels that are on."""
    return sum(shape.lengths[1::2])
