"""Files that name classes, with or without their colours or values: what tools write beside masks.

``labels.txt``, ``classes.txt`` (a name a line), the same with a colour before or after each name (CamVid's
``label_colors.txt``), ``labelmap.txt`` (CVAT, ``name:r,g,b:parts:actions``), ``class_dict.csv`` (``name,r,g,b``) and
``_classes.csv`` (Roboflow, ``value, name``).
"""

import csv
import re

from segdrop.dataset.names import Names, checked, decoded, parse_labels
from segdrop.dataset.source import MemberError
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

#: lower-case names, the surest first: those with colours or values say more
FILE_NAMES = (
    "labelmap.txt",
    "label_colors.txt",
    "label_colours.txt",
    "class_dict.csv",
    "class_dict_seg.csv",
    "_classes.csv",
    "labels.txt",
    "classes.txt",
    "class_names.txt",
    "label_names.txt",
)
_MAX_BYTES = 1 << 20
_COLOUR = r"(\d{1,3})[\s,;]+(\d{1,3})[\s,;]+(\d{1,3})"
_COLOUR_FIRST = re.compile(rf"^{_COLOUR}[\s,;:]+(\S.*?)$")
_COLOUR_LAST = re.compile(rf"^(\S.*?)[\s,;:]+{_COLOUR}$")
_LABELMAP = re.compile(rf"^([^:]+):{_COLOUR}:[^:]*:[^:]*$")
_CHANNEL_TOP = 255
_MOST_DIGITS = 5  #: of a mask's value


def rank(path: str) -> tuple[int, int] | None:
    """How much a file with this path is wanted to name the classes, less is more; ``None``: not at all."""
    folder, _, name = path.casefold().rpartition("/")
    return (FILE_NAMES.index(name), folder.count("/") + bool(folder)) if name in FILE_NAMES else None


def find(tree: Tree) -> list[int]:
    """Members that name classes, the most wanted first."""
    ranked = ((found, path, member) for member, path in tree if (found := rank(path)) is not None)
    return [member for *_, member in sorted(ranked)]


def read(tree: Tree, member: int) -> tuple[Names | None, list[Issue]]:
    """The names in a file, or the issue that says why they cannot be used."""
    source = tree.names[member]
    try:
        content = tree.read(member)
        if len(content) > _MAX_BYTES:
            message = f"{source} has {len(content)} bytes, more than any list of names"
            return None, [Issue.of("classes.invalid", message, files=[source])]
        return parse(content, source), []
    except MemberError as error:
        return None, [Issue.of("archive.corrupt", f"{source}: {error}", files=[source])]
    except DataError as error:
        return None, error.issues


def parse(content: bytes, source: str) -> Names:
    """Names from the content of a file with one of ``FILE_NAMES``, or ``DataError``."""
    name = source.casefold().rpartition("/")[2]
    lines = [line.strip() for line in re.split(r"\r\n|\r|\n", decoded(content, source))]
    lines = [line for line in lines if line and not line.startswith("#")]
    if name.endswith(".csv"):
        try:
            rows = [[cell.strip() for cell in row] for row in csv.reader(lines)]
        except csv.Error as error:
            message = f"{source} is no valid CSV ({error})"
            raise DataError([Issue.of("classes.invalid", message, files=[source])]) from None
        return _from_rows(rows, source)
    coloured = [_coloured(line) for line in lines]
    found = [entry for entry in coloured if entry is not None]
    if not found or len(found) < len(lines):
        return parse_labels(content, source)
    return _legend(found, source)


def _coloured(line: str) -> tuple[int, str] | None:
    """A line's colour (0xRRGGBB) and name."""
    if match := _LABELMAP.match(line) or _COLOUR_LAST.match(line):
        name, *channels = match.groups()
    elif match := _COLOUR_FIRST.match(line):
        *channels, name = match.groups()
    else:
        return None
    return _colour(channels, name)


def _colour(channels: list[str], name: str) -> tuple[int, str] | None:
    red, green, blue = (int(channel) for channel in channels)
    return (red << 16 | green << 8 | blue, name.strip()) if max(red, green, blue) <= _CHANNEL_TOP else None


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _MOST_DIGITS


def _from_rows(rows: list[list[str]], source: str) -> Names:
    """``name, r, g, b`` or ``value, name``; a first row of other words is the heading."""
    numbered: list[tuple[int, str]] = []
    found: list[tuple[int, str]] = []
    for number, row in enumerate(rows):
        entry = _colour(row[1:4], row[0]) if len(row) >= 4 and all(map(_is_number, row[1:4])) else None  # noqa: PLR2004
        if entry is not None:
            found.append(entry)
        elif len(row) == 2 and _is_number(row[0]):  # noqa: PLR2004  (value and name)
            numbered.append((int(row[0]), row[1]))
        elif number:
            message = f"{source} row {number + 1} is neither `name, r, g, b` nor `value, name`: {', '.join(row)[:80]}"
            raise DataError([Issue.of("classes.invalid", message, files=[source])])
    if found and not numbered:
        return _legend(found, source)
    return checked(Names(source, numbered=tuple(sorted(numbered))))


def _legend(found: list[tuple[int, str]], source: str) -> Names:
    return checked(Names(source, colours=tuple(dict.fromkeys(found))))
