"""Lists of classes as lines of text: a name, with its value and its colour before or after it, or neither.

The columns are those that all lines have: ``7: road``, ``2,tree``, ``128 64 128 road``, ``1 128 64 128 road``,
``road #804080``, and the table that ITK-SNAP writes. A line alone says nothing: names may begin or end with numbers.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from segdrop.dataset.classes.lists.entries import Entry, colour_of

_CHANNELS = 3
#: longer lines are no names, and looking for columns in them would take long
_MOST_CHARACTERS = 400
_SNAP_COLUMNS = 7  #: ITK-SNAP: index, red, green, blue, opacity, visibility, mesh
_HEX = re.compile(r"(?:#|\b0x)([0-9a-fA-F]{6})\b")
_BRACKETS = re.compile(r"[(\[]\s*((?:\d{1,3}[\s,;]+){2,3}\d{1,3})\s*[)\]]")
_FIRST = re.compile(r"(-1|\d{1,5})(?:\s*[.,;:=|)\-]+\s*|\s+)(?=\S)")
#: what a number is set apart by at the end of a line: more than a blank says that it is no part of the name
_LAST = re.compile(r"(\s*[,;:=|]\s*|\s+-\s+|\t\s*|\s+)(-1|\d{1,5})$")
_CVAT = re.compile(r"^([^:]+):(\d{1,3}),\s*(\d{1,3}),\s*(\d{1,3}):[^:]*:[^:]*$")
_HEADING_WORDS = frozenset(
    {
        *("name", "names", "label", "labels", "class", "classes", "category", "id", "index", "idx", "value", "pixel"),
        *("number", "no", "r", "g", "b", "red", "green", "blue", "rgb", "color", "colour", "colors", "code", "a"),
    }
)


@dataclass(frozen=True, slots=True)
class _Line:
    """A line with the numbers before and after its name. ``rest`` is what is left when all of them are taken."""

    text: str
    first: tuple[int, ...]
    last: tuple[int, ...]
    is_apart: bool  #: whether more than a blank sets the last number apart

    def name(self, num_first: int, num_last: int) -> str:
        """Returns what stands between so many numbers."""
        rest = self.text
        for _ in range(num_first):
            rest = _FIRST.sub("", rest, count=1) if _FIRST.match(rest) else rest
        for _ in range(num_last):
            rest = _LAST.sub("", rest)
        return rest.strip(" \t,;:|\"'")


def parse(lines: Sequence[str]) -> list[Entry]:
    """Returns the entries of lines that are neither empty nor a comment."""
    if len(lines) == 1 and (several := _in_one_line(lines[0])):
        return [Entry(name) for name in several]
    plain = [Entry(line) for line in lines]
    if any(len(line) > _MOST_CHARACTERS for line in lines):
        return plain
    if cvat := _cvat(lines):
        return cvat
    cleaned = [_clean(line) for line in lines]
    rows = [_numbers(line) for line in (cleaned[1:] if len(cleaned) > 1 and _is_heading(cleaned[0]) else cleaned)]
    if not rows:
        return plain
    num_first, num_last = min(len(row.first) for row in rows), min(len(row.last) for row in rows)
    for last in range(num_last, -1, -1):
        found = _entries(rows, num_first, last)
        # names may end in numbers, and rarely begin with one
        if found is not None and _are_sound(found, is_guess=last > 0):
            return found
    return plain


def _cvat(lines: Sequence[str]) -> list[Entry]:
    """Returns the entries of CVAT's ``name:r,g,b:parts:actions``, or none where a line is not like that."""
    found = []
    for line in lines:
        match = _CVAT.match(line)
        colour = colour_of([int(channel) for channel in match.groups()[1:]]) if match else None
        if match is None or colour is None:
            return []
        found.append(Entry(match[1].strip(), colour=colour))
    return found


def _in_one_line(line: str) -> list[str]:
    """Returns the names of a list that is one line, set apart by commas, or none where it is no such line."""
    names = [name.strip(" \t\"'") for name in re.split("[,;]", line.strip("[](){} "))]
    is_list = len(names) > 1 and all(names) and not any(name.isdigit() for name in names)
    return names if is_list else []


