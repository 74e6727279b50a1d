"""Class names that nothing but the names of files and folders suggests: PASCAL VOC's, CamVid's.

They are taken where the masks' values can be theirs. People label their own classes in the folders of such datasets.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import colours
from segdrop.dataset.masks import palette
from segdrop.dataset.masks.mask_keys import COLOUR
from segdrop.errors import Issue

_SHOWN = 8
_FIX = (
    "If the template's classes are right, list them in labels.txt or as `classes` in the request; "
    "else list your own there."
)


@dataclass(frozen=True, slots=True)
class Agreement:
    """The names that are taken, or None, with what is to be said about it."""

    names: ClassNames | None
    assumptions: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()


def agreed(pixels: Mapping[int, int], names: ClassNames | None) -> Agreement:
    """Returns names as they are, but for those of a template that the masks do not agree with. Keys as in the masks."""
    if names is None or not names.is_template:
        return Agreement(names)
    is_coloured = colours.has_colours(pixels, names)
    fits = _has_colours_of(pixels, names) if names.colours else is_coloured or _has_values_of(pixels, names)
    if names.numbered and is_coloured and (indices := _indices(pixels)) is not None:
        fits = _are_values_of(indices, names)
    if fits:
        said = f"no file names the classes: those of {names.source} are meant, whose folders and file names these are"
        return Agreement(_occurring(pixels, names) if names.has_spare else names, (said,))
    shown = ", ".join(map(str, sorted(_told(pixels))[:_SHOWN])) + (", …" if len(pixels) > _SHOWN else "")
    message = (
        f"folders and files are named like those of {names.source}, but the masks hold {shown}, "
        f"which do not look like its {len(names)} classes: its names are not used"
    )
    return Agreement(None, (), (Issue.of(Code.CLASSES_ASSUMED, message, fix=_FIX),))


def _occurring(pixels: Mapping[int, int], names: ClassNames) -> ClassNames:
    """Returns a template's names, of its colours those that occur: seldom has a dataset all of them."""
    found = {key - COLOUR for key in pixels}
    return replace(names, colours=tuple((colour, name) for colour, name in names.colours if colour in found))


def _told(pixels: Mapping[int, int]) -> set[str]:
    return {colours.colour_text(key - COLOUR) if key >= COLOUR else str(key) for key in pixels}


def _has_colours_of(pixels: Mapping[int, int], names: ClassNames) -> bool:
    """Whether all masks are coloured, in the template's colours alone; a number of one channel is no colour."""
    return {key - COLOUR for key in pixels} <= {colour for colour, _ in names.colours}


def _has_values_of(pixels: Mapping[int, int], names: ClassNames) -> bool:
    return _are_values_of(set(colours.greys(pixels).values()), names)


def _indices(pixels: Mapping[int, int]) -> set[int] | None:
    """Returns coloured masks' indices in the palette of PASCAL VOC, or None where not all colours are in it."""
    found = {palette.index_of(key - COLOUR) if key >= COLOUR else key for key in pixels}
    return None if None in found else {index for index in found if index is not None}


def _are_values_of(values: set[int], names: ClassNames) -> bool:
    """Whether values can be the template's: none other; and not just the first few in a row, as in labels of people's
    own, unless the value is there that the template ignores (the border between objects).
    """
    numbers = {number for number, _ in names.numbered}
    classes = values & numbers
    if values - numbers - names.ignored or len(classes) < 2:  # noqa: PLR2004  (something to tell apart)
        return False
    is_row = max(classes) == len(classes) - 1
    return bool(values & names.ignored) or not is_row or 2 * len(classes) >= len(numbers)
