"""The meaning of mask values as numbers: ranks of classes, and values that are ignored.

The decision is pure. It depends on the dataset's set of values, the number of class names and the request alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: levels of grey span (nearly) the whole range of a byte, or more
_LEAST_TOP = 250
_LEAST_STEP = 3
_TOLERANCE = 1.0
_IGNORE = 255
_TWO = 2  # values: binary masks
_SHOWN = 8
#: up to here, ids with gaps still look like ids: a part of the dataset seldom has every class
_SMALL_ID = 20


class Encoding(StrEnum):
    """Tells how the values of masks stand for classes."""

    INDEX = "index"  #: the value is the class id
    BINARY = "binary"  #: two values, whatever they are
    COLOUR = "colour"  #: RGB: a legend, a known palette, or a class for each colour
    LEVELS = "levels"  #: equally spaced grey levels, in the order of the classes


@dataclass(frozen=True, slots=True)
class ValueReading:
    """The number of its class for each value, before names are given, and the values that are left out."""

    encoding: Encoding
    ranks: dict[int, int]
    ignored: tuple[int, ...]
    assumptions: tuple[str, ...]


def read_values(
    values: Sequence[int],
    num_names: int | None,
    ignore_index: int | str | None,
    named: frozenset[int] = frozenset(),
) -> ValueReading:
    """Read the sorted distinct values of all masks.

    ``num_names`` is the number of lines in labels.txt (or of names in the request); ``named`` are mask values that the
    request names one by one. ``ignore_index`` is the request's: a value, None, or ``"auto"``.
    """
    assumptions: list[str] = []
    ignored: tuple[int, ...] = ()
    if isinstance(ignore_index, int):
        ignored = (ignore_index,)
        assumptions.append(f"value {ignore_index} is ignored, as requested")
    rest = [value for value in values if value not in ignored]
    levels = _are_levels(rest, num_names) and _names_are_ranks(rest, named)
    if ignore_index == "auto" and _IGNORE in rest and not levels and _looks_ignored(rest, num_names, named):
        ignored = (_IGNORE,)
        rest.remove(_IGNORE)
        assumptions.append("value 255 is ignored: it stands beside small class ids")
    if levels:
        shown = ", ".join(str(value) for value in rest[:_SHOWN]) + (", …" if len(rest) > _SHOWN else "")
        assumptions.append(f"the values {shown} are grey levels: {len(rest)} classes in this order")
        ranks = {value: rank for rank, value in enumerate(rest)}
        encoding = Encoding.BINARY if len(rest) == _TWO else Encoding.LEVELS
        return ValueReading(encoding, ranks, ignored, tuple(assumptions))
    is_binary = len(rest) == _TWO and num_names is None and not named
    encoding = Encoding.BINARY if is_binary or rest == [0, 1] else Encoding.INDEX
    return ValueReading(encoding, {value: value for value in rest}, ignored, tuple(assumptions))


def _are_levels(values: Sequence[int], num_names: int | None) -> bool:
    """Whether values are equally spaced from 0 over the whole range; over less of it only if the names count just so
    many.
    """
    if len(values) < _TWO or values[0] != 0:
        return False
    step = values[-1] / (len(values) - 1)
    equally = all(abs(value - rank * step) <= _TOLERANCE for rank, value in enumerate(values))
    if not equally or step < _LEAST_STEP:
        return False
    fits_names = num_names in (len(values), len(values) - 1) and values[-1] > (num_names or 0)
    return values[-1] >= _LEAST_TOP or fits_names


def _names_are_ranks(values: Sequence[int], named: frozenset[int]) -> bool:
    """Whether names by number, where the request gives any, can mean the levels' order instead of values."""
    return not named or (not named.issuperset(values) and named.issuperset(range(len(values))))


def _looks_ignored(values: Sequence[int], num_names: int | None, named: frozenset[int]) -> bool:
    """Whether 255 stands for ignored pixels rather than for a class, by what stands beside it."""
    if named:
        return _IGNORE not in named
    if num_names is not None:
        return num_names < _IGNORE
    rest = [value for value in values if value != _IGNORE]
    return not rest or max(rest) < max(2 * len(rest), _SMALL_ID)
