"""Run lengths in a CSV file, as Kaggle's competitions have them: ``ImageId,ClassId,EncodedPixels`` and the like.

A cell holds "start length start length …": pixels are counted from 1, down the columns from the left one; in a few,
along the rows, or from the end of the run before: what fits most rows is taken, and said. A row is an
object or a class of an image; a cell that is empty or -1 says that there is none. Where masks lie in the ZIP as
pictures, those are read and not this. Sources: the descriptions of the data of "Severstal: Steel Defect Detection",
"TGS Salt Identification", "Airbus Ship Detection", "Understanding Clouds from Satellite Images".
"""

import re
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from segdrop.codes import Code
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.rle_order import Order, Runs, order_of
from segdrop.dataset.layouts.shared import annotation_files, folders
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.samples import Reading, Split, is_image
from segdrop.dataset.shapes import Stretches
from segdrop.errors import DataError, Issue

NAME = "rle-csv"

_LOOKED_AT, _ROWS_LOOKED_AT, _HEAD_BYTES = 8, 50, 1 << 16
#: names of columns, without what is no letter, the surest first
_SURE_CODES = ("encodedpixels", "rlemask", "maskrle", "rle", "rleencoding")
_CODES = (*_SURE_CODES, "encoding", "annotation", "segmentation")
_IDS = ("imageid", "image", "img", "imgid", "imagename", "filename", "id")
_CLASSES = ("classid", "class", "classname", "label", "celltype", "category")
#: columns that hold the image's name and the class, with an underscore between
_BOTH = ("imageidclassid", "imagelabel")
_NOTHING = frozenset({"", "-1", "nan", "none", "null", "0 0", "1 0"})
_RUNS = re.compile(r"\d+ +\d+(?: +\d+ +\d+)*")
_ONLY_CLASS = "foreground"
#: so many rows are no slip
_LEAST_ROWS = 3
_TEST_ROWS = "submission"  # a file of this name holds an example of an answer, no truth


@dataclass(frozen=True, slots=True)
class _Columns:
    """The places of the columns; ``kind`` and sides are -1 where there are none."""

    image: int
    code: int
    kind: int
    is_joined: bool
    height: int
    width: int


@dataclass(slots=True)
class _Rows:
    """What the rows of a file say of an image: its runs, each with its class, and its size."""

    runs: list[tuple[str, Runs]] = field(default_factory=list)
    size: tuple[int, int] | None = None


class _Images(Gathering):
    """Gathers images with the areas of their rows."""

    def leave_out_tests(self) -> None:
        """Leave out images in folders of a test side if no row speaks of any of them: their truth is kept back."""
        tests = {member for member, path in self._images.items() if _is_test(path)}
        if tests and not tests & self._entries.keys():
            self._images = {member: path for member, path in self._images.items() if member not in tests}
            self.assumptions.append(f"{len(tests)} images in test folders have no rows, and are left out")


def _is_test(path: str) -> bool:
    return any(folders.meaning(folder).split is Split.TEST for folder in path.split("/")[:-1])


def signature(tree: Tree) -> str:
    """Returns by which CSV file the tree is known to have run lengths, or ""."""
    files = _files(tree)[:_LOOKED_AT]
    images = [path for _, path in tree if is_image(path)] if files else []
    if any(folders.spot(path).role is Role.MASK for path in images):
        return ""
    found = next((path for member, path in files if _has_runs(tree, member)), "")
    return f"run lengths in {found}" if found else ""


def _files(tree: Tree) -> list[tuple[int, str]]:
    return [entry for entry in members(tree, "csv") if _TEST_ROWS not in entry[1].casefold().rpartition("/")[2]]


def _has_runs(tree: Tree, member: int) -> bool:
    """Whether a file has columns of images and run lengths, by its first rows."""
    try:
        lines = tree.read(member)[:_HEAD_BYTES].decode("utf-8-sig", "replace").splitlines()[: _ROWS_LOOKED_AT + 1]
    except (MemberError, LookupError, MemoryError):
        return False
    rows = [[cell.strip().strip('"') for cell in line.split(",")] for line in lines]
    columns = _columns(rows[0]) if rows else None
    if columns is None:
        return False
    # the last of them may be cut off
    cells = [row[columns.code] for row in rows[1:] if len(row) == len(rows[0])]
    coded = [cell for cell in cells if cell.casefold() not in _NOTHING]
    num_runs = sum(_RUNS.fullmatch(cell) is not None for cell in coded)
    if not num_runs:
        # only empty ones, or one cell that is longer than what was looked at: the column's name has to say it
        return (not coded) and _words(rows[0])[columns.code] in _SURE_CODES
    return 2 * num_runs >= len(coded)


def _words(header: Sequence[str]) -> list[str]:
    """Returns the names of columns in lower case, without what is no letter."""
    return [re.sub(r"[^a-z]", "", cell.casefold()) for cell in header]


def _columns(header: Sequence[str]) -> _Columns | None:
    """Returns which columns hold what, or None where a needed one is missing."""
    words = _words(header)

    def place(names: Iterable[str]) -> int:
        return next((words.index(name) for name in names if name in words), -1)

    joined, code = place(_BOTH), place(_CODES)
    image = joined if joined >= 0 else place(_IDS)
    if image < 0 or code < 0:
        return None
    kind = -1 if joined >= 0 else place(_CLASSES)
    return _Columns(image, code, kind, joined >= 0, place(("height",)), place(("width",)))


