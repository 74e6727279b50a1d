"""The names that a list gives to the values of masks: by its numbers, or by the order of its lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames, is_background, is_void
from segdrop.dataset.classes import shifts
from segdrop.dataset.classes.shifts import Occurrence, Readings
from segdrop.dataset.classes.value_encoding import ValueReading
from segdrop.errors import DataError, Issue
from segdrop.request import DatasetRequest

_MINUS_ONE = 255  #: -1 in a mask of one byte
_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Listed:
    """The name of each class number, what was assumed, the issues, and the values that the list has no name for, and
    that are therefore left out.
    """

    by_rank: dict[int, str]
    said: list[str]
    issues: list[Issue]
    left_out: tuple[int, ...] = ()


def listed(names: ClassNames, reading: ValueReading, request: DatasetRequest, seen: Occurrence | None) -> Listed:
    """Returns the names of a list by class number. Raises DataError where it cannot be told which line is which."""
    order = _counted(names) if names.is_from_file and request.labels_include_background != "auto" else ()
    if not names.numbered or order:
        return _ordered(names, order or names.ordered, reading, request, seen)
    said = [f"classes and their mask values come from {names.source}"]
    if not names.is_from_file:
        return Listed(dict(names.numbered), said, [])
    if any(value != rank for value, rank in reading.ranks.items()):
        # grey levels: what they are the levels of is not one off
        has_own = min(number for number, _ in names.numbered) == 0 or any(is_background(name) for name in names.listed)
        return Listed(({} if has_own else {0: "background"}) | dict(names.numbered), said, [])
    return _numbered(names, said, reading, seen)


def _counted(names: ClassNames) -> tuple[str, ...]:
    """Returns the names in the order of their numbers, where these count from 0 or 1 without a gap; else none."""
    found = sorted((number, name) for number, name in names.numbered if number != _MINUS_ONE)
    numbers = [number for number, _ in found]
    is_whole = bool(numbers) and numbers[0] in {0, 1} and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return tuple(name for _, name in found) if is_whole else ()


def _ordered(
    names: ClassNames, order: Sequence[str], reading: ValueReading, request: DatasetRequest, seen: Occurrence | None
) -> Listed:
    """Decide whether line 1 is class 0 or class 1: as requested, else by its name and the values."""
    ranks = sorted(set(reading.ranks.values()))
    # an ignored value may have its line too: a void class at the end of the list
    top = max([*ranks, *(value for value in reading.ignored if value < len(order))], default=0)
    is_exact = any(value != rank for value, rank in reading.ranks.items())
    issues = []
    if request.labels_include_background != "auto":
        found = shifts.Place(0 if request.labels_include_background else 1, "as requested")
    else:
        has_void = _MINUS_ONE in reading.ignored
        found = shifts.place(order, ranks, top, seen, is_exact=is_exact, has_void=has_void)
        if found.doubt is not shifts.Doubt.NONE:
            what = "grey level" if is_exact else "value"
            issues.append(shifts.issue(found, order, names.source, ranks, seen, what))
        if found.doubt is shifts.Doubt.DEEP:
            raise DataError(issues)
        _refuse_second_background(names, order, found.first)
    reason = found.reason
    if is_exact and reason.startswith("it has one line per"):
        reason = f"it has one line for each of {len(order)} classes"
    shown = f"class {found.first}" if found.first >= 0 else "no class"
    said = [f"{names.source} line 1 ({order[0]}) is {shown}: {reason}"]
    by_rank = {number: name for number, name in enumerate(order, found.first) if number >= 0}
    if found.first < 1:
        return Listed(by_rank, said, issues)
    if any(map(is_background, order)):
        unnamed = tuple(value for value, rank in reading.ranks.items() if rank == 0)
        said += ["value 0 has no name and is ignored, as no data"] if unnamed else []
        return Listed(by_rank, said, issues, unnamed)
    return Listed({0: "background", **by_rank}, said, issues)


def _refuse_second_background(names: ClassNames, order: Sequence[str], first: int) -> None:
    """Raises DataError where value 0 would be a background beside one that the list names in a later line."""
    line = next((line for line, name in enumerate(order, 1) if name == "background"), 0)
    if first == 1 and line > 1:
        message = f"{names.source} names 'background' in line {line}, and value 0 is background too"
        raise DataError([Issue.of(Code.CLASSES_INVALID, message, files=[names.source])])


def _numbered(names: ClassNames, said: list[str], reading: ValueReading, seen: Occurrence | None) -> Listed:
    """Returns names by the numbers in a list. What has no number is left to be an unknown value, but for value 0.

    Raises DataError where the numbers count from 0, and the values from 1.
    """
    by_rank = dict(names.numbered)
    values = sorted(reading.ranks)
    _refuse_one_more(names, by_rank, values, seen)
    issues = []
    if _may_be_one_less(by_rank, values, reading.ignored, seen):
        issues.append(_doubt(names, by_rank, values, seen))
    if 0 in by_rank or 0 not in values or min(by_rank) != 1:
        return Listed(by_rank, said, issues)
    background = next((value for value, name in by_rank.items() if is_background(name)), None)
    if background is None:
        said.append(f"value 0 has no number in {names.source}: it is the background")
        return Listed({0: "background", **by_rank}, said, issues)
    if seen is not None and seen.is_rarer(0, background):
        said.append("value 0 has no name and is ignored, as no data")
        return Listed(by_rank, said, [*issues, _no_data(names, by_rank, background, seen)], (0,))
    if issues:
        # with the numbers as they are, value 0 had no name
        said = [f"the values are the numbers in {names.source} less one: value 0 would have no name else"]
        return Listed(_one_less(by_rank), said, [_doubt(names, by_rank, values, seen, is_less=True)])
    return Listed(by_rank, said, issues)


def _one_less(numbers: Mapping[int, str]) -> dict[int, str]:
    return {(number if number == _MINUS_ONE else number - 1): name for number, name in numbers.items() if number > 0}


def _no_data(names: ClassNames, numbers: Mapping[int, str], background: int, seen: Occurrence) -> Issue:
    """Returns the warning for value 0 beside a background of another number."""
    message = (
        f"{names.source} has no number 0, and value 0 covers {seen.share(0):.1%} of the pixels: it is read as no data, "
        f"and ignored, because it is far rarer than '{numbers[background]}' (value {background}, "
        f"{seen.share(background):.1%} of the pixels)"
    )
    fix = 'Put `"ignore_index": 0` into the request if that is right; else name value 0 in the list.'
    return Issue.of(Code.CLASSES_SHIFTED, message, files=[names.source], fix=fix)


def _refuse_one_more(
    names: ClassNames, numbers: Mapping[int, str], values: Sequence[int], seen: Occurrence | None
) -> None:
    """Raises DataError where numbers count from 0 without a background, and one value more than they name occurs."""
    order = _counted(names)
    top = max(values, default=0)
    if seen is None or 0 not in numbers or top != len(order) or is_background(order[0]) or is_void(order[0]):
        return
    found = shifts.Place(0, "as its number", 1, shifts.Doubt.DEEP)
    raise DataError([shifts.issue(found, order, names.source, values, seen)])


def _may_be_one_less(
    numbers: Mapping[int, str], values: Sequence[int], ignored: Sequence[int], seen: Occurrence | None
) -> bool:
    """Whether each value may be its number less one: the last number does not occur, but all before it may."""
    own = sorted(number for number in numbers if number != _MINUS_ONE)
    top = max(values, default=0)
    if seen is None or len(own) <= 1 or top != own[-1] - 1 or own != list(range(own[0], own[0] + len(own))):
        return False
    if own[0] == 1:
        return 0 in values
    is_special = is_background(numbers[0]) or is_void(numbers[0])
    wraps = _MINUS_ONE in ignored and _MINUS_ONE not in numbers
    return own[0] == 0 and is_special and wraps and 0 in values and not _is_expected(numbers[0], seen)


def _is_expected(name: str, seen: Occurrence) -> bool:
    """Whether value 0 occurs as one would think of its name: a background is everywhere, what is void is rare."""
    return (
        seen.is_like_background(0) if is_background(name) else not seen.is_like_background(0) and seen.is_like_class(0)
    )


def _doubt(
    names: ClassNames,
    numbers: Mapping[int, str],
    values: Sequence[int],
    seen: Occurrence | None,
    *,
    is_less: bool = False,
) -> Issue:
    """Returns the warning for numbers that may be one more than the values, with both readings."""
    less = _one_less(numbers)
    one, other = (less, numbers) if is_less else (numbers, less)
    shown = Readings("as read", one, "by the other", other).compared(values, seen)
    top = max(values)
    read = "a value was read as its number less one" if is_less else "each number was read as the value"
    may_be = "a number may be the value" if is_less else "a value may be its number less one"
    top_number = f"{names.source} numbers the classes up to {top + 1}, and the largest value is {top}"
    message = f"{top_number}: {read}, but {may_be}. {shown}"
    counts_from_one = min(numbers) == 1
    by_number = '`"labels_include_background": false`' if counts_from_one else _as_request(numbers)
    by_less = '`"labels_include_background": true`' if counts_from_one else _as_request(less)
    fix = (
        f"Put into the request: {by_less} if a value is its number less one; {by_number} if the numbers are the values."
    )
    return Issue.of(Code.CLASSES_SHIFTED, message, files=[names.source], fix=fix)


def _as_request(names: Mapping[int, str]) -> str:
    lines = ", ".join(f'"{value}": "{name}"' for value, name in sorted(names.items())[:_SHOWN])
    return f'`"classes": {{{lines}{", …" if len(names) > _SHOWN else ""}}}`'
