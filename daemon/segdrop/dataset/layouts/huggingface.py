"""Hugging Face's image folders: ``metadata.jsonl`` or ``metadata.csv`` names the image and the mask of each row.

``file_name`` (or ``image_file_name``) is the image, relative to the table's folder; the mask is in a column whose name
says so (``mask_file_name``, ``label``, ``segmentation``, …) and whose values are image files. A table in ``train/`` or
``test/`` is that side of the split. Source: huggingface/datasets, ``docs/source/image_dataset.mdx``.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from segdrop.codes import Code, Severity
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import annotation_files, folders
from segdrop.dataset.layouts.shared.complaints import Complaints, plain
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.layouts.shared.pairing import sample_key, stray
from segdrop.dataset.samples import LabelledSample, MaskFile, Reading, Split, is_image
from segdrop.errors import DataError, Issue

NAME = "huggingface"

_TABLES = frozenset({"metadata.jsonl", "metadata.csv"})
_IMAGE_COLUMNS = ("file_name", "image_file_name", "image", "image_path", "img_file_name")
_FIRST_ROWS = 20

_Row = dict[str, Any]


@dataclass(slots=True)
class _Table:
    """A table with the columns of images and masks."""

    member: int
    folder: str
    split: Split | None
    rows: list[_Row]
    image: str = ""
    masks: list[str] = field(default_factory=list)


def _tables(tree: Tree) -> list[_Table]:
    """Returns the tables that name images and masks, in the order of their paths; what cannot be read is none."""
    known = NAME, tree.prefix
    if known not in tree.memo:
        paths = sorted((path, member) for member, path in tree if path.casefold().rpartition("/")[2] in _TABLES)
        found = (_table(tree, member, path) for path, member in paths)
        tree.memo[known] = [table for table in found if table is not None]
    tables: list[_Table] = tree.memo[known]
    return tables


def _table(tree: Tree, member: int, path: str) -> _Table | None:
    """Returns a table, or None where it names no image files or no masks."""
    try:
        rows = [*_rows(tree, member, path)]
    except DataError:
        return None
    folder = path.rpartition("/")[0]
    split = next((side.split for part in folder.split("/") if (side := folders.meaning(part)).is_side), None)
    columns = list(dict.fromkeys(name for row in rows[:_FIRST_ROWS] for name in row if isinstance(name, str)))
    images = [name for name in _IMAGE_COLUMNS if name in columns and _has_images(rows, name)]
    masks = [name for name in columns if folders.loosely(name).role is Role.MASK and _has_images(rows, name)]
    if not images or not masks:
        return None
    # captions and the like may be long, and are not wanted
    kept = [{name: row.get(name) for name in (images[0], masks[0])} for row in rows]
    return _Table(member, folder, split, kept, images[0], masks)


def _rows(tree: Tree, member: int, path: str) -> Iterator[_Row]:
    """Yields the rows. Raises DataError where one is not what such a table has."""
    content = annotation_files.text(tree, member)
    if path.casefold().endswith(".csv"):
        try:
            yield from csv.DictReader(io.StringIO(content))
        except csv.Error as error:
            raise annotation_files.invalid(tree, member, f"it is no valid CSV ({error})") from None
        return
    for line in content.splitlines():
        if line.strip():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise annotation_files.invalid(tree, member, f"a line is no valid JSON ({error})") from None
            if isinstance(row, dict):
                yield row


def _has_images(rows: list[_Row], column: str) -> bool:
    """Whether a column has names of image files, as far as its first rows have anything."""
    given = [row[column] for row in rows[:_FIRST_ROWS] if row.get(column)]
    return bool(given) and all(isinstance(value, str) and is_image(value) for value in given)


def signature(tree: Tree) -> str:
    """Returns by which columns of which table images and masks are told, or ""."""
    tables = _tables(tree)
    if not tables:
        return ""
    return f"{tree.names[tables[0].member]} with the columns {tables[0].image} and {tables[0].masks[0]}"


def read(tree: Tree) -> Reading:
    """Returns the pairs that the tables name. Raises DataError where none does, or several columns may be the mask."""
    tree = folders.root(tree)
    tables = _tables(tree)
    if not tables:
        message = "no metadata.jsonl or metadata.csv has a column of image files and one of mask files"
        raise DataError([Issue.of(Code.LAYOUT_NO_MASKS, message)])
    for table in tables:
        if len(table.masks) > 1:
            raise DataError([_ambiguous(tree, table)])
    index, complaints = ImageIndex(tree), Complaints(tree.names)
    samples: dict[int, LabelledSample] = {}
    for table in tables:
        for sample in _samples(table, index, complaints):
            known = samples.setdefault(sample.image, sample)
            if known.truth != sample.truth:
                complaints.clash(table.member)
    lists = legends.find(tree)[:1]
    names, issues = legends.read(tree, lists[0]) if lists else (None, [])
    used = {*samples, *(sample.truth.member for sample in samples.values()), *(table.member for table in tables)}
    issues += [*complaints.complaints(len(samples)), *_unnamed(tree, used, len(samples))]
    issues += stray(tree, [m for m, path in tree if m not in used and m not in lists and not is_image(path)])
    said = [f"{tree.names[table.member]} says which mask belongs to which image" for table in tables]
    return Reading(NAME, sorted(samples.values(), key=lambda sample: sample.key), names, issues, said)


def _samples(table: _Table, index: ImageIndex, complaints: Complaints) -> Iterator[LabelledSample]:
    """Yields the samples of a table's rows, and notes files that are not there."""
    for row in table.rows:
        image, mask = (_member(row.get(column), table, index, complaints) for column in (table.image, table.masks[0]))
        if image is not None and mask is not None:
            key = sample_key(table.split, index.members[image])
            yield LabelledSample(key, image, table.split, MaskFile(mask))


def _member(value: object, table: _Table, index: ImageIndex, complaints: Complaints) -> int | None:
    """Returns the file that a cell names, or None."""
    if not isinstance(value, str) or not value.strip():
        return None
    member = index.find(value.strip(), table.folder)
    if member is None:
        complaints.missing(table.member, value)
    return member


def _unnamed(tree: Tree, used: set[int], num_samples: int) -> list[Issue]:
    """Returns an issue for images that no row pairs: a fault where they are more than those that are paired."""
    left = sorted(tree.names[member] for member, path in tree if is_image(path) and member not in used)
    if not left:
        return []
    message = f"{len(left)} images and masks are in no row that names both; they are left out"
    severity = Severity.FAULT if len(left) > 2 * num_samples else Severity.WARNING
    return [Issue.of(Code.PAIR_MISSING_MASK, message, files=left, severity=severity)]


def _ambiguous(tree: Tree, table: _Table) -> Issue:
    """Returns the issue for several columns that name mask files."""
    source = tree.names[table.member]
    columns = ", ".join(f"`{plain(name)}`" for name in table.masks)
    message = f"{source} has {len(table.masks)} columns that name masks: {columns}"
    fix = "Leave the column that is meant in the table, and take the others out."
    return Issue.of(Code.LAYOUT_AMBIGUOUS, message, files=[source], fix=fix)
