"""Which mask value the first line of a list of classes is: 0, 1, or none, and whether that may be one line off.

A list that fits the values in one way only is read in that way. Where it fits in two, the values themselves are asked:
a background is in nearly every mask and covers more than any class. What that does not exclude is a doubt, which is
said with both readings. Everything is pure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from segdrop.codes import Code, Severity
from segdrop.dataset.class_names import is_background, is_void
from segdrop.errors import Issue

_LEAST_FILES, _LEAST_PIXELS = 0.9, 0.4
_CLASS_FILES, _CLASS_PIXELS = 0.75, 0.25
_FAR_LESS = 3
#: so many names, all of whose values occur in several masks: that the last class alone is absent is no likely story
_MANY, _SEVERAL = 10, 3
_SHOWN = 4
_LABELME_IGNORED = "__ignore__"
#: what may fill pictures, so that a value that does need not be a background
_SURFACES = frozenset(
    {
        *("road", "street", "sky", "gras", "grass", "soil", "ground", "water", "land", "terrain", "wall", "floor"),
        *("vegetation", "forest", "tree", "building", "sand", "snow", "field", "crop", "other", "normal", "sea"),
        *("healthy", "tissue", "skin", "membrane", "surface", "urban", "clutter", "asphalt", "concrete", "plant"),
        *("pavement", "rock", "ice", "cloud", "stroma", "residential", "agriculture", "agricultural", "matrix"),
    }
)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """Tells how often each value occurs: its pixels, and the masks that hold it. Ignored values are not among them."""

    pixels: Mapping[int, int] = field(default_factory=dict)
    files: Mapping[int, int] = field(default_factory=dict)
    num_files: int = 0

    def share(self, value: int) -> float:
        """Returns the value's share of all pixels."""
        return self.pixels.get(value, 0) / (sum(self.pixels.values()) or 1)

    def is_like_background(self, value: int) -> bool:
        """Whether a value is in nearly every mask and covers more than any other."""
        return (
            self.files.get(value, 0) >= _LEAST_FILES * self.num_files > 0
            and self.share(value) >= _LEAST_PIXELS
            and self.pixels[value] == max(self.pixels.values())
        )

    def is_like_class(self, value: int) -> bool:
        """Whether a value is unlike a background: missing in many masks, or covering less than others do."""
        if not self.pixels.get(value):
            return False
        is_rare = self.files.get(value, 0) < _CLASS_FILES * self.num_files
        return is_rare or (self.share(value) < _CLASS_PIXELS and self.pixels[value] < max(self.pixels.values()))

    def is_rarer(self, value: int, other: int) -> bool:
        """Whether a value covers far less than another, in no more masks."""
        is_small = self.pixels.get(value, 0) * _FAR_LESS <= self.pixels.get(other, 0)
        return is_small and self.files.get(value, 0) <= self.files.get(other, 0)


class Doubt(Enum):
    """Tells how sure it is which value the first line is."""

    NONE = auto()
    SOME = auto()  #: the other reading is possible: a warning
    DEEP = auto()  #: neither is likelier: a fault


@dataclass(frozen=True, slots=True)
class Place:
    """The value of the first line, why it is that one, and the other that it may be."""

    first: int
    reason: str
    other: int | None = None
    doubt: Doubt = Doubt.NONE


def place(
    names: Sequence[str], values: Sequence[int], top: int, seen: Occurrence | None, *, is_exact: bool, has_void: bool
) -> Place:
    """Decide which value the first line is.

    ``values`` are those that occur and are not ignored, ``top`` the largest that may have a line. With ``is_exact``,
    values were made for so many classes as there are, as grey levels are; with ``has_void``, 255 occurs and is ignored.
    """
    if has_void and top < len(names) - 1 and is_void(names[-1]):
        names = names[:-1]  # its value is 255
    if is_void(names[0]) and top <= len(names) - 2 and (found := _after_ignored(names, values, top, has_void=has_void)):
        return found
    if is_background(names[0]) or is_void(names[0]):
        found = _from_special(names, values, top, seen)
    else:
        found = _from_class(names, values, top, seen)
    is_like_background = seen is not None and seen.is_like_background(0) and not is_background(names[0])
    is_settled = is_exact and found.doubt is Doubt.SOME and not is_like_background
    return Place(found.first, found.reason) if is_settled else found


def _after_ignored(names: Sequence[str], values: Sequence[int], top: int, *, has_void: bool) -> Place | None:
    """LabelMe's lists begin with what is ignored, value -1 (which is stored as 255), and the background, value 0."""
    is_background_next = is_background(names[1])
    if is_background_next and names[0].strip().casefold() == _LABELME_IGNORED:
        return Place(-1, "what is ignored has no value, and the background is 0, as LabelMe has it")
    if has_void and 0 in values and (is_background_next or top == len(names) - 2):
        return Place(-1, "what is ignored is value 255, and each other line has a value from 0 on", 0, Doubt.SOME)
    return Place(0, "it names what is ignored", -1, Doubt.SOME) if is_background_next else None


def _from_special(names: Sequence[str], values: Sequence[int], top: int, seen: Occurrence | None) -> Place:
    """Decide for a list that begins with the background, or with what is ignored: line 1 is value 0 where that fits."""
    said = "it names the background" if is_background(names[0]) else "it names what is ignored"
    if top < len(names):
        is_shifted = 0 not in values and seen is not None and seen.is_like_background(1) and is_background(names[0])
        return Place(0, said, 1, Doubt.SOME) if is_shifted else Place(0, said)
    if top > len(names):
        return Place(0, said)
    if 0 not in values:
        return Place(1, f"the values are 1 to {top}, one for each line")
    if seen is None or not is_background(names[0]):
        return Place(0, said)
    reason = f"there is a line for each of the values 1 to {top}, and value 0 is far rarer than value 1"
    return Place(1, reason, 0, Doubt.SOME) if seen.is_rarer(0, 1) else Place(0, said, 1, Doubt.DEEP)


