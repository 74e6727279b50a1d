"""CSV files that spreadsheets open without running what stands in them."""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import BinaryIO

from segdrop import durable

#: Spreadsheets take a cell that begins so for a formula, some also one with the signs in full width (OWASP, "CSV
#: Injection").
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", *"\uff1d\uff0b\uff0d\uff20")

Cell = str | int | float | None


def cell(value: Cell) -> str | int | float:
    """Returns a value as it stands in a table: text that would begin a formula gets an apostrophe before it.

    Numbers stay numbers, negative ones, too; None is an empty cell. A carriage return would end the row for some
    readers, and becomes a space.
    """
    if isinstance(value, str):
        is_formula = value.startswith(_FORMULA_STARTS)
        return ("'" if is_formula else "") + value.replace("\r", " ")
    return "" if value is None else value


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Cell]]) -> None:
    """Replaces a CSV file, row by row: UTF-8, commas, a header. Memory does not grow with the number of rows."""

    def written(stream: BinaryIO) -> None:
        text = io.TextIOWrapper(stream, encoding="utf-8", errors="replace", newline="", write_through=True)
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow([cell(name) for name in header])
        writer.writerows([cell(value) for value in row] for row in rows)
        text.detach()

    durable.write(path, written)
