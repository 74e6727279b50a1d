"""The request's ``class_map``: classes merged, renamed or left out, as {old: new or null} or by a preset's name."""

from dataclasses import replace

from segdrop.codes import Code
from segdrop.dataset.classes.assignment import IGNORE, ClassReading
from segdrop.dataset.classes.presets import PRESETS, ClassMap
from segdrop.errors import DataError, Issue
from segdrop.request import DatasetRequest


def apply(reading: ClassReading, request: DatasetRequest) -> ClassReading:
    """Returns the classes after the request's map, in the order of their first old class.

    Raises DataError where the map names a class that does not exist, or leaves none.
    """
    if request.class_map is None:
        return reading
    if isinstance(request.class_map, str):
        old_to_new, source = PRESETS[request.class_map], f"the preset {request.class_map}"
    else:
        old_to_new = {old: None if new is None else str(new) for old, new in request.class_map.items()}
        source = "`class_map`"
    targets = _targets(reading, old_to_new, must_exist=not isinstance(request.class_map, str))
    names = tuple(dict.fromkeys(new for new in targets if new is not None))
    if not names:
        raise DataError([Issue.of(Code.CLASSES_MAP_UNKNOWN, f"{source} leaves no class of {', '.join(reading.names)}")])
    class_ids = [IGNORE if new is None else names.index(new) for new in targets]
    values = [
        reading.values[targets.index(name)] if targets.count(name) == 1 else -1  # merged: no single value
        for name in names
    ]
    said = f"{source} makes {len(names)} classes of {len(reading.names)}"
    dropped = [old for old, new in zip(reading.names, targets, strict=True) if new is None]
    if dropped:
        said += f" and leaves out {', '.join(dropped)}"
    return replace(
        reading,
        names=names,
        values=tuple(values),
        lookup={key: IGNORE if old == IGNORE else class_ids[old] for key, old in reading.lookup.items()},
        assumptions=(*reading.assumptions, said),
    )


def _targets(reading: ClassReading, old_to_new: ClassMap, *, must_exist: bool) -> list[str | None]:
    """Returns the new name of each class, or None where it is left out; what the map does not name keeps its own."""
    exact = {name: index for index, name in enumerate(reading.names)}
    position = {name.casefold(): index for index, name in reversed(list(enumerate(reading.names)))}
    by_value = {str(value): index for index, value in enumerate(reading.values) if value != -1}
    targets: list[str | None] = list(reading.names)
    unknown = []
    for old, new in old_to_new.items():
        # first as it is written: "crack" and "Crack" may both be there
        index = exact.get(old, position.get(old.casefold(), by_value.get(old)))
        if index is not None:
            targets[index] = new
        elif must_exist:
            unknown.append(old)
    if unknown:
        message = f"`class_map` names {', '.join(unknown[:10])}; the classes are {', '.join(reading.names)[:500]}"
        raise DataError([Issue.of(Code.CLASSES_MAP_UNKNOWN, message, count=len(unknown))])
    return targets