def _from_class(names: Sequence[str], values: Sequence[int], top: int, seen: Occurrence | None) -> Place:
    """Decide for a list that begins with a class: value 0 may be that class, or a background that has no line."""
    last = len(names) - 1
    if top == last:
        is_likely = seen is None or 0 not in values or seen.is_like_background(0)
        doubt = Doubt.SOME if is_likely and not _all_occur(names, seen) else Doubt.NONE
        return Place(0, f"it has one line per value 0..{last}", 1, doubt)
    background = "value 0 is the background"
    if top > last:
        is_short = top == last + 1 and 0 in values and seen is not None and seen.is_like_class(0)
        return Place(1, background, 0, Doubt.SOME if is_short else Doubt.NONE)
    if seen is None:
        return Place(1, background)
    if seen.is_like_class(0):
        return Place(0, "value 0 covers too little for a background", 1, Doubt.SOME)
    is_sure = seen.is_like_background(0) and not _is_surface(names[0])
    return Place(1, background, 0, Doubt.NONE if is_sure else Doubt.SOME)


def _is_surface(name: str) -> bool:
    """Whether a class may fill most of the pictures, by the ends of its words: "cropland", "road surface"."""
    words = "".join(letter if letter.isalpha() else " " for letter in name.casefold()).split()
    return any(word.removesuffix("s").endswith(surface) for word in words for surface in _SURFACES)


def _all_occur(names: Sequence[str], seen: Occurrence | None) -> bool:
    """Whether there are many lines, and all their values from 0 on occur in several masks."""
    return (
        seen is not None
        and len(names) >= _MANY
        and all(seen.files.get(value, 0) >= min(_SEVERAL, seen.num_files) for value in range(len(names)))
    )


def issue(
    found: Place, names: Sequence[str], source: str, values: Sequence[int], seen: Occurrence | None, what: str = "value"
) -> Issue:
    """Returns the issue for a doubt: both readings of the values that cover most, and what to put into the request.

    ``what`` is the word for a value: "grey level" where values number those.
    """
    is_usual = found.first == 0 and found.other == 1 and found.doubt is Doubt.SOME
    is_counted = is_usual and len(names) == max(values, default=0) + 1
    code = Code.CLASSES_BACKGROUND_ASSUMED if is_counted else Code.CLASSES_SHIFTED
    other = 1 - found.first if found.other is None else found.other
    has = f"{source} has {len(names)} names, and the masks hold {_span(values, what)}"
    one_way, other_way = _value(found.first, what), _value(other, what)
    read = f"line 1 ({names[0]}) was read as {one_way}, because {found.reason}; it may be {other_way}"
    readings = Readings("as read", dict(enumerate(names, found.first)), "by the other", dict(enumerate(names, other)))
    if found.doubt is Doubt.DEEP:
        read = f"line 1 ({names[0]}) may be {one_way} or {other_way}, and nothing says which"
        readings = replace(readings, one=f"with line 1 as {one_way}", other=f"as {other_way}")
    shown = readings.compared(values, seen, what)
    return Issue.of(
        code,
        f"{has}: {read}. {shown}; `labels_include_background` in the request settles it",
        files=[source],
        severity=Severity.FAULT if found.doubt is Doubt.DEEP else Severity.WARNING,
        fix=_fix(found, other),
    )


def _fix(found: Place, other: int) -> str:
    """Returns what to put into the request for each reading."""
    lines = {
        0: '`"labels_include_background": true` if line 1 is value 0',
        1: '`"labels_include_background": false` if line 1 is value 1 (with `"ignore_index": 0` if value 0 is no data)',
        -1: "the names by their values (`classes`) if line 2 is value 0",
    }
    wanted = [found.first, other] if found.doubt is Doubt.DEEP else [other, found.first]
    return f"Put into the request: {'; or '.join(lines[first] for first in wanted)}."


def _value(first: int, what: str) -> str:
    return f"{what} {first}" if first >= 0 else f"no {what}"


def _span(values: Sequence[int], what: str) -> str:
    shown = ", ".join(map(str, values[:_SHOWN]))
    if len(values) <= _SHOWN:
        return f"the {what}s {shown}"
    return f"{len(values)} {what}s from {values[0]} to {values[-1]}"


@dataclass(frozen=True, slots=True)
class Readings:
    """Two readings of a list: how each is called, and the names that it gives to values."""

    one: str
    names: Mapping[int, str]
    other: str
    other_names: Mapping[int, str]

    def compared(self, values: Sequence[int], seen: Occurrence | None, what: str = "value") -> str:
        """Returns what the values that cover most are called in both, with their shares of the pixels."""
        order = sorted(values, key=lambda value: (-(seen.pixels.get(value, 0) if seen else 0), value))
        return "; ".join(
            f"{what} {value}{f' ({seen.share(value):.1%} of the pixels)' if seen else ''} is "
            f"{_named(self.names, value)} {self.one}, {_named(self.other_names, value)} {self.other}"
            for value in order[:_SHOWN]
        )


def _named(names: Mapping[int, str], value: int) -> str:
    if value in names:
        return f"'{names[value]}'"
    return (
        "the background, which has no line"
        if value == 0 and not any(map(is_background, names.values()))
        else ("left out" if value == 0 else "without a name")
    )
