"""The classes of a dataset: their names, and the class that each mask value stands for.

Everything is pure: bytes and values in, a reading out. What was assumed is stated in plain sentences.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from segdrop.codes import Code
from segdrop.dataset.class_names import MAX_CLASSES, ClassNames, is_void
from segdrop.dataset.classes import by_file, colours, listing, templates
from segdrop.dataset.classes.mask_sets import Masks
from segdrop.dataset.classes.shifts import Occurrence
from segdrop.dataset.classes.value_encoding import Encoding, ValueReading, read_values
from segdrop.dataset.masks.mask_keys import BETWEEN, COLOUR
from segdrop.errors import DataError, Issue
from segdrop.request import DatasetRequest

#: class id of pixels that are left out, in the cache
IGNORE = 255


@dataclass(frozen=True, slots=True)
class ClassReading:
    """The classes, and the way from mask values to them.

    ``values`` has the mask value of each class, or its colour (``#rrggbb``), or -1 where grey levels leave it open.
    ``lookup`` maps every mask key to a class id or ``IGNORE``, but for those in ``unknown``, which have no class.
    """

    names: tuple[str, ...]
    values: tuple[int | str, ...]
    lookup: dict[int, int]
    unknown: tuple[int, ...]
    ignore_index: int | None
    encoding: Encoding
    assumptions: tuple[str, ...]
    issues: tuple[Issue, ...]


def read_masks(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ClassReading:
    """Decide what the keys of masks mean, from all of them together and from the sets that single masks hold.

    Raises DataError where the names do not go with the keys.
    """
    found = by_file.judge(masks, names, request)
    seen = masks.replaced(found.replacements)
    reading = read_keys(seen.pixels, names, request, seen.files_by_key() if names else {}, seen.count)
    unknown = set(reading.unknown)
    meant = {key: found.replacements.get(key, key) for key in masks.pixels}
    return replace(
        reading,
        lookup={key: reading.lookup[value] for key, value in meant.items() if value not in unknown},
        unknown=tuple(sorted(key for key, value in meant.items() if value in unknown)),
        assumptions=(*found.assumptions, *reading.assumptions),
        issues=(*found.issues, *reading.issues),
    )


def read_keys(
    pixels: Mapping[int, int],
    names: ClassNames | None,
    request: DatasetRequest,
    files: Mapping[int, int] | None = None,
    num_files: int = 0,
) -> ClassReading:
    """Decide what mask keys mean.

    ``pixels`` has the number of pixels of each key, see :mod:`~segdrop.dataset.masks.mask_keys`, and ``files`` the
    number of masks that hold it, of ``num_files``. Raises DataError where the names do not go with the keys.
    """
    meant = {key: count for key, count in pixels.items() if key != BETWEEN}
    agreement = templates.agreed(meant, names)
    names = agreement.names
    if not colours.has_colours(meant, names):
        values = colours.greys(meant)
        if names and names.colours:
            # masks of one channel number the lines of a legend, unless it numbers them itself
            names = names.plain or replace(names, ordered=names.listed, colours=())
        seen = _seen(meant, values, files or {}, num_files)
        reading = read_classes(sorted(set(values.values())), names, request, seen)
    else:
        found = colours.read_colours(meant, names)
        values = found.values
        seen = _seen(meant, values, files or {}, num_files)
        reading = read_classes(sorted(set(values.values())), found.names, request, seen)
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
        reading,
        lookup=lookup,
        unknown=tuple(sorted(key for key, value in values.items() if value in unknown)),
        assumptions=(*agreement.assumptions, *reading.assumptions),
        issues=(*agreement.issues, *reading.issues),
    )


def _seen(
    pixels: Mapping[int, int], values: Mapping[int, int], files: Mapping[int, int], num_files: int
) -> Occurrence | None:
    """Returns how often each value occurs, or None where that was not counted by masks."""
    if not num_files:
        return None
    by_value: Counter[int] = Counter()
    masks: dict[int, int] = {}
    for key, count in pixels.items():
        by_value[values[key]] += count
        masks[values[key]] = max(masks.get(values[key], 0), files.get(key, 0))
    return Occurrence(by_value, masks, num_files)


def _shown(value: int | str, colour_of: Mapping[int, int]) -> int | str:
    """Returns a value's colour, where it has one; a class without pixels keeps its number in the legend."""
    return colours.colour_text(colour_of[value]) if isinstance(value, int) and value in colour_of else value


def read_classes(
    values: Sequence[int], names: ClassNames | None, request: DatasetRequest, seen: Occurrence | None = None
) -> ClassReading:
    """Decide what the sorted distinct mask values mean, and how often they were ``seen``.

    Raises DataError where the names do not go with them.
    """
    numbered = frozenset(number for number, _ in names.numbered) if names else frozenset()
    if names and names.is_from_file and min(numbered, default=0) == 1:
        numbered |= {0}  # the background, which has no line
    reading = read_values(values, len(names) if names else None, request.ignore_index, numbered)
    assumptions, issues = [*reading.assumptions], []
    unnamed: tuple[int, ...] = ()
    if names is None:
        by_rank, said, found = _unnamed(reading)
    else:
        meant = listing.listed(names, reading, request, _by_rank(reading, seen))
        by_rank, said, found, unnamed = meant.by_rank, meant.said, meant.issues, meant.left_out
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
    ignored = (*(value_of.get(rank, rank) for rank in void), *unnamed, *reading.ignored)
    return _assemble(
        reading,
        {rank: name for rank, name in by_rank.items() if rank not in void},
        ignored,
        request,
        assumptions,
        issues,
    )


def _by_rank(reading: ValueReading, seen: Occurrence | None) -> Occurrence | None:
    """Returns how often each class number occurs; ignored values are not counted."""
    if seen is None:
        return None
    pixels = {rank: seen.pixels.get(value, 0) for value, rank in reading.ranks.items()}
    files = {rank: seen.files.get(value, 0) for value, rank in reading.ranks.items()}
    return Occurrence(pixels, files, seen.num_files)


def _without(reading: ValueReading, ignored: frozenset[int]) -> ValueReading:
    """Returns the reading with the values left out that the layout defines so."""
    present = sorted(ignored.intersection(reading.ranks))
    ranks = {value: rank for value, rank in reading.ranks.items() if value not in ignored}
    said = [f"values {', '.join(map(str, present))} are ignored: the layout defines them so"] if present else []
    return replace(
        reading, ranks=ranks, ignored=(*reading.ignored, *present), assumptions=(*reading.assumptions, *said)
    )


def _unnamed(reading: ValueReading) -> tuple[dict[int, str], list[str], list[Issue]]:
    """Returns names for values that nothing names: background and foreground, or the numbers themselves."""
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
        [Issue.of(Code.CLASSES_ASSUMED, message)],
    )


