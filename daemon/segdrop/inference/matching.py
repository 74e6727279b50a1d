"""Which class of a dataset is which class of a model: by name, so that an evaluation compares like with like. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.errors import DataError, Issue

_MAX_NAMED = 20
_VALUES = 1 << 16
#: stands for every class of the model that the request's map leaves out
LEFT_OUT = "(left out)"


@dataclass(frozen=True, slots=True)
class Matching:
    """The classes that an evaluation counts: those of the dataset, then those that the model alone knows.

    ``truth`` and ``predicted`` have for each class id of the dataset and of the model its number in ``classes``.
    """

    classes: tuple[str, ...]
    truth: npt.NDArray[np.uint8]  # (256,): IGNORE stays IGNORE
    predicted: npt.NDArray[np.uint16]  # (65,536,)
    issues: tuple[Issue, ...]


def match(model: Sequence[str], dataset: Sequence[str], *, has_excluded: bool = False) -> Matching:
    """Returns how the classes of a model and of a dataset fit together: exactly, else without regard to case.

    Raises ``DataError`` (``model.classes_unmatched``) where the dataset has a class that the model does not know: no
    prediction could be right there. A class that the model alone knows is counted: where it is predicted, it is wrong.
    So are pixels that the model gives a class which the request's map leaves out (``has_excluded``).
    """
    numbers = {name: number for number, name in enumerate(dataset)}
    caseless = {name.casefold(): number for name, number in reversed(numbers.items())}
    taken: dict[int, str] = {}
    predicted, classes = np.zeros(_VALUES, np.uint16), list(dataset)
    exact = {name for name in model if name in numbers}
    for class_id, name in enumerate(model):
        number = numbers.get(name)
        if number is None and (like := caseless.get(name.casefold())) is not None and dataset[like] not in exact:
            number = like if like not in taken else None
        if number is None:
            number = len(classes)
            classes.append(name)
        taken[number] = name
        predicted[class_id] = number
    if missing := [name for number, name in enumerate(dataset) if number not in taken]:
        raise DataError([_unmatched(missing, model)])
    issues = tuple(_notes(model, dataset, taken, classes))
    if has_excluded:
        predicted[len(model) :] = len(classes)
        classes.append(LEFT_OUT)
    truth = np.full(256, IGNORE, np.uint8)
    truth[: len(dataset)] = np.arange(len(dataset))
    return Matching(tuple(classes), truth, predicted, issues)


def _unmatched(missing: Sequence[str], model: Sequence[str]) -> Issue:
    message = f"the dataset has {_listed(missing)}, which the model does not know: it knows {_listed(model)}"
    return Issue.of(Code.MODEL_CLASSES_UNMATCHED, message, count=len(missing))


def _notes(model: Sequence[str], dataset: Sequence[str], taken: dict[int, str], classes: Sequence[str]) -> list[Issue]:
    notes = [f"{len(dataset)} of the model's {len(model)} classes are the dataset's, by name"]
    if spelt := [f"{taken[n]} for {name}" for n, name in enumerate(dataset) if taken[n] != name]:
        notes.append(f"spelt otherwise: {_listed(spelt)}")
    if others := classes[len(dataset) :]:
        notes.append(f"the model alone knows {_listed(others)}: counted as wrong where they are predicted")
    return [Issue.of(Code.MODEL_CLASSES_MATCHED, "; ".join(notes))]


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