def _clean(line: str) -> str:
    """Returns a line whose colours stand there as three numbers, whatever they were written as."""
    line = _HEX.sub(lambda match: " ".join(map(str, bytes.fromhex(match[1]))), line)
    return _BRACKETS.sub(r"\1", line)


def _is_heading(line: str) -> bool:
    words = re.findall(r"[^\W\d_]+", line.casefold())
    return len(words) > 1 and _HEADING_WORDS.issuperset(words) and not any(map(str.isdigit, line))


def _numbers(line: str) -> _Line:
    """Takes numbers from both ends of a line as long as something is left for a name."""
    first, last, rest, is_apart = [], [], line, False
    while match := _FIRST.match(rest):
        first.append(int(match[1]))
        rest = rest[match.end() :]
    while match := _LAST.search(rest):
        if not rest[: match.start()].strip():
            break
        is_apart = is_apart or match[1].strip() != "" or "\t" in match[1]
        last.append(int(match[2]))
        rest = rest[: match.start()]
    return _Line(line, tuple(first), tuple(reversed(last)), is_apart)


def _entries(rows: Sequence[_Line], num_first: int, num_last: int) -> list[Entry] | None:
    """Returns the entries where every line has so many numbers before and after its name, or None where nothing is
    meant by so many.
    """
    columns = [(*row.first[:num_first], *row.last[len(row.last) - num_last :]) for row in rows]
    names = [row.name(num_first, num_last) for row in rows]
    if num_first + num_last == 0:
        return [Entry(name) for name in names]
    if num_first + num_last == 1:
        found = [Entry(name, number) for name, (number,) in zip(names, columns, strict=True)]
        return found if num_first or _are_apart(rows) else None
    return _coloured(names, columns, num_first)


def _are_apart(rows: Sequence[_Line]) -> bool:
    """Whether numbers behind the names are values: set apart by more than a blank, or counting from 0 or 1."""
    numbers = sorted(row.last[-1] for row in rows)
    return all(row.is_apart for row in rows) or (len(rows) > 1 and _counts(numbers))


def _coloured(names: Sequence[str], columns: Sequence[tuple[int, ...]], num_first: int) -> list[Entry] | None:
    """Returns entries with a colour, and a value where there is a fourth number that counts."""
    if len(columns[0]) < _CHANNELS:
        return None
    index, channels = _arranged(columns, num_first)
    found = []
    for name, row in zip(names, columns, strict=True):
        colour = colour_of(row[channels : channels + _CHANNELS])
        if colour is None:
            return None
        found.append(Entry(name, None if index is None else row[index], colour))
    return found


def _arranged(columns: Sequence[tuple[int, ...]], num_first: int) -> tuple[int | None, int]:
    """Returns the column of the value, if any, and the first column of the colour."""
    width = len(columns[0])
    if width == _CHANNELS:
        return None, 0
    first, last = [row[0] for row in columns], [row[-1] for row in columns]
    if width == _SNAP_COLUMNS or num_first == 1 or _counts(sorted(first)):
        return 0, 1
    if _is_opacity(columns):
        return None, 0
    if num_first == _CHANNELS or _counts(sorted(last)):
        return width - 1, 0
    return (0, 1) if len(set(first)) == len(first) else (width - 1, 0)


def _counts(numbers: Sequence[int]) -> bool:
    """Whether numbers count lines: from 0 or 1 on, none left out."""
    return len(numbers) > 1 and list(numbers) == list(range(numbers[0], numbers[0] + len(numbers))) and numbers[0] <= 1


def _is_opacity(columns: Sequence[tuple[int, ...]]) -> bool:
    """Whether the fourth number is the opacity of a colour: the same, or nothing, everywhere."""
    return len(columns[0]) == _CHANNELS + 1 and {row[-1] for row in columns} <= {0, 1, 100, 255}


def _are_sound(entries: Sequence[Entry], *, is_guess: bool) -> bool:
    """Whether entries can be meant: a name each and, where only blanks say that the numbers are values, none twice."""
    names = [entry.name for entry in entries]
    numbers = [entry.number for entry in entries if entry.number is not None]
    if any(not name for name in names):
        return False
    has_values_alone = any(entry.colour is None and entry.number is not None for entry in entries)
    is_twice = len(set(numbers)) < len(numbers) or (is_guess and len(set(names)) < len(names))
    return not (is_twice and has_values_alone)
