"""The classes of a model under a request's ``class_map``: what its class ids become in what is predicted."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code
from segdrop.dataset.classes.mapping import Wanted, mapped
from segdrop.dataset.classes.official_colours import Colour
from segdrop.errors import DataError, Issue

_BYTE_VALUES = 256
_MOST_CHARACTERS = 500


def ignored_id(num_classes: int) -> int:
    """Returns the class id of pixels that are left out: 255, or 65,535 where 255 may be a class."""
    return 255 if num_classes < _BYTE_VALUES else 65_535


@dataclass(frozen=True, slots=True, eq=False)
class Remap:
    """How the classes of a model become those that are answered."""

    classes: tuple[str, ...]  #: names after the map, by new class id
    lookup: npt.NDArray[np.uint16]  #: (number of old classes,): new class id, or :func:`ignored_id` where left out
    excluded: tuple[str, ...]  #: old classes whose pixels are left out
    said: tuple[str, ...]  #: what was assumed, in plain sentences

    def apply(self, class_ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.uint16]:
        """Returns the new class ids of old ones, (H, W) uint16."""
        return np.take(self.lookup, class_ids)

    def colours(self, own: Sequence[Colour] | None) -> tuple[Colour, ...] | None:
        """Returns colours by new class id from a model's own by old class id: that of the first class merged in."""
        if own is None or len(own) < len(self.lookup):
            return None
        old_ids = self.lookup.tolist()
        return tuple(own[old_ids.index(new_id)] for new_id in range(len(self.classes)))


def unchanged(classes: Sequence[str]) -> Remap:
    """Returns the map that leaves a model's classes as they are."""
    return Remap(tuple(classes), np.arange(len(classes), dtype=np.uint16), (), ())


def remap(classes: Sequence[str], class_map: Wanted | None) -> Remap:
    """Returns how a model's classes become those that a request's ``class_map`` asks for.

    Names are matched as for a dataset (:mod:`~segdrop.dataset.classes.mapping`); a number names a class id. Raises
    DataError (``classes.map_unknown``) where the map names a class that the model does not have, with the nearest one,
    where it leaves no class, or where a preset names none of the model's; ``request.invalid_value`` where there is no
    preset of that name.
    """
    if class_map is None:
        return unchanged(classes)
    found = mapped(classes, range(len(classes)), class_map)
    if isinstance(class_map, str) and len(found.kept) == len(classes):
        listed = ", ".join(classes)[:_MOST_CHARACTERS]
        message = f"the preset {class_map} has none of the model's classes: {listed}"
        raise DataError([Issue.of(Code.CLASSES_MAP_UNKNOWN, message)])
    left_out = ignored_id(len(found.new_names))
    lookup = np.array([left_out if new is None else new for new in found.new_ids], np.uint16)
    excluded = tuple(old for old, new in zip(classes, found.new_ids, strict=True) if new is None)
    said = [found.said]
    if excluded:
        said.append(f"pixels of what is left out have the value {left_out}")
    if isinstance(class_map, str) and found.kept:
        said.append(f"the preset {class_map} does not name {', '.join(found.kept)}: they stay as they are")
    return Remap(found.new_names, lookup, excluded, tuple(said))
