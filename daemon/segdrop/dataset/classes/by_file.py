"""What the sets of values of single masks say that the values of all masks together do not.

Masks of 0 and 1 among masks of 0 and 255, a few pixels of a value that nothing else has, numbers of objects where
classes are expected, and numbers that stand in one channel of a colour image. Everything is pure: counts in, decision
out. A key that is replaced here is read as what it is replaced by, before anything else is decided.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import channels
from segdrop.dataset.classes.mask_sets import Masks
from segdrop.dataset.masks.mask_keys import BETWEEN, COLOUR
from segdrop.dataset.masks.snapping import key_text
from segdrop.errors import Issue
from segdrop.request import DatasetRequest

_TWO = 2
#: levels that people see differ by this at least
_LEAST_LEVEL = 40
_WHITE = 255
#: what people write for "object" in a mask of two values
_OBJECT_VALUES = frozenset({1, 100, 127, 128, 200, 254, _WHITE})
#: a value is stray with at most this share of all pixels, this share of the masks, and pixels in each of these
_STRAY_SHARE, _STRAY_FILES, _STRAY_PIXELS = 1e-4, 0.1, 20
_LEAST_FILES_FOR_STRAYS, _MOST_STRAYS = 4, 8
#: from so many different numbers of objects on, in so many masks, the values number objects
_LEAST_COUNTS, _FEW_COUNTS, _LEAST_NUMBERED = 4, 3, 4
#: so many values that occur in one mask only, and this share of all, are no classes
_LEAST_ALONE, _ALONE_SHARE = 8, 0.8
_SHOWN = 6
#: the colour of borders in PASCAL VOC, and the largest share of pixels that borders have
_BORDER, _MOST_BORDER = COLOUR + 0xE0E0C0, 0.2
_COLOURED_WHITE = COLOUR + 0xFFFFFF


@dataclass(frozen=True, slots=True)
class ByFile:
    """Tells what keys are replaced by before classes are read, and what is to be said of it."""

    replacements: dict[int, int] = field(default_factory=dict)
    assumptions: tuple[str, ...] = ()
    issues: tuple[Issue, ...] = ()


def judge(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ByFile:
    """Decide which keys are replaced. Later decisions see what the earlier ones replaced."""
    found = ByFile()
    for decide in (_border, _one_channel, _strays, _objects, _coloured_objects, _two_scales, _stretched):
        seen = masks.replaced(found.replacements)
        found = _joined(found, decide(seen, names, request), masks.pixels)
    return found


def _joined(first: ByFile, then: ByFile, keys: Iterable[int]) -> ByFile:
    """Returns two decisions as one."""
    both = {key: first.replacements.get(key, key) for key in keys}
    both = {key: then.replacements.get(value, value) for key, value in both.items()}
    return ByFile(
        {key: value for key, value in both.items() if key != value},
        (*first.assumptions, *then.assumptions),
        (*first.issues, *then.issues),
    )


def _border(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ByFile:
    """The colour of borders in PASCAL VOC, where a legend has the colours of the classes alone."""
    is_missing = names is not None and bool(names.colours) and _BORDER - COLOUR not in dict(names.colours)
    pixels = masks.pixels.get(_BORDER, 0)
    if names is None or not is_missing or request.ignore_index != "auto" or not pixels:
        return ByFile()
    if pixels > _MOST_BORDER * sum(masks.pixels.values()):
        return ByFile()
    said = (
        f"{key_text(_BORDER)} (224, 224, 192), the border of objects in PASCAL VOC, is not in {names.source}: ignored"
    )
    return ByFile({_BORDER: BETWEEN}, (said,))


def _one_channel(masks: Masks, names: ClassNames | None, _: DatasetRequest) -> ByFile:
    """Numbers of classes in one channel of a colour image."""
    legend = [colour for colour, _ in names.colours] if names else []
    found = channels.numbers(masks.values(masks.pixels), legend)
    if found is None:
        return ByFile()
    top = max(found.values.values())
    said = (
        f"the masks are colour images whose {found.name} channel alone varies, from 0 to {top}: "
        f"the numbers in the {found.name} channel are the classes"
    )
    return ByFile(found.values, (said,))


def _strays(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ByFile:
    """A few pixels in a few masks of values that have no name: a slip of the brush, and no class."""
    number = masks.count
    total = sum(masks.pixels.values())
    values = sorted(masks.values(masks.pixels))
    if number < _LEAST_FILES_FOR_STRAYS or request.unknown_values == "ignore":
        return ByFile()
    strays = [
        key
        for key in values
        if not _is_named(key, names, request)
        and masks.pixels[key] <= min(_STRAY_SHARE * total, _STRAY_PIXELS * masks.files(key))
        and masks.files(key) <= max(1, _STRAY_FILES * number)
    ]
    if not strays or len(strays) > _MOST_STRAYS or len(values) - len(strays) < _TWO:
        return ByFile()
    shown = ", ".join(f"{key_text(key)} ({masks.pixels[key]} pixels in {masks.files(key)} masks)" for key in strays)
    message = f"values of hardly any pixel are left out, and do not count as classes: {shown}, of {number} masks"
    return ByFile(dict.fromkeys(strays, BETWEEN), (), (Issue.of(Code.MASK_STRAY_VALUES, message, count=len(strays)),))


def _is_named(key: int, names: ClassNames | None, request: DatasetRequest) -> bool:
    """Whether a key has a name or a meaning of its own, however few its pixels are."""
    if key in (0, COLOUR, _WHITE, request.ignore_index):
        return True
    if names is None:
        return False
    if key >= COLOUR:
        return any(key - COLOUR == colour for colour, _ in names.colours)
    return key in dict(names.numbered) or key in names.ignored or bool(names.ordered and key <= len(names.ordered))


def _objects(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ByFile:
    """Values that number the objects of each image."""
    if request.class_map is not None or not may_be_one_class(names):
        return ByFile()
    sets = {masks.values(held) - {0}: count for held, count in masks.sets.items()}
    filled = {held: count for held, count in sets.items() if held}
    values = sorted(masks.values(masks.pixels))
    if sum(filled.values()) < _LEAST_NUMBERED or 0 not in values or values[-1] >= BETWEEN:
        return ByFile()
    counts = {len(held) for held in filled}
    runs = all(max(held) == len(held) for held in filled) and len(counts) >= _FEW_COUNTS
    alone = _alone(masks, values)
    if runs and not are_numbers(counts):
        return ByFile({}, (), (_maybe_objects(filled, counts),)) if names is None else ByFile()
    if runs:
        how = running(counts)
    elif alone and max(counts) > 1:
        how = f"are hardly ever those of another mask ({alone} of {len(values) - 1} occur in one mask only)"
    else:
        return ByFile()
    issue = numbered_objects(sum(filled.values()), how, values)
    return ByFile({value: 1 for value in values if value > 1}, (), (issue,))


def _alone(masks: Masks, values: Sequence[int]) -> int:
    """Returns how many values, the first aside, occur in one mask only, if nearly all do; else 0."""
    alone = [value for value in values[1:] if masks.files(value) == 1]
    pixels, of = (sum(masks.pixels[value] for value in some) for some in (alone, values[1:]))
    are_most = len(alone) >= max(_LEAST_ALONE, _ALONE_SHARE * (len(values) - 1)) and 2 * pixels >= of
    return len(alone) if are_most else 0


def _coloured_objects(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ByFile:
    """Colours that hardly any other mask has, on black: each object in a colour of its own."""
    if request.class_map is not None or not may_be_one_class(names):
        return ByFile()
    values = sorted(masks.values(masks.pixels))
    alone = _alone(masks, values)
    if values[0] != COLOUR or masks.count < _LEAST_NUMBERED or not alone:
        return ByFile()
    how = f"are colours that are hardly ever in another mask ({alone} of {len(values) - 1} occur in one mask only)"
    fix = 'If the colours are classes, name them in the request: "classes": {"#000000": "background", "#…": "…"}.'
    issue = replace(numbered_objects(masks.count, how, values), fix=fix)
    return ByFile(dict.fromkeys(values[1:], _COLOURED_WHITE), (), (issue,))


def are_numbers(counts: Collection[int]) -> bool:
    """Whether values that run from 1 to n in each mask, for these different n, number objects."""
    return len(counts) >= _LEAST_COUNTS


def running(counts: Collection[int]) -> str:
    """Returns how the values of masks run, in words."""
    return f"run from 1 to n without a gap, and n differs ({min(counts)} to {max(counts)})"


def numbered_objects(number: int, how: str, values: Sequence[int]) -> Issue:
    """Returns the warning about values that number objects, and are read as one class."""
    message = (
        f"in each of {number} masks the values {how}: they are read as instance ids, the numbers of single objects of "
        "one class; 0 is the background, all other values are the foreground"
    )
    return Issue.of(Code.MASK_INSTANCE_IDS, message, fix=f"If the values are classes, {_name_all(values)}")


def _maybe_objects(filled: Mapping[frozenset[int], int], counts: set[int]) -> Issue:
    """Returns the doubt about values that may number objects, and are read as classes."""
    top = max(counts)
    message = (
        f"in each of {sum(filled.values())} masks the values run from 1 to n without a gap, and n is "
        f"{', '.join(map(str, sorted(counts)))}: they were read as classes, and may be instance ids, the numbers of "
        "single objects of one class"
    )
    merged = ", ".join(f'"class_{value}": "object"' for value in range(1, top + 1))
    fix = (
        f'If they number objects, set "class_map": {{{merged}}} in the request; '
        f"if they are classes, {_name_all(range(top + 1))}"
    )
    return Issue.of(Code.MASK_INSTANCE_IDS, message, fix=fix)


def _name_all(values: Sequence[int]) -> str:
    """Returns the advice to name values as classes, with the line for the request."""
    shown = ", ".join(f'"{value}": "class_{value}"' for value in values[: _SHOWN + 1])
    return f'name them in the request: "classes": {{{shown}{", …" if len(values) > _SHOWN + 1 else ""}}}.'


def may_be_one_class(names: ClassNames | None) -> bool:
    """Whether nothing names more classes than a background and an object."""
    return names is None or (bool(names.ordered) and len(names) <= _TWO and not names.is_requested)


def _two_scales(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ByFile:
    """Masks of two values each whose second differs from mask to mask: 1 in some, 255 in others."""
    if not _may_be_binary(names, request):
        return ByFile()
    values = masks.values(masks.pixels)
    seconds = sorted(values - {0})
    if len(seconds) < _TWO or 0 not in values or not _OBJECT_VALUES.issuperset(seconds):
        return ByFile()
    if any(len(masks.values(held) - {0}) > 1 for held in masks.sets):
        return ByFile()
    if not all(any({0, value} <= held for held in masks.sets) for value in seconds):
        return ByFile()
    shown = " and ".join(f"0 and {value} in {masks.files(value)} of them" for value in seconds)
    message = (
        f"the masks differ in how they write the object: {shown}, and no mask has two of these values; "
        "each was read as background (0) and foreground (the other value)"
    )
    fix = f"If these values are different classes, {_name_all([0, *seconds])}"
    fix += ' If 255 is no class, set "ignore_index": 255.' if _WHITE in seconds else ""
    issue = Issue.of(Code.MASK_MIXED_SCALES, message, fix=fix)
    return ByFile(dict.fromkeys(seconds[:-1], seconds[-1]), (), (issue,))


def _stretched(masks: Masks, names: ClassNames | None, request: DatasetRequest) -> ByFile:
    """Masks of 1 to n among masks of as many grey levels, which were stretched so that people see them."""
    seconds = sorted(masks.values(masks.pixels) - {0})
    number = len(seconds) // 2
    small, large = seconds[:number], seconds[number:]
    if number < _TWO or small != list(range(1, number + 1)) or len(large) != number or large[0] < _LEAST_LEVEL:
        return ByFile()
    step = large[-1] / number
    are_levels = all(abs(level - rank * step) <= 1 for rank, level in enumerate(large, 1))
    mixed = any(held & set(small) and held & set(large) for held in masks.sets)
    fits = names is None or (bool(names.ordered) and len(names) in (number, number + 1))
    if not are_levels or mixed or not fits or isinstance(request.ignore_index, int):
        return ByFile()
    message = (
        f"some masks have the values 1 to {number}, others the grey levels {', '.join(map(str, large))}, and none has "
        "values of both: the levels were read as the same classes in this order"
    )
    fix = f"If these values are different classes, {_name_all([0, *seconds])}"
    return ByFile(dict(zip(large, small, strict=True)), (), (Issue.of(Code.MASK_MIXED_SCALES, message, fix=fix),))


def _may_be_binary(names: ClassNames | None, request: DatasetRequest) -> bool:
    """Whether nothing says that there are more classes than two, or what a single value means."""
    if isinstance(request.ignore_index, int):
        return False
    return names is None or (bool(names.ordered) and len(names) <= _TWO)
