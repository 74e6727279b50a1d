"""YOLO segmentation: a text file for each image, a class number and an outline in fractions of the image in each line.

It is read as Ultralytics, Roboflow and CVAT write it (``images/train/``, ``labels/train/``, ``data.yaml``), Label
Studio (``classes.txt``, ``notes.json``) and Darknet (labels beside the images, ``obj.names``). Lines of five numbers
are boxes; lines of nine may be boxes that are turned (OBB), and longer ones boxes with key points (pose).
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING

from segdrop.codes import Code
from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import MAX_CLASSES
from segdrop.dataset.layouts import yolo_project
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members
from segdrop.dataset.layouts.shared.complaints import QUADRILATERAL
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.layouts.yolo_project import Project
from segdrop.dataset.samples import Reading, pairing_key
from segdrop.errors import DataError, Issue

if TYPE_CHECKING:
    from array import array

NAME = "yolo"

_IMAGE_FOLDERS = frozenset({"images", "image", "imgs", "img"})
_LABEL_FOLDERS = ("labels", "label")
#: no number can be read in two ways: a line that does not fit would be tried in all of them
_LINE = re.compile(r"\d+(\.0*)?(\s+[-+]?(\d+(\.\d+)?|\.\d+)([eE][-+]?\d+)?){4,}\s*")
_MOST_PEEKED = 12
_BOX_NUMBERS = (5, 6)  # with or without a confidence
_LEAST_NUMBERS = 7
_MOST_CLASSES = 100_000
_BOX_CORNERS = 4
_LEAST_LINES = 3  #: fewer may lie so by chance
_NEAR = 1e-4  #: numbers are rounded
#: beyond the image, in images: tools cut outlines off, or nearly so
_FARTHEST = 0.5


def signature(tree: Tree) -> str:
    """Returns by which text file the tree is known to be YOLO's, or ""."""
    if not any(path.casefold().endswith(".txt") for _, path in tree):
        return ""
    labels = _labels(tree, ImageIndex(tree))
    for label in sorted(set(labels.values()))[:_MOST_PEEKED]:
        try:
            lines = [line for line in annotation_files.text(tree, label).splitlines() if line.strip()]
        except (DataError, LookupError):
            return ""
        if lines:
            fits = all(_LINE.fullmatch(line.strip()) for line in lines)
            return f"class numbers and fractions in {tree.names[label]}" if fits else ""
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images."""
    gathering = Gathering(tree)
    index = ImageIndex(tree)
    project = yolo_project.read(tree, index, gathering)
    labels = _labels(tree, index)
    numbers: set[int] = set()
    project.is_pose = project.is_pose or _are_poses(tree, sorted(set(labels.values()))[:_MOST_PEEKED])
    for image, path in index.members.items():
        split = project.side(image, path)
        if image in labels:
            gathering.use(labels[image])
            before = gathering.unread
            try:
                areas = _areas(tree, labels[image], project, gathering, numbers)
            except DataError as error:
                gathering.broken(error)
                continue
            gathering.add(image, labels[image], areas, is_relative=True, split=split)
            gathering.note_unread(image, before)
        elif image in project.listed:
            gathering.add(image, project.listed[image][0], [], is_relative=True, split=split)
    found = set(labels.values())
    for label, path in members(tree, "txt"):
        *folders, name = path.casefold().split("/")
        if label not in found and name not in yolo_project.NAME_LISTS and not set(_LABEL_FOLDERS).isdisjoint(folders):
            gathering.use(label)
            gathering.missing(label, path)
    gathering.assumptions.append("what no outline covers is background; where areas overlap, the smaller is on top")
    return gathering.reading(NAME, _declared(project, numbers, gathering), project.source)


def _labels(tree: Tree, index: ImageIndex) -> dict[int, int]:
    """Returns the label file of each image: ``labels/`` in place of ``images/``, beside it, or the only one of its
    name.
    """
    files = {pairing_key(path): member for member, path in members(tree, "txt")}
    keys = {image: pairing_key(path) for image, path in index.members.items()}
    num_images = Counter(key.rpartition("/")[2] for key in keys.values())
    num_files = Counter(key.rpartition("/")[2] for key in files)
    by_name = {key.rpartition("/")[2]: member for key, member in files.items()}
    found = {}
    for image, key in keys.items():
        name = key.rpartition("/")[2]
        label = next((files[place] for place in _places(key) if place in files), None)
        if label is None and num_images[name] == num_files[name] == 1:
            label = by_name[name]
        if label is not None:
            found[image] = label
    return found


def _places(key: str) -> Iterator[str]:
    """Yields where an image's label file may be, without the extension."""
    *folders, name = key.split("/")
    for position in range(len(folders) - 1, -1, -1):
        if folders[position] in _IMAGE_FOLDERS:
            for word in _LABEL_FOLDERS:
                yield "/".join((*folders[:position], word, *folders[position + 1 :], name))
            break
    yield key


