"""What a ``class_map`` says of a list of classes: the one place that matches its names, for datasets and for models."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from segdrop import request
from segdrop.codes import Code
from segdrop.dataset.classes.presets import PRESETS, ClassMap
from segdrop.errors import DataError, Issue

#: A class map as it stands in a request: {old: new or null}, or the name of a preset.
Wanted = Mapping[str, str | int | None] | str
_MOST_NAMED = 10
_MOST_CHARACTERS = 500


@dataclass(frozen=True, slots=True)
class Mapped:
    """The classes of a list after a map.

    ``new_names`` are the classes there are now, in the order of their first old class. ``new_ids`` has, for each old
    class, the position of its new one in ``new_names``, or None where it is left out. ``kept`` are the old classes that
    the map does not name, which keep their own names.
    """

    new_names: tuple[str, ...]
    new_ids: tuple[int | None, ...]
    kept: tuple[str, ...]
    said: str  #: what the map does, as an assumption that people read


def unknown_preset(wanted: Wanted | None) -> Issue | None:
    """Returns an issue where a class map is the name of a preset that does not exist."""
    if not isinstance(wanted, str) or wanted in PRESETS:
        return None
    message = f"`class_map` is '{wanted}', which is no preset: there are {', '.join(PRESETS)}"
    return Issue.of(Code.REQUEST_INVALID_VALUE, message)


def mapped(names: Sequence[str], values: Sequence[int | str], wanted: Wanted, *, must_exist: bool = True) -> Mapped:
    """Returns what becomes of the classes ``names``, whose mask values are ``values`` (-1 where there is none).

    An old class is named as it is written, else in any case, else by its value. Raises DataError where a map of the
    request's own names a class that does not exist, with the nearest one that does, where no class is left, or where
    there is no such preset. A preset is made for every dataset of its kind: classes that it names may be missing. So
    may those of any map without ``must_exist``: that of an evaluation names classes of the dataset and of the model.
    """
    if issue := unknown_preset(wanted):
        raise DataError([issue])
    is_preset = isinstance(wanted, str)
    source = f"the preset {wanted}" if isinstance(wanted, str) else "`class_map`"
    old_to_new = _old_to_new(wanted)
    found = {old: _index(names, values, old) for old in old_to_new}
    if must_exist and not is_preset and (unknown := [old for old, index in found.items() if index is None]):
        raise DataError([_unknown(unknown, names)])
    targets: list[str | None] = list(names)
    for old, index in found.items():
        if index is not None:
            targets[index] = old_to_new[old]
    new_names = tuple(dict.fromkeys(new for new in targets if new is not None))
    if not new_names:
        raise DataError([Issue.of(Code.CLASSES_MAP_UNKNOWN, f"{source} leaves no class of {', '.join(names)}")])
    new_ids = tuple(None if new is None else new_names.index(new) for new in targets)
    named = {index for index in found.values() if index is not None}
    kept = tuple(name for index, name in enumerate(names) if index not in named)
    return Mapped(new_names, new_ids, kept, _said(source, names, new_names, targets))


def _old_to_new(wanted: Wanted) -> ClassMap:
    if isinstance(wanted, str):
        return PRESETS[wanted]
    return {old: None if new is None else str(new) for old, new in wanted.items()}


def _index(names: Sequence[str], values: Sequence[int | str], old: str) -> int | None:
    """Returns the position of the class that a map names; first as it is written: "crack" and "Crack" may both be
    there.
    """
    if old in names:
        return names.index(old)
    alike = (index for index, name in enumerate(names) if name.casefold() == old.casefold())
    by_value = (index for index, value in enumerate(values) if value != -1 and str(value) == old)
    return next(alike, next(by_value, None))


def _unknown(unknown: Sequence[str], names: Sequence[str]) -> Issue:
    """Returns the issue of names that no class has, each with the one that it probably means."""
    by_folded = {name.lower(): name for name in names}
    shown = []
    for old in unknown[:_MOST_NAMED]:
        guess = request.nearest(old, by_folded)
        shown.append(f"{old} (did you mean {by_folded[guess]}?)" if guess else old)
    message = f"`class_map` names {', '.join(shown)}; the classes are {', '.join(names)[:_MOST_CHARACTERS]}"
    return Issue.of(Code.CLASSES_MAP_UNKNOWN, message, count=len(unknown))


def _said(source: str, names: Sequence[str], new_names: Sequence[str], targets: Sequence[str | None]) -> str:
    said = f"{source} makes {len(new_names)} classes of {len(names)}"
    dropped = [old for old, new in zip(names, targets, strict=True) if new is None]
    return f"{said} and leaves out {', '.join(dropped)}" if dropped else said