def _void_ranks(by_rank: dict[int, str], names: ClassNames | None, request: DatasetRequest) -> list[int]:
    """Returns the classes that are ignored by their name, unless the request names them or says what is ignored."""
    if names is None or names.is_requested or request.ignore_index != "auto":
        return []
    return [rank for rank, name in by_rank.items() if is_void(name)]


def _assemble(
    reading: ValueReading,
    by_rank: dict[int, str],
    ignored: tuple[int, ...],
    request: DatasetRequest,
    assumptions: list[str],
    issues: list[Issue],
) -> ClassReading:
    """Put a reading together from the names by rank and the values that are ignored."""
    ranks = sorted(by_rank)
    if len(ranks) > MAX_CLASSES:
        message = f"there are {len(ranks)} classes; at most {MAX_CLASSES} are possible"
        raise DataError([Issue.of(Code.MASK_TOO_MANY_VALUES, message)])
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
    """Returns a note about classes that have a name and no pixel."""
    missing = [name for name, count in zip(names, pixels, strict=True) if not count]
    if not missing:
        return []
    shown = ", ".join(missing[:10]) + (", …" if len(missing) > 10 else "")  # noqa: PLR2004
    return [
        Issue.of(
            Code.CLASSES_ABSENT,
            f"{len(missing)} of {len(names)} classes have no pixel: {shown}",
            count=len(missing),
        )
    ]
