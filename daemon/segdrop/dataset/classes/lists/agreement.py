"""Whether several lists of classes say the same, and what they say together. Everything is pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames, is_background, is_void
from segdrop.errors import Issue

_SHOWN = 4
_BACKGROUND, _VOID = "\0background", "\0void"


@dataclass(frozen=True, slots=True)
class Contradiction:
    """Tells what two lists say differently, and the numbers of the classes by each of them where that can be said."""

    words: str
    one: Mapping[int, str]
    other: Mapping[int, str]


def combined(lists: Sequence[ClassNames]) -> tuple[ClassNames, list[Issue]]:
    """Returns the names of all lists together, with a fault for each that says otherwise than those before it."""
    names, issues = lists[0], []
    for other in lists[1:]:
        found = contradiction(names, other)
        if found is None:
            names = _joined(names, other)
        else:
            issues.append(_issue(names, other, found))
    return names, issues


def contradiction(one: ClassNames, other: ClassNames) -> Contradiction | None:
    """Returns what two lists say differently about a value, a colour or the order, or None where both may be true."""
    by_colour = _by_key(one, other, _colours(one), _colours(other), "colour")
    return by_colour or _by_place(one, other)


def _by_place(one: ClassNames, other: ClassNames) -> Contradiction | None:
    """Compares the values of two lists, or their order where one of them has no values."""
    numbers, others, order, other_order = _numbers(one), _numbers(other), _order(one), _order(other)
    if numbers and others:
        return _by_key(one, other, numbers, others, "value")
    if order and other_order:
        return _in_order(one, other, order, other_order)
    if numbers and other_order:
        return _placed(one, other, numbers, other_order)
    if others and order:
        return _placed(other, one, others, order)
    if (one.colours and other.colours) or _keys(one.listed) & _keys(other.listed):
        return None
    words = f"{one.source} names {_some(one.listed)}; {other.source} names {_some(other.listed)}"
    return Contradiction(words, dict(enumerate(one.listed)), dict(enumerate(other.listed)))


def _numbers(names: ClassNames) -> dict[int, str]:
    return dict(names.numbered or (names.plain.numbered if names.plain else ()))


def _order(names: ClassNames) -> tuple[str, ...]:
    return names.ordered or (names.plain.ordered if names.plain else ())


def _colours(names: ClassNames) -> dict[int, str]:
    return dict(names.colours)


def _key(name: str) -> str:
    """Returns what names have in common that differ in case, separators, or the word for background or void."""
    if is_background(name):
        return _BACKGROUND
    return _VOID if is_void(name) else " ".join(name.casefold().replace("_", " ").replace("-", " ").split())


def _keys(names: Sequence[str]) -> set[str]:
    return {_key(name) for name in names}


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + (", …" if len(names) > _SHOWN else "")


def _by_key(
    one: ClassNames, other: ClassNames, names: Mapping[int, str], others: Mapping[int, str], kind: str
) -> Contradiction | None:
    """Compares names by value or by colour: neither one value with two names, nor one name with two values."""
    different = [key for key in names if key in others and _key(names[key]) != _key(others[key])]
    place = {_key(name): key for key, name in others.items()}
    moved = [key for key, name in names.items() if place.get(_key(name), key) != key and key not in others]
    shown = [f"{_text(key, kind)} is '{names[key]}' by {one.source} and '{others[key]}' by {other.source}"
             for key in different[:_SHOWN]]  # fmt: skip
    shown += [
        f"'{names[key]}' is {_text(key, kind)} by {one.source} and {_text(place[_key(names[key])], kind)} "
        f"by {other.source}"
        for key in moved[: _SHOWN - len(shown)]
        if _key(names[key]) != _VOID
    ]
    if not shown:
        return None
    by_value = kind == "value"
    return Contradiction("; ".join(shown), names if by_value else {}, others if by_value else {})


def _text(key: int, kind: str) -> str:
    return f"value {key}" if kind == "value" else f"colour #{key:06x}"


def _placed(
    numbered: ClassNames, ordered: ClassNames, numbers: Mapping[int, str], order: Sequence[str]
) -> Contradiction | None:
    """Compares names by value with names in order, whose first is value 0 or 1, or -1 by LabelMe's custom."""
    by_offset = {offset: dict(enumerate(order, offset)) for offset in (0, 1, -1)}
    wrong = {
        offset: sum(_key(numbers[value]) != _key(name) for value, name in placed.items() if value in numbers)
        for offset, placed in by_offset.items()
        if any(value in numbers for value in placed)
    }
    if not wrong or min(wrong.values()) == 0:
        return None
    best = min(wrong, key=lambda offset: (wrong[offset], offset != 0))
    return _by_key(numbered, ordered, numbers, by_offset[best], "value")


