"""Numbers of classes that stand in one channel of a colour image, as CARLA's cameras write them into red."""

from collections.abc import Collection
from dataclasses import dataclass

from segdrop.dataset.masks.mask_keys import COLOUR

_SHIFTS = {"red": 16, "green": 8, "blue": 0}
_IGNORE = 255
#: colours that people choose, PASCAL VOC's among them, differ by this at least; numbers of classes are smaller
_LEAST_SHADE = 64


@dataclass(frozen=True, slots=True)
class Channel:
    """The channel that varies, by its name, and the number in it for each key that has a colour."""

    name: str
    values: dict[int, int]


def numbers(keys: Collection[int], legend: Collection[int]) -> Channel | None:
    """Returns the one channel that varies, if the numbers in it are small, or None.

    ``legend`` has the colours (0xRRGGBB) that are known: where the masks have one of them, black aside, they are
    colours.
    """
    colours = [key - COLOUR for key in keys if key >= COLOUR]
    if len(colours) < 2 or any(colour and colour in legend for colour in colours):  # noqa: PLR2004  (nothing varies)
        return None
    varying = [name for name, shift in _SHIFTS.items() if len({colour >> shift & 0xFF for colour in colours}) > 1]
    if len(varying) != 1:
        return None
    shift = _SHIFTS[varying[0]]
    values = {COLOUR + colour: colour >> shift & 0xFF for colour in colours}
    ids = sorted({*values.values(), *(key for key in keys if key < COLOUR)} - {_IGNORE})
    if len(ids) < 2 or ids[-1] >= max(_LEAST_SHADE, 2 * len(ids)):  # noqa: PLR2004
        return None
    return Channel(varying[0], values)
