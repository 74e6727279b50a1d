"""The request's ``class_map``: classes merged, renamed or left out, as {old: new or null} or by a preset's name."""

from dataclasses import replace

from segdrop.dataset.classes.assignment import IGNORE, ClassReading
from segdrop.dataset.classes.mapping import mapped
from segdrop.request import DatasetRequest, TrainRequest


def apply(reading: ClassReading, request: DatasetRequest) -> ClassReading:
    """Returns the classes after the request's map, in the order of their first old class.

    Raises DataError where the map of a training names a class that does not exist, or where it leaves none.
    """
    if request.class_map is None:
        return reading
    found = mapped(reading.names, reading.values, request.class_map, must_exist=isinstance(request, TrainRequest))
    class_ids = [IGNORE if new is None else new for new in found.new_ids]
    values = [
        reading.values[class_ids.index(new)] if class_ids.count(new) == 1 else -1  # merged: no single value
        for new in range(len(found.new_names))
    ]
    return replace(
        reading,
        names=found.new_names,
        values=tuple(values),
        lookup={key: IGNORE if old == IGNORE else class_ids[old] for key, old in reading.lookup.items()},
        assumptions=(*reading.assumptions, found.said),
    )
