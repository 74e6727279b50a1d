"""Names of classes before they meet the masks: from labels.txt, an annotation file, or the request."""

import itertools
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.request import DatasetRequest

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
class ClassNames:
    """Class names in order, by mask value or by colour; ``source`` says where they stand.

    One of these three is given. The first of ``ordered`` may be the background or the first class after it.
    ``numbered`` has (value, name) and ``colours`` has (0xRRGGBB, name), each with the background. ``ignored`` are
    values that the layout itself defines as left out. With ``is_template``, nothing but the names of files and folders
    suggests these classes. ``plain`` has the names for masks of one channel, where a list with colours says more than
    their order. ``is_from_file`` marks a list beside the masks, which people write and which may therefore be one line
    off.
    """

    source: str
    ordered: tuple[str, ...] = ()
    numbered: tuple[tuple[int, str], ...] = ()
    colours: tuple[tuple[int, str], ...] = ()
    ignored: frozenset[int] = frozenset()
    is_requested: bool = False
    is_template: bool = False
    has_spare: bool = False  #: of a template's classes, those that do not occur are none of the dataset
    is_from_file: bool = False
    plain: "ClassNames | None" = None

    @property
    def listed(self) -> tuple[str, ...]:
        """All names, in order."""
        return (*self.ordered, *(name for _, name in (*self.numbered, *self.colours)))

    def __len__(self) -> int:
        return len(self.ordered) + len(self.numbered) + len(self.colours)


def decoded(content: bytes, source: str) -> str:
    """Returns the text of a small file that names classes. Raises DataError where it is no text."""
    try:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            return content.decode("utf-16")
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        message = f"{source} is not UTF-8 text: {error.reason}"
        raise DataError([Issue.of(Code.CLASSES_INVALID, message, files=[source])]) from error


def requested(request: DatasetRequest) -> ClassNames | None:
    """Returns the names that the request has, or None. Raises DataError where they cannot be names of classes."""
    if request.classes is None:
        return None
    source = "the request"
    if isinstance(request.classes, list):
        return checked(ClassNames(source, ordered=tuple(name.strip() for name in request.classes), is_requested=True))
    if request.classes and all(_HEX_COLOUR.fullmatch(key) for key in request.classes):
        found = ((int(key[1:], 16), name.strip()) for key, name in request.classes.items())
        return checked(ClassNames(source, colours=tuple(found), is_requested=True))
    try:
        numbered = sorted((int(number), name.strip()) for number, name in request.classes.items())
    except ValueError as error:
        message = (
            f"`classes` in the request maps mask values or colours (#ff0000) to names, and a key is neither ({error})"
        )
        raise DataError([Issue.of(Code.REQUEST_INVALID_VALUE, message)]) from error
    return checked(ClassNames(source, numbered=tuple(numbered), is_requested=True))


def numbers(names: Iterable[str]) -> dict[str, int]:
    """Returns values for the class names of drawn areas, in their order: 1, 2 and so on; a background's name has 0."""
    counter = itertools.count(1)
    return {name: 0 if is_background(name) else next(counter) for name in dict.fromkeys(names)}


def drawn(values: Mapping[str, int], source: str) -> ClassNames:
    """Returns the names of drawn areas by their values from :func:`numbers`: what no area covers is background."""
    background = next((name for name, value in values.items() if value == 0), "background")
    rest = sorted((value, name) for name, value in values.items() if value)
    return checked(ClassNames(source, numbered=((0, background), *rest)))


def checked(names: ClassNames) -> ClassNames:
    """Returns the names as they are. Raises DataError where they cannot be names of classes."""
    given = names.listed
    values = [value for value, _ in (*names.numbered, *names.colours)]
    problem = None
    if not given:
        problem = "names no class"
    elif len(given) > MAX_CLASSES + 1:
        problem = f"names {len(given)} classes; at most {MAX_CLASSES} are possible"
    elif repeated := sorted(name for name, count in Counter(given).items() if count > 1):
        problem = f"names a class twice: {', '.join(repeated[:5])}{_places(names, repeated[0])}"
    elif bad := [name for name in given if not name or len(name) > _MAX_NAME_CHARACTERS or not name.isprintable()]:
        problem = f"has a name that is empty, too long or not printable: {bad[0][:40]!r}"
    elif min(values, default=0) < 0:
        problem = "gives a negative value"
    elif shared := [value for value, count in Counter(values).items() if count > 1]:
        sharing = [name for value, name in (*names.numbered, *names.colours) if value == shared[0]]
        shown = f"colour #{shared[0]:06x}" if names.colours else f"value {shared[0]}"
        problem = f"gives {shown} twice: to {' and to '.join(repr(name) for name in sharing[:5])}"
    if problem:
        raise DataError([Issue.of(Code.CLASSES_INVALID, f"{names.source} {problem}", files=[names.source])])
    return names


def _places(names: ClassNames, name: str) -> str:
    """Returns the lines, values or colours at which a name stands, in words."""
    if names.ordered:
        found = [f"line {line}" for line, other in enumerate(names.ordered, 1) if other == name]
    else:
        found = [f"value {value}" for value, other in names.numbered if other == name]
        found += [f"colour #{colour:06x}" for colour, other in names.colours if other == name]
    return f" ({', '.join(found[:5])})"


def _word(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())


def is_background(name: str) -> bool:
    """Whether a class of this name is the background."""
    return _word(name) in _BACKGROUND_WORDS


def is_void(name: str) -> bool:
    """Whether a class of this name stands for pixels that are not labelled."""
    return _word(name) in _VOID_WORDS
