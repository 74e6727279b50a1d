"""What coloured masks mean: by a legend, as the palette of PASCAL VOC, or a class for each colour."""

from collections.abc import Mapping
from dataclasses import dataclass

from segdrop.dataset.masks import COLOUR
from segdrop.dataset.names import Names, is_background
from segdrop.errors import Issue

_BLACK = 0
_SMALL_INDEX = 20
_SHOWN = 6


@dataclass(frozen=True, slots=True)
class ColourReading:
    """``values``: key → value. ``names``: what the values are called, numbered or (palette) in order."""

    values: dict[int, int]
    names: Names | None
    assumptions: list[str]
    issues: list[Issue]


def colour_text(colour: int) -> str:
    return f"#{colour:06x}"


def has_colours(pixels: Mapping[int, int], names: Names | None) -> bool:
    """Whether keys are to be read as colours: any is, that is not grey; or a legend has colours and masks, too."""
    colours = [key - COLOUR for key in pixels if key >= COLOUR]
    return any(not _is_grey(colour) for colour in colours) or bool(colours and names and names.colours)


def greys(pixels: Mapping[int, int]) -> dict[int, int]:
    """Key → value, where colours are all grey: the same as masks of one channel."""
    return {key: key if key < COLOUR else (key - COLOUR) & 0xFF for key in pixels}


def _is_grey(colour: int) -> bool:
    return colour >> 16 == colour >> 8 & 0xFF == colour & 0xFF


def read_colours(pixels: Mapping[int, int], names: Names | None) -> ColourReading:
    """Decide from all keys and their pixels."""
    if names and names.colours:
        return _by_legend(pixels, names)
    indices = {key: voc_index(key - COLOUR) if key >= COLOUR else key for key in pixels}
    if _are_voc(list(indices.values())):
        said = "the mask colours are those of the PASCAL VOC palette: they are read as its indices"
        return ColourReading({key: index for key, index in indices.items() if index is not None}, names, [said], [])
    return _by_frequency(pixels, names)


def _by_legend(pixels: Mapping[int, int], names: Names) -> ColourReading:
    """Values in the legend's order; black that it does not name is the background."""
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
    return ColourReading(values, Names(names.source, numbered=numbered), said, [])


def _are_voc(indices: list[int | None]) -> bool:
    small = [index for index in indices if index is not None and index != 255]  # noqa: PLR2004  (VOC's border)
    return (
        len(small) > 1
        and all(index is not None for index in indices)
        and max(small) < max(2 * len(small), _SMALL_INDEX + 1)
    )


def voc_index(colour: int) -> int | None:
    """The index of a colour in the palette of PASCAL VOC (VOCdevkit, VOClabelcolormap.m), its border included."""
    if colour == 0xE0E0C0:  # noqa: PLR2004  (224, 224, 192: index 255 as it is drawn)
        return 255
    index = 0
    for shift, channel in enumerate((colour >> 16, colour >> 8 & 0xFF, colour & 0xFF)):
        if channel & 0x1F:
            return None
        # bit 7 of a channel is the lowest bit of the index, three bits on each further one
        for step in range(3):
            index |= (channel >> (7 - step) & 1) << (3 * step + shift)
    return index if index < 256 else None  # noqa: PLR2004  (a byte)


def _by_frequency(pixels: Mapping[int, int], names: Names | None) -> ColourReading:
    """The most frequent colour is class 0. Names without colours cannot be given to colours."""
    order = sorted(pixels, key=lambda key: (-pixels[key], key))
    colours = [key - COLOUR if key >= COLOUR else key * 0x010101 for key in order]
    values = dict(zip(order, range(len(order)), strict=True))
    numbered = tuple((value, f"colour_{colour_text(colour)}") for value, colour in enumerate(colours))
    shown = ", ".join(map(colour_text, colours[:_SHOWN])) + (", …" if len(colours) > _SHOWN else "")
    message = f"the masks have {len(colours)} colours ({shown}), and nothing says what they mean"
    if names is not None:
        message += f"; {names.source} has names, but no colours"
    issue = Issue.of("classes.colours_assumed", message, files=[names.source] if names else ())
    return ColourReading(values, Names("the masks", numbered=numbered), ["each mask colour is a class"], [issue])