def _in_order(one: ClassNames, other: ClassNames, order: Sequence[str], others: Sequence[str]) -> Contradiction | None:
    """Compares names in order: a list may be longer at its end, or begin with a background that the other leaves out.

    A list may also say which of its lines is the first, which the other does not; no more is made of it.
    """
    keys, other_keys = [_key(name) for name in order], [_key(name) for name in others]
    special = (_BACKGROUND, _VOID)
    for mine in (keys, keys[1:] if keys[0] in special else keys):
        for theirs in (other_keys, other_keys[1:] if other_keys[0] in special else other_keys):
            shorter = min(len(mine), len(theirs))
            if mine[:shorter] == theirs[:shorter]:
                return None
    line = next(
        (number for number, (mine, theirs) in enumerate(zip(keys, other_keys, strict=False)) if mine != theirs), 0
    )
    words = f"line {line + 1} is '{order[line]}' in {one.source} and '{others[line]}' in {other.source}"
    return Contradiction(words, dict(enumerate(order)), dict(enumerate(others)))


def _joined(one: ClassNames, other: ClassNames) -> ClassNames:
    """Returns what two lists that agree say together: the surer of them, with colours if either has them."""
    plain = _fuller(one, other)
    coloured = max(
        (names for names in (one, other) if names.colours), key=lambda names: len(names.colours), default=None
    )
    if coloured is None:
        return plain or one
    own = coloured.plain if plain is None else plain
    return replace(coloured, plain=None if own is None else replace(own, colours=(), plain=None))


def _fuller(one: ClassNames, other: ClassNames) -> ClassNames | None:
    """Returns the names without colours: by value where one has values, else the longer order."""
    bare = [names for names in (_bare(one), _bare(other)) if names is not None]
    numbered = [names for names in bare if names.numbered]
    if len(numbered) > 1:
        return replace(
            numbered[0], numbered=tuple(sorted({**dict(numbered[1].numbered), **dict(numbered[0].numbered)}.items()))
        )
    return max(numbered or bare, key=len, default=None)


def _bare(names: ClassNames) -> ClassNames | None:
    return names.plain if names.colours else names


def _issue(one: ClassNames, other: ClassNames, found: Contradiction) -> Issue:
    """Returns the fault for two lists, with the line for the request that each of them stands for."""
    lines = [
        f'{names.source} is `"classes": {_as_request(numbers)}`'
        for names, numbers in ((one, found.one), (other, found.other))
        if numbers
    ]
    fix = "Leave the wrong list out of the ZIP, or put the right classes into the request"
    fix += f": {'; '.join(lines)}." if lines else '; for example `"classes": {"#ff0000": "car"}`.'
    files = (one.source, other.source)
    message = f"{one.source} and {other.source} contradict each other: {found.words}"
    return Issue.of(Code.CLASSES_CONTRADICTED, message, files=files, fix=fix)


def _as_request(numbers: Mapping[int, str]) -> str:
    shown = ", ".join(f'"{number}": "{name}"' for number, name in sorted(numbers.items())[: 2 * _SHOWN])
    return f"{{{shown}{', …' if len(numbers) > 2 * _SHOWN else ''}}}"
