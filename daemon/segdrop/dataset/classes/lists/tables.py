"""Lists of classes as CSV tables: ``name, r, g, b``, ``value, name``, or whatever columns the heading names."""

import csv
from collections.abc import Sequence

from segdrop.codes import Code
from segdrop.dataset.classes.lists import lines as text_lines
from segdrop.dataset.classes.lists.entries import Entry, colour_in, colour_of, is_number
from segdrop.errors import DataError, Issue

_NAMES = (
    *("name", "class_name", "classname", "label_name", "class name", "label name", "readable", "class", "label"),
    *("category", "title", "names", "classes", "labels", "category_name", "description"),
)
_NUMBERS = (
    *("pixel value", "pixel_value", "pixelvalue", "value", "id", "index", "idx", "class_id", "label_id", "class id"),
    *("label id", "classid", "labelid", "number", "class_index", "label_index", "code", "grey", "gray", "label_value"),
)
_RED, _GREEN, _BLUE = ("r", "red"), ("g", "green"), ("b", "blue")
_COLOURS = ("color", "colour", "rgb", "hex", "colors", "colours", "color_hex", "rgb_color")


def parse(lines: Sequence[str], source: str) -> list[Entry]:
    """Returns the entries of a table's lines. Raises DataError where a row is no class."""
    delimiter = ";" if ";" in lines[0] and "," not in lines[0] else "\t" if "\t" in lines[0] else ","
    try:
        rows = [[cell.strip() for cell in row] for row in csv.reader(lines, delimiter=delimiter, skipinitialspace=True)]
    except csv.Error as error:
        message = f"{source} is no valid CSV ({error})"
        raise DataError([Issue.of(Code.CLASSES_INVALID, message, files=[source])]) from None
    heading = [cell.casefold() for cell in rows[0]]
    if _at(heading, _NAMES) is not None and not any(map(is_number, heading)):
        return [_by_heading(heading, row, source, number) for number, row in enumerate(rows[1:], 2)]
    found = _unheaded(rows) or (_unheaded(rows[1:]) if len(rows) > 1 else None)
    if found is None:
        raise _no_class(rows, source)
    return found


def _at(heading: Sequence[str], words: Sequence[str]) -> int | None:
    """Returns the first column, in the order of the words, that is called like one of them."""
    return next((heading.index(word) for word in words if word in heading), None)


def _by_heading(heading: Sequence[str], row: Sequence[str], source: str, number: int) -> Entry:
    """Returns the class in a row, by the columns that the heading names."""
    if len(row) < len(heading):
        raise _bad_row(row, source, number)
    name, value = row[_at(heading, _NAMES) or 0], _at(heading, _NUMBERS)
    if value is None and "label" in heading and heading.index("label") != _at(heading, _NAMES):
        value = heading.index("label") if is_number(row[heading.index("label")]) else None
    if value is not None and not is_number(row[value]):
        raise _bad_row(row, source, number)
    channels = [_at(heading, words) for words in (_RED, _GREEN, _BLUE)]
    columns = [column for column in channels if column is not None]
    if len(columns) == len(channels):
        if not all(is_number(row[column]) for column in columns):
            raise _bad_row(row, source, number)
        colour = colour_of([int(row[column]) for column in columns])
    else:
        column = _at(heading, _COLOURS)
        colour = None if column is None else colour_in(row[column])
    return Entry(name, None if value is None else int(row[value]), colour)


def _unheaded(rows: Sequence[Sequence[str]]) -> list[Entry] | None:
    """Returns the entries of rows without a heading, as if they were lines of text, or None where they are not."""
    if any("," in cell for row in rows for cell in row) or len({len(row) for row in rows}) > 1:
        return None
    numeric = [[is_number(cell) for cell in row] for row in rows]
    if any(cells.count(False) != 1 for cells in numeric):
        return None
    found = text_lines.parse([",".join(row) for row in rows])
    width = len(rows[0])
    return found if width == 1 or any(entry.number is not None or entry.colour is not None for entry in found) else None


def _no_class(rows: Sequence[Sequence[str]], source: str) -> DataError:
    """Returns the error for the first row, behind a heading, that is not like the others."""
    width = len(rows[-1])
    for number, row in enumerate(rows[1:], 2):
        if len(row) != width or sum(not is_number(cell) for cell in row) != 1:
            return _bad_row(row, source, number)
    return _bad_row(rows[-1], source, len(rows))


def _bad_row(row: Sequence[str], source: str, number: int) -> DataError:
    shown = ", ".join(row)[:80]
    message = f"{source} row {number} is neither `name, r, g, b` nor `value, name`: {shown}"
    return DataError([Issue.of(Code.CLASSES_INVALID, message, files=[source])])
