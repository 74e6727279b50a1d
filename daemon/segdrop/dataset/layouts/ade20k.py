"""ADE20K, as its benchmark has it and in full.

The benchmark (SceneParsing) has ``images/training/`` and ``annotations/training/``, values 1..150 named by
``objectInfo150.txt``, 0 for everything else. In full, it has ``x.jpg`` and ``x_seg.png`` in one folder, the class coded
in red and green; ``x.json`` names the classes of its image. Sources: CSAILVision/sceneparsing, README;
CSAILVision/ADE20K, ``utils/utils_ade20k.py``.
"""

import re
from collections import Counter
from collections.abc import Iterator

from segdrop.codes import Code
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames, checked
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.pairing import Pattern, Scheme
from segdrop.dataset.samples import Coding, Reading
from segdrop.errors import DataError, Issue

NAME = "ade20k"

_SPLIT = r"(?P<split>training|validation|train|val)"
_BENCHMARK = Scheme(
    Pattern(f"images/{_SPLIT}", r"(?P<name>(?:.*/)?ade_[^/]+)\.jpg"),
    Pattern(f"annotations/{_SPLIT}", r"(?P<name>(?:.*/)?ade_[^/]+)\.png"),
    (Pattern("", r"(?:objectinfo150|scenecategories)\.txt"),),
)
_FULL = Scheme(
    Pattern(_SPLIT, r"(?P<name>(?:.*/)?ade_[^/]+)\.jpg"),
    Pattern(_SPLIT, r"(?P<name>(?:.*/)?ade_[^/]+)_seg\.png"),
    (
        Pattern("", r"ade_[^/]+(?:_parts_\d+\.png|_atr\.txt|\.json)|index_ade20k\.\w+"),
        Pattern(r"ade_[^/]+", r"instance_[^/]+\.png"),
    ),
)
_LIST = "objectinfo150.txt"
_NUM_CLASSES = 150
_OTHER = frozenset({0})
_SAID = "value 0 is what has no class: it is ignored, as the benchmark does"


def signature(tree: Tree) -> str:
    """Returns by which names of files the tree is known to be ADE20K, or ""."""
    if _FULL.fits(tree):
        return "ADE_….jpg and ADE_…_seg.png"
    return "images and annotations named ADE_…" if _BENCHMARK.fits(tree) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks, with the names of the classes where they are listed."""
    is_full = _FULL.fits(tree)
    pairs = (_FULL if is_full else _BENCHMARK).collect(tree).pair(Coding.ADE20K if is_full else Coding.STORED)
    numbered, source, issues = _from_json(tree) if is_full else _from_list(tree)
    try:
        names = checked(ClassNames(source, numbered=_unequal(numbered), ignored=_OTHER)) if numbered else None
    except DataError as error:
        names, issues = None, [*issues, *error.issues]
    said = [_SAID, *pairs.assumptions] if names else pairs.assumptions
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], said)


def _unequal(numbered: dict[int, str]) -> tuple[tuple[int, str], ...]:
    """Returns names by value: the first of a class's synonyms, or all of them where two classes share it."""
    short = {value: name.split(",")[0].strip() for value, name in numbered.items()}
    counts = Counter(short.values())
    found = {value: name if counts[name] == 1 else numbered[value] for value, name in short.items()}
    counts = Counter(found.values())
    return tuple((v, name if counts[name] == 1 else f"{name} ({v})") for v, name in sorted(found.items()))


def _from_list(tree: Tree) -> tuple[dict[int, str], str, list[Issue]]:
    """Returns names by value from ``objectInfo150.txt``: a heading, then number, ratio, …, name in columns."""
    member = next((member for member, path in tree if path.casefold().rpartition("/")[2] == _LIST), None)
    if member is None:
        message = f"there is no objectInfo150.txt; {_NUM_CLASSES} classes are named by number"
        numbered = {value: f"class_{value}" for value in range(1, _NUM_CLASSES + 1)}
        return numbered, "ADE20K", [Issue.of(Code.CLASSES_ASSUMED, message)]
    try:
        lines = [line.split("\t") for line in annotation_files.text(tree, member).splitlines() if line.strip()]
    except DataError as error:
        return {}, "", error.issues
    cells = [[cell.strip() for cell in line] for line in lines[1:]]
    numbered = {int(row[0]): row[-1] for row in cells if re.fullmatch(r"[0-9]{1,4}", row[0]) and row[-1]}
    if not numbered:
        source = tree.names[member]
        return {}, source, [Issue.of(Code.CLASSES_INVALID, f"{source} names no class", files=[source])]
    return numbered, tree.names[member], []


def _from_json(tree: Tree) -> tuple[dict[int, str], str, list[Issue]]:
    """Returns names by value from the objects that the images' own files list."""
    numbered: dict[int, str] = {}
    unread = []
    for path, member in sorted((path, member) for member, path in tree):
        if re.fullmatch(r"(?:.*/)?ade_[^/]+\.json", path.casefold()):
            try:
                for value, name in _objects(annotation_files.load_json(tree, member)):
                    numbered.setdefault(value, name)
            except DataError:
                unread.append(tree.names[member])
    issues = []
    if unread:
        message = f"{len(unread)} files that name classes cannot be read"
        issues.append(Issue.of(Code.ANNOTATION_INVALID, message, files=unread))
    return numbered, "the JSON files of ADE20K", issues


def _objects(document: object) -> Iterator[tuple[int, str]]:
    """Yields (value, name) of every object, and leaves out what has another shape."""
    annotation = document.get("annotation") if isinstance(document, dict) else None
    objects = annotation.get("object") if isinstance(annotation, dict) else None
    for entry in objects if isinstance(objects, list) else ():
        if isinstance(entry, dict):
            value, name = entry.get("name_ndx"), entry.get("name")
            if type(value) is int and 0 < value < 1 << 16 and isinstance(name, str) and name.strip():
                yield value, name.strip()