def read(tree: Tree) -> Reading:
    """Returns the images with the areas of their rows.

    Raises DataError where no CSV file has run lengths, or they fit the images in no order.
    """
    found = _Images(tree)
    files = [(member, path) for member, path in _files(tree) if _has_runs(tree, member)]
    by_file = [(member, _rows(tree, found, member, path)) for member, path in files]
    if not by_file:
        raise DataError([Issue.of(Code.LAYOUT_NO_MASKS, "no CSV file has columns of image names and run lengths")])
    images = [(image, rows) for _, listed in by_file for image, rows in listed.items()]
    counted = _counted(found, by_file)
    order = order_of(tree, [(image, [runs for _, runs in rows.runs]) for image, rows in images])
    titles: set[str] = set()
    for member, listed in by_file:
        for image, rows in listed.items():
            areas: list[Area] = [
                (title, Stretches(0, starts, lengths, order is Order.COLUMNS)) for title, (starts, lengths) in rows.runs
            ]
            titles |= {title for title, _ in areas}
            found.add(image, member, areas, size=rows.size)
    found.leave_out_tests()
    found.assumptions.append(
        f"run lengths count pixels {order.value}, {counted}; a row of an image lies over the rows above it"
    )
    return found.reading(NAME, sorted(titles, key=_rank), tree.names[files[0][0]])


def _rank(title: str) -> tuple[int, str]:
    """Returns the place of a class: numbers in their order, then names."""
    number = title.removeprefix("class_")
    return (int(number) if number.isdecimal() and len(number) < 10 else 1 << 40, title)  # noqa: PLR2004


def _counted(found: Gathering, by_file: Sequence[tuple[int, Mapping[int, _Rows]]]) -> str:
    """Count all starts from 0 at the image's first pixel, put runs that cover one another on record, and return in
    words how starts were counted.

    They were counted from the end of the last run if most rows cannot be anything else; else from 1, unless one is 0.
    """
    rows = [rows for _, listed in by_file for rows in listed.values()]
    several = [runs for each in rows for _, runs in each.runs if len(runs[0]) > 1]
    num_impossible = sum(not _follow(runs) for runs in several)
    is_relative = num_impossible >= _LEAST_ROWS and 2 * num_impossible > len(several)
    is_from_0 = any(0 in starts for each in rows for _, (starts, _) in each.runs)
    for member, listed in by_file:
        for each in listed.values():
            if is_relative:
                each.runs = [(title, _absolute(runs)) for title, runs in each.runs]
                continue
            if not all(_follow(runs) for _, runs in each.runs):
                found.invalid(member, "a run begins before the one in front of it ends")
            first = 0 if is_from_0 else 1
            each.runs = [
                (title, (array("Q", (start - first for start in starts)), lengths))
                for title, (starts, lengths) in each.runs
            ]
    if is_relative:
        return "from the end of the run before (as in SIIM-ACR Pneumothorax), since no other way fits most rows"
    return "from 0, since a run begins there" if is_from_0 else "from 1"


def _follow(runs: Runs) -> bool:
    """Whether each run begins where the one in front of it ends, or later."""
    starts, lengths = runs
    return all(starts[i] + lengths[i] <= starts[i + 1] for i in range(len(starts) - 1))


def _absolute(runs: Runs) -> Runs:
    """Returns runs counted from the image's first pixel instead of from the end of the run before."""
    starts, position = array("Q"), 0
    for start, length in zip(*runs, strict=True):
        starts.append(position + start)
        position += start + length
    return starts, runs[1]


def _rows(tree: Tree, found: _Images, member: int, path: str) -> dict[int, _Rows]:
    """Returns what a file says of each image, by member."""
    found.use(member)
    try:
        header, *rows = annotation_files.rows(tree, member)
    except DataError as error:
        found.broken(error)
        return {}
    columns = _columns(header)
    if columns is None:
        return {}
    folder, listed = path.rpartition("/")[0], dict[int, _Rows]()
    known: dict[str, int | None] = {}
    for row in rows:
        if len(row) != len(header):
            found.invalid(member, f"a row has {len(row)} cells, and the header {len(header)}")
            continue
        name, title = _named(row, columns)
        if name not in known:
            known[name] = found.find([name, f"{name}.x"], member, folder)
        image = known[name]
        if image is not None:
            _add(found, member, listed.setdefault(image, _Rows()), row, title, columns)
    return listed


def _named(row: Sequence[str], columns: _Columns) -> tuple[str, str]:
    """Returns the image's name and the class that a row is of."""
    name, kind = row[columns.image], row[columns.kind] if columns.kind >= 0 else ""
    if columns.is_joined:
        name, _, kind = name.rpartition("_")
    return name, (f"class_{kind}" if kind.isdecimal() else kind) or _ONLY_CLASS


def _add(found: _Images, member: int, rows: _Rows, row: Sequence[str], title: str, columns: _Columns) -> None:
    """Add the runs of one row."""
    if columns.height >= 0 and columns.width >= 0:
        rows.size = pixel_size(row[columns.width], row[columns.height])
    cell = row[columns.code]
    if cell.casefold() in _NOTHING:
        return
    try:
        runs = _parsed(cell)
    except (ValueError, OverflowError) as error:
        found.invalid(member, f"run lengths of {row[columns.image]}: {error}")
        return
    found.counted("mask")
    rows.runs.append((title, runs))


def _parsed(cell: str) -> Runs:
    """Returns starts and lengths as they stand. Raises ValueError where they are none."""
    if not _RUNS.fullmatch(cell):
        raise ValueError("they are no starts and lengths in turn")
    numbers = array("Q", map(int, cell.split()))
    return numbers[0::2], numbers[1::2]
