"""Whether palettes stand for their indices or their colours, and what transparency stands for.

An index is the class as long as all palettes are the same and nothing contradicts: the standard palettes of PASCAL VOC
and of tools number their classes so. Palettes that a program made for each file by itself (quantised, optimised) number
colours in any order: there, the colour is the class. Everything is pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames, is_background
from segdrop.dataset.masks.mask_keys import COLOUR
from segdrop.dataset.masks.snapping import LEGEND_TOLERANCE, Snapper, key_text
from segdrop.dataset.masks.stored import TRANSPARENT, AlphaUse, Decoding, PaletteUse, Storage
from segdrop.errors import Issue

_BLACK = 0
#: channels up to here are black; channels that differ by no more are grey
_DARK, _GREY = 16, 4
#: palettes that differ have few colours all the same, if the colours are classes
_MOST_COLOURS = 64
_SHOWN = 4
_TRUE_COLOURS_BESIDE = "some masks have a palette and others true colours: all were read by their colours"
_GREYS_BESIDE = "some masks have a palette of greys and others grey values: all were read by their greys"
_OTHER_ORDER = (
    "the palettes have black behind another colour (index {shown}), as programs that reduce colours order them: "
    "colours were read, not indices"
)
_OPACITY = (
    "the colours of the masks say nothing, and their transparency does ({number} masks have transparent pixels): "
    "transparent is background, opaque is the object"
)
_CLEAR_IGNORED = (
    "{number} masks have transparent pixels, and black is a class beside them: transparent pixels are ignored"
)
_CLEAR_BACKGROUND = "{number} masks have transparent pixels: they are read as background, whatever the colour below"

_Palettes = tuple[PaletteUse, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Decision:
    """Tells how palettes and transparency are read, with the sentences that say so; or holds the fault that it is not
    clear.
    """

    decoding: Decoding | None
    said: tuple[str, ...] = ()
    fault: Issue | None = None


def judge(storage: Storage, names: ClassNames | None) -> Decision | None:
    """Decide how masks are to be read; None where they were read so already."""
    palettes = _palettes(storage, names)
    if isinstance(palettes, Issue):
        return Decision(None, fault=palettes)
    use, said = palettes
    alpha, words = _alpha(storage, names, use)
    unchanged = use is PaletteUse.LEGEND or storage.num_by_colour == (
        storage.num_palettes if use is PaletteUse.COLOUR else 0
    )
    if unchanged and alpha is AlphaUse.DROPPED:
        return None
    return Decision(Decoding(use, alpha), (*said, *words))


def _palettes(storage: Storage, names: ClassNames | None) -> _Palettes | Issue:
    """Returns what palettes are read as, and why; or the fault that it is not clear."""
    if not storage.num_palettes:
        return PaletteUse.LEGEND, ()
    if names is not None and names.numbered and names.is_requested:
        return PaletteUse.INDEX, ()
    if names is not None and names.colours:
        return _by_legend(storage, names)
    if differs := _differing(storage):
        return _by_differing(storage, differs)
    if storage.plain:
        return PaletteUse.COLOUR, (_TRUE_COLOURS_BESIDE,)
    return (PaletteUse.INDEX, ()) if storage.repeats_colours else _by_order(storage, names)


def _by_differing(storage: Storage, differs: str) -> _Palettes | Issue:
    """Returns colours where palettes differ, unless there are so many that they cannot be classes."""
    if (number := len(storage.colours)) > _MOST_COLOURS:
        return _unclear(storage, f"they have {number} colours in all, too many for classes; {differs}")
    said = f"the palettes differ from mask to mask ({differs}): colours were read, not indices"
    return PaletteUse.COLOUR, (said,)


def _by_legend(storage: Storage, names: ClassNames) -> _Palettes:
    """Returns colours where the legend has most of them, or palettes differ; else indices."""
    known = [COLOUR + colour for colour, _ in names.colours]
    near = Snapper(known, LEGEND_TOLERANCE)
    used = [colour for colour in storage.colours if colour != _BLACK]
    snapped = near.snap(np.asarray([COLOUR + colour for colour in used], np.int64)) if used else np.empty(0)
    matched = int(np.count_nonzero(snapped >= COLOUR))
    if (matched and 2 * matched >= len(used)) or _differing(storage):
        said = f"{matched} of {len(used)} colours of the palettes (black aside) are in {names.source}"
        return PaletteUse.COLOUR, (f"{said}: colours were read, not indices",)
    return PaletteUse.INDEX, ()


def _differing(storage: Storage) -> str:
    """Returns the first index that has several colours, in words, or "" where all palettes are the same."""
    for index, files in sorted(storage.palettes.items()):
        if len(files) > 1:
            shown = ", ".join(
                f"{_colour(colour)} in {count}"
                for colour, count in sorted(files.items(), key=lambda entry: -entry[1])[:_SHOWN]
            )
            return f"index {index} is {shown}{', …' if len(files) > _SHOWN else ''}"
    return ""


def _colour(colour: int) -> str:
    return "transparent" if colour == TRANSPARENT else key_text(COLOUR + colour)


def _by_order(storage: Storage, names: ClassNames | None) -> _Palettes | Issue:
    """Returns colours where all palettes order them in a way that no list of classes has, else indices."""
    colour_of = {index: next(iter(files)) for index, files in sorted(storage.palettes.items())}
    order = [colour for colour in colour_of.values() if colour != TRANSPARENT]
    is_grey = all(max(_parts(colour)) - min(_parts(colour)) <= _GREY for colour in order)
    if not _is_odd(colour_of, order, is_grey=is_grey):
        beside = storage.values - set(colour_of)
        if beside and is_grey and beside <= {colour & 0xFF for colour in order}:
            return PaletteUse.COLOUR, (_GREYS_BESIDE,)
        return PaletteUse.INDEX, ()
    shown = ", ".join(f"{index} is {_colour(colour)}" for index, colour in list(colour_of.items())[:_SHOWN])
    if is_grey or names is None:
        return PaletteUse.COLOUR, (_OTHER_ORDER.format(shown=shown),)
    if {value for value, _ in names.numbered} >= set(colour_of):
        return PaletteUse.INDEX, ()
    return _unclear(storage, f"black is not their first colour (index {shown}), and {names.source} has no colours")


def _is_odd(colour_of: Mapping[int, int], order: Sequence[int], *, is_grey: bool) -> bool:
    """Whether greys do not rise with the index, or black comes behind another colour."""
    if len(order) < 2:  # noqa: PLR2004  (nothing to order)
        return False
    if is_grey:
        return [colour & 0xFF for colour in order] != sorted(colour & 0xFF for colour in order)
    dark = [index for index, colour in colour_of.items() if colour != TRANSPARENT and max(_parts(colour)) <= _DARK]
    return bool(dark) and min(dark) != min(colour_of)


def _unclear(storage: Storage, why: str) -> Issue:
    """Returns the fault that only the request can settle."""
    index = min(storage.palettes)
    colour = next(iter(storage.palettes[index]))
    message = (
        f"{storage.num_palettes} masks have a palette, and whether its index or its colour is the class is not clear: "
        f"{why}"
    )
    fix = (
        f'Name the classes in the request, by index: "classes": {{"{index}": "a name", …}}, '
        f'or by colour: "classes": {{"{key_text(COLOUR + max(colour, 0))}": "a name", …}}.'
    )
    return Issue.of(Code.MASK_PALETTE_UNCLEAR, message, fix=fix)


def _parts(colour: int) -> Sequence[int]:
    return colour >> 16 & 0xFF, colour >> 8 & 0xFF, colour & 0xFF


def _alpha(storage: Storage, names: ClassNames | None, use: PaletteUse) -> tuple[AlphaUse, tuple[str, ...]]:
    """Returns what transparency is read as, and why."""
    palettes = storage.num_clear_palettes if use is PaletteUse.COLOUR else 0
    number = storage.num_clear + palettes
    if not number:
        return AlphaUse.DROPPED, ()
    below_black = storage.transparent <= {_BLACK} and storage.opaque != {_BLACK}
    if below_black or (not storage.opaque and len(storage.transparent) > 1):
        return AlphaUse.DROPPED, ()  # what lies below is black already, or all is transparent
    if len(storage.opaque) <= 1:
        return AlphaUse.VALUE, (_OPACITY.format(number=number),)
    black = next((name for colour, name in names.colours if colour == _BLACK), None) if names else None
    if storage.is_black_beside_clear or (black is not None and not is_background(black)):
        return AlphaUse.IGNORED, (_CLEAR_IGNORED.format(number=number),)
    return AlphaUse.BACKGROUND, (_CLEAR_BACKGROUND.format(number=number),)
