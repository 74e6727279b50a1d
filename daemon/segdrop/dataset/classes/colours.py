"""The meaning of coloured masks: by a legend, as the palette of PASCAL VOC, or a class for each colour."""

from collections.abc import Mapping
from dataclasses import dataclass

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames, is_background
from segdrop.dataset.masks import palette
from segdrop.dataset.masks.mask_keys import COLOUR
from segdrop.errors import Issue

_BLACK = 0
_SMALL_INDEX = 20
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class ColourReading:
    """The value that each key stands for, and the names of the values: numbered or, with the palette, in order."""

    values: dict[int, int]
    names: ClassNames | None
    assumptions: list[str]
    issues: list[Issue]


def colour_text(colour: int) -> str:
    """Returns a colour (0xRRGGBB) as ``#rrggbb``."""
    return f"#{colour:06x}"


def has_colours(pixels: Mapping[int, int], names: ClassNames | None) -> bool:
    """Whether keys are to be read as colours: one of them is not grey, or a legend has colours and
    the masks have, too.
    """
    colours = [key - COLOUR for key in pixels if key >= COLOUR]
    return any(not _is_grey(colour) for colour in colours) or bool(colours and names and names.colours)


def greys(pixels: Mapping[int, int]) -> dict[int, int]:
    """Returns the value of each key where all colours are grey: the same as in masks of one channel."""
    return {key: key if key < COLOUR else (key - COLOUR) & 0xFF for key in pixels}


def _is_grey(colour: int) -> bool:
    return colour >> 16 == colour >> 8 & 0xFF == colour & 0xFF


def read_colours(pixels: Mapping[int, int], names: ClassNames | None) -> ColourReading:
    """Decide what the colours mean, from all keys and the number of their pixels."""
    if names and names.colours:
        return _by_legend(pixels, names)
    indices = {key: palette.index_of(key - COLOUR) if key >= COLOUR else key for key in pixels}
    if _are_voc(list(indices.values())):
        said = "the mask colours are those of the PASCAL VOC palette: they are read as its indices"
        return ColourReading({key: index for key, index in indices.items() if index is not None}, names, [said], [])
    return _by_frequency(pixels, names)


def _by_legend(pixels: Mapping[int, int], names: ClassNames) -> ColourReading:
    """Returns values in the legend's order; black that it does not name is the background."""
    legend = list(names.colours)
    said = [f"mask colours mean what {names.source} says"]
    has_black = any(key in (COLOUR, _BLACK) for key in pixels)
    if has_black and all(colour != _BLACK for colour, _ in legend) and not any(is_background(n) for _, n in legend):
        legend.insert(0, (_BLACK, "background"))
        said.append("black is not in the legend: it is read as the background")
    value_of = {colour: value for value, (colour, _) in enumerate(legend)}
    values = {}
    for key in pixels:
        if key >= COLOUR:
            # a colour without a class keeps a number of its own, to be reported by
            values[key] = value_of.get(key - COLOUR, key)
        else:
            values[key] = key
    numbered = tuple((value, name) for value, (_, name) in enumerate(legend))
    return ColourReading(values, ClassNames(names.source, numbered=numbered), said, [])


def _are_voc(indices: list[int | None]) -> bool:
    """Whether indices are those of masks in the palette of PASCAL VOC: small, few missing, and the border perhaps."""
    small = [index for index in indices if index is not None and index != 255]  # noqa: PLR2004  (VOC's border)
    return (
        len(small) > 1
        and all(index is not None for index in indices)
        and max(small) < max(2 * len(small), _SMALL_INDEX + 1)
    )


def _by_frequency(pixels: Mapping[int, int], names: ClassNames | None) -> ColourReading:
    """Makes the most frequent colour class 0, and so on. Names without colours cannot be given to colours."""
    order = sorted(pixels, key=lambda key: (-pixels[key], key))
    colours = [key - COLOUR if key >= COLOUR else key * 0x010101 for key in order]
    values = dict(zip(order, range(len(order)), strict=True))
    numbered = tuple((value, f"colour_{colour_text(colour)}") for value, colour in enumerate(colours))
    shown = ", ".join(map(colour_text, colours[:_SHOWN])) + (", …" if len(colours) > _SHOWN else "")
    message = f"the masks have {len(colours)} colours ({shown}), and nothing says what they mean"
    if names is not None:
        message += f"; {names.source} has names, but no colours"
    issue = Issue.of(Code.CLASSES_COLOURS_ASSUMED, message, files=[names.source] if names else ())
    return ColourReading(values, ClassNames("the masks", numbered=numbered), ["each mask colour is a class"], [issue])
