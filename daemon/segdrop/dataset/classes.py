"""Names of classes: what labels.txt or the request says, and what each mask value comes to.

Pure: bytes and values in, a reading out. Everything that was assumed is stated in plain sentences.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from segdrop.dataset import colours
from segdrop.dataset.encoding import Encoding, ValueReading, read_values
from segdrop.dataset.masks import BETWEEN, COLOUR
from segdrop.dataset.names import MAX_CLASSES, Names, is_background, is_void
from segdrop.errors import DataError, Issue
from segdrop.request import Request

#: class id of pixels that are left out, in the cache
IGNORE = 255


@dataclass(frozen=True, slots=True)
class ClassReading:
    """The classes, and the way from mask values to them.

    ``values`` has the mask value of each class, or its colour (``#rrggbb``); -1 where grey levels leave it open.
    ``lookup`` maps every mask key to a class id or ``IGNORE``, but those in ``unknown``.
    """

    names: tuple[str, ...]
    values: tuple[int | str, ...]
    lookup: dict[int, int]
    unknown: tuple[int, ...]
    ignore_index: int | None
    encoding: Encoding
    assumptions: tuple[str, ...]
    issues: tuple[Issue, ...]


def read_keys(pixels: Mapping[int, int], names: Names | None, request: Request) -> ClassReading:
    """Decide what mask keys (with their pixels, see :mod:`~segdrop.dataset.masks`) mean.

    ``DataError`` if the names do not go with them.
    """
    meant = {key: count for key, count in pixels.items() if key != BETWEEN}
    if not colours.has_colours(meant, names):
        values = colours.greys(meant)
        if names and names.colours:
            # masks of one channel number the lines of a legend
            names = replace(names, ordered=names.listed, colours=())
        reading = read_classes(sorted(set(values.values())), names, request)
    else:
        found = colours.read_colours(meant, names)
        values = found.values
        reading = read_classes(sorted(set(values.values())), found.names, request)
        colour_of = {value: key - COLOUR for key, value in values.items() if key >= COLOUR}
        reading = replace(
            reading,
            values=tuple(_shown(value, colour_of) for value in reading.values),
            encoding=Encoding.COLOUR,
            assumptions=(*found.assumptions, *reading.assumptions),
            issues=(*found.issues, *reading.issues),
        )
    unknown = set(reading.unknown)
    lookup = {key: reading.lookup[value] for key, value in values.items() if value not in unknown}
    if BETWEEN in pixels:
        lookup[BETWEEN] = IGNORE
    return replace(
        reading, lookup=lookup, unknown=tuple(sorted(key for key, value in values.items() if value in unknown))
    )


def _shown(value: int | str, colour_of: Mapping[int, int]) -> int | str:
    """A value's colour, where it has one; a class without pixels has its number in the legend."""
    return colours.colour_text(colour_of[value]) if isinstance(value, int) and value in colour_of else value


def read_classes(values: Sequence[int], names: Names | None, request: Request) -> ClassReading:
    """Decide what the sorted distinct mask values mean; ``DataError`` if the names do not go with them."""
    numbered = frozenset(number for number, _ in names.numbered) if names else frozenset()
    reading = read_values(values, len(names) if names else None, request.ignore_index, numbered)
    assumptions, issues = [*reading.assumptions], []
    if names is None:
        by_rank, said, found = _unnamed(reading)
    elif names.numbered:
        by_rank, said, found = (
            dict(names.numbered),
            [f"classes and their mask values come from {names.source}"],
            [],
        )
    else:
        by_rank, said, found = _ordered(names, reading, request)
    assumptions += said
    issues += found
    if names and names.ignored and request.ignore_index == "auto":
        reading = _without(reading, names.ignored)
    for value in reading.ignored:
        # an ignored value is a number of its own only where values are the numbers
        if value in by_rank and value not in reading.ranks.values():
            assumptions.append(f"class '{by_rank.pop(value)}' (value {value}) is left out: the value is ignored")
    void = _void_ranks(by_rank, names, request)
    value_of = {rank: value for value, rank in reading.ranks.items()}
    for rank in void:
        value = value_of.get(rank, rank)
        assumptions.append(f"class '{by_rank[rank]}' (value {value}) is ignored, by its name")
    ignored = (*(value_of.get(rank, rank) for rank in void), *reading.ignored)
    return _assemble(
        reading,
        {rank: name for rank, name in by_rank.items() if rank not in void},
        ignored,
        request,
        assumptions,
        issues,
    )


def _without(reading: ValueReading, ignored: frozenset[int]) -> ValueReading:
    """The reading with the values left out that the layout defines so."""
    present = sorted(ignored.intersection(reading.ranks))
    ranks = {value: rank for value, rank in reading.ranks.items() if value not in ignored}
    said = [f"values {', '.join(map(str, present))} are ignored: the layout defines them so"] if present else []
    return replace(
        reading, ranks=ranks, ignored=(*reading.ignored, *present), assumptions=(*reading.assumptions, *said)
    )


def _unnamed(reading: ValueReading) -> tuple[dict[int, str], list[str], list[Issue]]:
    ranks = sorted(reading.ranks.values())
    if len(ranks) == 2:  # noqa: PLR2004  (binary)
        shown = " and ".join(str(value) for value in reading.ranks)
        return (
            dict(zip(ranks, ("background", "foreground"), strict=True)),
            [f"the masks hold two values, {shown}: background and foreground"],
            [],
        )
    names = {rank: f"class_{rank}" for rank in ranks}
    ends = f": class_{ranks[0]} to class_{ranks[-1]}" if ranks else ""
    message = f"there is no labels.txt; {len(ranks)} classes are named by number{ends}"
    return (
        names,
        ["classes are named after their mask values, because there is no labels.txt"],
        [Issue.of("classes.assumed", message)],
    )


def _ordered(names: Names, reading: ValueReading, request: Request) -> tuple[dict[int, str], list[str], list[Issue]]:
    """Whether line 1 is class 0 or class 1: as requested, by a background word, or by the number of lines."""
    first = names.ordered[0]
    top = max(reading.ranks.values(), default=0)
    # an ignored value may have its line too: a void class at the end of the list
    named_top = max([top, *(value for value in reading.ignored if value < len(names))])
    by_value = all(value == rank for value, rank in reading.ranks.items())
    issues = []
    if request.labels_include_background != "auto":
        included, reason = bool(request.labels_include_background), "as requested"
    elif is_background(first):
        included, reason = True, "it names the background"
    elif len(names) in (top + 1, named_top + 1):
        has = f"one line per value 0..{len(names) - 1}"
        included, reason = True, f"it has {has if by_value else f'one line for each of {len(names)} classes'}"
        message = (
            f"{names.source} has {len(names)} names, exactly as many as max value + 1, so line 1 ({first}) "
            "was read as class 0; if the last class happens to be absent from the masks, that is wrong: "
            "see `labels_include_background`"
        )
        issues.append(Issue.of("classes.background_assumed", message, files=[names.source]))
    else:
        included, reason = False, "value 0 is the background"
    number = 0 if included else 1
    said = f"{names.source} line 1 ({first}) is class {number}: {reason}"
    lines = names.ordered if included else ("background", *names.ordered)
    if not included and "background" in names.ordered:
        line = names.ordered.index("background") + 1
        message = f"{names.source} names 'background' in line {line}, and value 0 is background too"
        raise DataError([Issue.of("classes.invalid", message, files=[names.source])])
    return dict(enumerate(lines)), [said], issues


def _void_ranks(by_rank: dict[int, str], names: Names | None, request: Request) -> list[int]:
    """Classes that are ignored by their name, unless the request names them or says what is ignored."""
    if names is None or names.is_requested or request.ignore_index != "auto":
        return []
    return [rank for rank, name in by_rank.items() if is_void(name)]


def _assemble(
    reading: ValueReading,
    by_rank: dict[int, str],
    ignored: tuple[int, ...],
    request: Request,
    assumptions: list[str],
    issues: list[Issue],
) -> ClassReading:
    ranks = sorted(by_rank)
    if len(ranks) > MAX_CLASSES:
        message = f"there are {len(ranks)} classes; at most {MAX_CLASSES} are possible"
        raise DataError([Issue.of("mask.too_many_values", message)])
    class_ids = {rank: class_id for class_id, rank in enumerate(ranks)}
    lookup = dict.fromkeys(ignored, IGNORE)
    unknown = []
    for value, rank in reading.ranks.items():
        if value in lookup:
            continue
        if rank in class_ids:
            lookup[value] = class_ids[rank]
        elif request.unknown_values == "ignore":
            lookup[value] = IGNORE
            assumptions.append(f"value {value} has no class and is ignored, as requested")
        else:
            unknown.append(value)
    value_of = {rank: value for value, rank in reading.ranks.items()}
    open_value = -1 if set(reading.ranks) != set(reading.ranks.values()) else None
    return ClassReading(
        names=tuple(by_rank[rank] for rank in ranks),
        values=tuple(value_of.get(rank, rank if open_value is None else open_value) for rank in ranks),
        lookup=lookup,
        unknown=tuple(unknown),
        ignore_index=ignored[0] if ignored else None,
        encoding=reading.encoding,
        assumptions=tuple(assumptions),
        issues=tuple(issues),
    )


def absent(names: Sequence[str], pixels: Iterable[int]) -> list[Issue]:
    """A note about classes that have a name and no pixel."""
    missing = [name for name, count in zip(names, pixels, strict=True) if not count]
    if not missing:
        return []
    shown = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")  # noqa: PLR2004
    return [
        Issue.of(
            "classes.absent",
            f"{len(missing)} of {len(names)} classes have no pixel: {shown}",
            count=len(missing),
        )
    ]
