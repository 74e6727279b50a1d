"""How mask files store their values, and how they are to be read where that leaves a choice: palettes and transparency.

A palette stands for its indices or for its colours, and a transparent pixel for the colour below or for what lies
outside all objects. Which it is shows in all files together: facts are gathered file by file, and judged at the end.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

#: colours, indices and keys that are remembered, at most: more than this are no classes
_MOST_KEPT = 256
#: stands for a transparent entry of a palette in place of a colour
TRANSPARENT = -1
#: from this opacity on, a pixel is not transparent
OPAQUE = 128


class PaletteUse(StrEnum):
    """Tells what an index of a palette is read as."""

    LEGEND = "legend"  #: a colour where all that are in use in the file are the legend's, else the index
    INDEX = "index"
    COLOUR = "colour"


class AlphaUse(StrEnum):
    """Tells what transparency is read as."""

    DROPPED = "dropped"  #: nothing: the colour below counts
    VALUE = "value"  #: the value of a pixel is its opacity
    BACKGROUND = "background"  #: transparent pixels are background
    IGNORED = "ignored"  #: transparent pixels are left out


@dataclass(frozen=True, slots=True)
class Decoding:
    """Tells how mask files are read where their format leaves a choice."""

    palettes: PaletteUse = PaletteUse.LEGEND
    alpha: AlphaUse = AlphaUse.DROPPED


@dataclass(frozen=True, slots=True)
class FileFacts:
    """Tells what one mask file shows of how it stores values.

    ``palette`` has the colour of each index in use, or is None for a file without a palette. ``opaque`` and
    ``transparent`` have the colours or values of pixels by their opacity, and are None in a file that is all opaque.
    """

    palette: Mapping[int, int] | None = None
    is_by_colour: bool = False
    opaque: frozenset[int] | None = None
    transparent: frozenset[int] | None = None


@dataclass(slots=True)
class Storage:
    """Tells what all mask files show of how they store values. Its size does not grow with their number."""

    palettes: dict[int, dict[int, int]] = field(default_factory=dict)  #: files by index and colour
    num_palettes: int = 0  #: files whose palette says more than the index does
    num_by_colour: int = 0  #: of these, the files that were read by colour
    repeats_colours: bool = False  #: whether a file has one colour under two indices
    plain: set[int] = field(default_factory=set)  #: colours of true-colour files
    values: set[int] = field(default_factory=set)  #: values of grey files
    opaque: set[int] = field(default_factory=set)
    transparent: set[int] = field(default_factory=set)
    num_clear: int = 0  #: files with transparent pixels, by an alpha channel
    num_clear_palettes: int = 0  #: files with transparent pixels, by their palette
    is_black_beside_clear: bool = False  #: whether a file has opaque black and transparent pixels

    def add(self, facts: FileFacts, values: Sequence[int], *, is_colour: bool) -> None:
        """Note what a file shows; ``values`` are the colours or values that it was read as."""
        if facts.palette is not None and not _says_nothing(facts.palette):
            self._add_palette(facts.palette)
            self.num_by_colour += facts.is_by_colour
        else:
            _keep(self.plain if is_colour else self.values, values)
        if facts.transparent is None or facts.opaque is None:
            _keep(self.opaque, values if facts.palette is None else facts.palette.values())
            return
        self.num_clear += facts.palette is None
        self.num_clear_palettes += facts.palette is not None
        self.is_black_beside_clear |= 0 in facts.opaque
        _keep(self.opaque, facts.opaque)
        _keep(self.transparent, facts.transparent)

    def _add_palette(self, palette: Mapping[int, int]) -> None:
        self.num_palettes += 1
        self.repeats_colours |= len(set(palette.values())) < len(palette)
        for index, colour in palette.items():
            files = self.palettes.setdefault(index, {})
            if colour in files or len(files) < _MOST_KEPT:
                files[colour] = files.get(colour, 0) + 1

    @property
    def colours(self) -> set[int]:
        """The colours (0xRRGGBB) of all palettes, without transparent entries."""
        return {colour for files in self.palettes.values() for colour in files} - {TRANSPARENT}


def _says_nothing(palette: Mapping[int, int]) -> bool:
    """Whether every index has the grey of its own number, as a grey image made into one with a palette has."""
    return all(colour == index * 0x010101 for index, colour in palette.items())


def _keep(kept: set[int], values: Iterable[int]) -> None:
    if len(kept) < _MOST_KEPT:
        kept.update(values)