def _are_poses(tree: Tree, labels: list[int]) -> bool:
    """Whether all lines of a few files are boxes with key points, which may be as long as outlines.

    The first four numbers are then the middle and the sides of a box in which all points lie, and every line has as
    many. An outline is like that by rare chance, a few of them never.
    """
    lines: list[list[float]] = []
    for label in labels:
        try:
            rows = [line.split()[1:] for line in annotation_files.text(tree, label).splitlines() if line.strip()]
            lines += [[float(number) for number in row] for row in rows if len(row) >= _LEAST_NUMBERS - 1]
        except (DataError, ValueError):
            return False
    return len(lines) >= _LEAST_LINES and len(set(map(len, lines))) == 1 and all(map(_is_pose, lines))


def _is_pose(fractions: list[float]) -> bool:
    """Whether numbers can be a box, and points within it in twos, or in threes with a visibility (0, 1, 2)."""
    x, y, width, height = fractions[:4]
    rest = fractions[4:]

    def is_within(points: list[tuple[float, float]]) -> bool:
        return all(
            (across, down) == (0, 0) or (2 * abs(across - x) <= width + _NEAR and 2 * abs(down - y) <= height + _NEAR)
            for across, down in points
        )

    in_threes = len(rest) % 3 == 0 and all(value in (0, 1, 2) for value in rest[2::3])
    if in_threes and is_within(list(zip(rest[0::3], rest[1::3], strict=True))):
        return True
    return len(rest) % 2 == 0 and is_within(list(zip(rest[0::2], rest[1::2], strict=True)))


def _kind(outline: "array[float]") -> str:
    """Returns how an outline counts: one of four corners may be a box, the first of them repeated or not."""
    num_points = len(outline) // 2 - (outline[:2] == outline[-2:])
    return QUADRILATERAL if num_points == _BOX_CORNERS else "polygon"


def _areas(tree: Tree, label: int, project: Project, gathering: Gathering, numbers: set[int]) -> list[Area]:
    """Returns the areas of one file, the larger first. Class numbers in use are added to ``numbers``."""
    sized = []
    for number, line in enumerate(annotation_files.text(tree, label).splitlines(), start=1):
        words = line.split()
        if not words:
            continue
        try:
            kind, *fractions = map(float, words)
        except ValueError:
            gathering.invalid(label, f"line {number} is not made of numbers")
            continue
        if not _is_class(kind, project):
            gathering.invalid(label, f"line {number} is of class {words[0][:20]}, and there are {len(project.titles)}")
        elif project.is_pose or len(words) in _BOX_NUMBERS:
            gathering.box(label, *(["key points"] if project.is_pose else []))
        elif len(words) < _LEAST_NUMBERS or len(words) % 2 == 0:
            gathering.invalid(label, f"line {number} has {len(words)} numbers, not a class and pairs of x and y alone")
        elif not all(-_FARTHEST <= fraction <= 1 + _FARTHEST for fraction in fractions):
            gathering.invalid(label, f"line {number} has coordinates that are no fractions of the image")
        else:
            make = partial(shapes.ring, zip(fractions[0::2], fractions[1::2], strict=True))
            if (outline := gathering.outline(label, make)) is not None:
                gathering.counted(_kind(outline.rings[0]))
                numbers.add(int(kind))
                sized.append((-shapes.area(outline.rings[0]), (_title(project, int(kind)), outline)))
    return [area for _, area in sorted(sized, key=lambda entry: entry[0])]


def _is_class(number: float, project: Project) -> bool:
    """Whether a number at the beginning of a line can be that of a class."""
    if not (number.is_integer() and 0 <= number <= _MOST_CLASSES):
        return False
    return not project.titles or int(number) in project.titles


def _title(project: Project, number: int) -> str:
    return project.titles.get(number, f"class_{number}")


def _declared(project: Project, numbers: set[int], gathering: Gathering) -> list[str]:
    """Returns class names in the order of their numbers; only those in use where more are listed than there can be."""
    if project.titles and len(set(project.titles.values())) <= MAX_CLASSES:
        return list(project.titles.values())
    if project.titles:
        said = f"of the {len(project.titles)} classes that are listed, only those in use are taken"
        gathering.assumptions.append(said)
    elif numbers:
        message = f"nothing names the classes: {len(numbers)} are named after their numbers"
        gathering.issues.append(Issue.of(Code.CLASSES_ASSUMED, message))
    return [_title(project, number) for number in sorted(numbers)]
