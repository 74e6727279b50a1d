"""Names of classes before they meet the masks: from labels.txt, an annotation file, or the request."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segdrop.errors import DataError, Issue
from segdrop.request import Request

MAX_CLASSES = 254
_MAX_NAME_CHARACTERS = 200
_HEX_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
_BACKGROUND_WORDS = frozenset({"background", "bg", "backgrnd", "none", "nothing", "hintergrund"})
_VOID_WORDS = frozenset(
    {
        *("void", "ignore", "ignored", "ignoreregion", "unlabelled", "unlabeled", "unlabel", "unannotated"),
        *("dontcare", "donotcare", "undefined", "outofroi"),
    }
)


@dataclass(frozen=True, slots=True)
class Names:
    """Class names in order, or by mask value; ``source`` is where they stand.

    ``ordered``: the first may be the background or the first class after it. ``numbered``: (value, name), background
    included. ``colours``: (0xRRGGBB, name) of a legend, background included. ``ignored``: values that the layout
    itself defines as left out. At most one of the first three.
    """

    source: str
    ordered: tuple[str, ...] = ()
    numbered: tuple[tuple[int, str], ...] = ()
    colours: tuple[tuple[int, str], ...] = ()
    ignored: frozenset[int] = frozenset()
    is_requested: bool = False

    @property
    def listed(self) -> tuple[str, ...]:
        """All names, in order."""
        return (*self.ordered, *(name for _, name in (*self.numbered, *self.colours)))

    def __len__(self) -> int:
        return len(self.ordered) + len(self.numbered) + len(self.colours)


def parse_labels(content: bytes, source: str) -> Names:
    """Names from labels.txt: one a line, blank lines skipped; UTF-8 or, with its mark, UTF-16."""
    names = [line.strip() for line in re.split(r"\r\n|\r|\n", decoded(content, source))]
    return checked(Names(source, ordered=tuple(name for name in names if name)))


def decoded(content: bytes, source: str) -> str:
    """Text of a small file that names classes; ``DataError`` if it is none."""
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{source} is not UTF-8 text: {error.reason}"
        raise DataError([Issue.of("classes.invalid", message, files=[source])]) from error


def requested(request: Request) -> Names | None:
    """Names from the request, where it has any."""
    if request.classes is None:
        return None
    source = "the request"
    if isinstance(request.classes, list):
        return checked(Names(source, ordered=tuple(name.strip() for name in request.classes), is_requested=True))
    if request.classes and all(_HEX_COLOUR.fullmatch(key) for key in request.classes):
        found = ((int(key[1:], 16), name.strip()) for key, name in request.classes.items())
        return checked(Names(source, colours=tuple(found), is_requested=True))
    try:
        numbered = sorted((int(number), name.strip()) for number, name in request.classes.items())
    except ValueError as error:
        message = (
            f"`classes` in the request maps mask values or colours (#ff0000) to names, and a key is neither ({error})"
        )
        raise DataError([Issue.of("request.invalid_value", message)]) from error
    return checked(Names(source, numbered=tuple(numbered), is_requested=True))


def numbers(names: Iterable[str]) -> dict[str, int]:
    """Values for the class names of drawn areas, in this order: 1, 2, …; a background's name has 0."""
    values: dict[str, int] = {}
    for name in dict.fromkeys(names):
        values[name] = 0 if is_background(name) else 1 + sum(value > 0 for value in values.values())
    return values


def drawn(values: Mapping[str, int], source: str) -> Names:
    """The names of drawn areas, from :func:`numbers`: what no area covers is background."""
    background = next((name for name, value in values.items() if value == 0), "background")
    rest = sorted((value, name) for name, value in values.items() if value)
    return checked(Names(source, numbered=((0, background), *rest)))


def checked(names: Names) -> Names:
    """The same, or ``DataError`` where they cannot be names of classes."""
    given = names.listed
    values = [value for value, _ in (*names.numbered, *names.colours)]
    problem = None
    if not given:
        problem = "names no class"
    elif len(given) > MAX_CLASSES + 1:
        problem = f"names {len(given)} classes; at most {MAX_CLASSES} are possible"
    elif repeated := sorted({name for name in given if given.count(name) > 1}):
        problem = f"names a class twice: {', '.join(repeated[:5])}"
    elif bad := [name for name in given if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable()]:
        problem = f"has a name that is empty, too long or not printable: {bad[0][:40]!r}"
    elif len(set(values)) < len(values) or min(values, default=0) < 0:
        problem = "gives a value or colour twice, or a negative value"
    if problem:
        raise DataError([Issue.of("classes.invalid", f"{names.source} {problem}", files=[names.source])])
    return names


def _word(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())


def is_background(name: str) -> bool:
    return _word(name) in _BACKGROUND_WORDS


def is_void(name: str) -> bool:
    """Whether a class of this name stands for pixels that nobody labelled."""
    return _word(name) in _VOID_WORDS
