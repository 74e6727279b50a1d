"""One line of a list of classes, whatever the kind of file, and the names that all lines give together."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from segdrop.dataset.class_names import ClassNames, checked

CHANNEL_TOP = 255
#: the value that "-1" is stored as, in a mask of one byte
MINUS_ONE = 255
_MOST_DIGITS = 5  #: a mask's value has at most this many
_HEX_COLOUR = re.compile(r"(?:#|0x)([0-9a-fA-F]{6})")
_CHANNELS = re.compile(r"[(\[]?\s*(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})(?:[\s,;]+\d{1,3})?\s*[)\]]?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A class in a list: its name, and the mask value and the colour (0xRRGGBB) that the list gives it, if any."""

    name: str
    number: int | None = None
    colour: int | None = None


def is_number(text: str) -> bool:
    """Whether a text is a number that a mask's value can be, or -1."""
    digits = text.removeprefix("-")
    return digits.isascii() and digits.isdigit() and len(digits) <= _MOST_DIGITS and text in {digits, "-1"}


def colour_of(channels: Sequence[int]) -> int | None:
    """Returns the colour (0xRRGGBB) of three channels, or None where one is no byte."""
    red, green, blue = channels[:3]
    return red << 16 | green << 8 | blue if min(channels) >= 0 and max(channels) <= CHANNEL_TOP else None


def colour_in(text: str) -> int | None:
    """Returns the colour that a text is, as ``#rrggbb`` or as three or four channels, or None where it is none."""
    if match := _HEX_COLOUR.fullmatch(text.strip()):
        return int(match[1], 16)
    if match := _CHANNELS.fullmatch(text.strip()):
        return colour_of([int(channel) for channel in match.groups()])
    return None


def names_of(entries: Iterable[Entry], source: str) -> ClassNames:
    """Returns the names that a list gives: by colour, by value, or in order. Raises DataError where they cannot be
    names.

    A value or colour counts where every line has one. With colours, ``plain`` has the values for masks of one channel.
    """
    found = list(entries)
    if all(entry.colour is not None for entry in found):
        found = list(dict.fromkeys(found))
    numbered = tuple(
        sorted(
            (MINUS_ONE if entry.number == -1 else entry.number, entry.name)
            for entry in found
            if entry.number is not None
        )
    )
    coloured = tuple((entry.colour, entry.name) for entry in found if entry.colour is not None)
    has_numbers = bool(found) and len(numbered) == len(found)
    by_value = ClassNames(source, numbered=numbered, is_from_file=True) if has_numbers else None
    if found and len(coloured) == len(found):
        plain = checked(by_value) if by_value else None
        return checked(ClassNames(source, colours=coloured, is_from_file=True, plain=plain))
    return checked(by_value or ClassNames(source, ordered=tuple(entry.name for entry in found), is_from_file=True))
