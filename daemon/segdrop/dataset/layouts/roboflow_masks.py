"""Roboflow's semantic masks: ``train/x.jpg`` with ``train/x_mask.png``, and ``_classes.csv`` in each folder.

The same file name is Roboflow's list of image tags, too; the heading "Pixel Value, Class" tells them apart.
"""

import re

from segdrop.dataset import legends
from segdrop.dataset.layouts.pairing import Scheme
from segdrop.dataset.names import Names
from segdrop.dataset.samples import Reading
from segdrop.dataset.source import MemberError
from segdrop.dataset.tree import Tree
from segdrop.errors import Issue

NAME = "roboflow-masks"

_CLASSES = "_classes.csv"
_HEADING = re.compile(rb"(?:\xef\xbb\xbf)?\s*pixel value\s*,", re.IGNORECASE)
_SCHEME = Scheme(
    re.compile(r"(?P<site>(?:.*/)??)(?:(?P<split>train|valid|val|test)/)?(?P<name>[^/]+)\.[^./]+"),
    re.compile(r"(?P<site>(?:.*/)??)(?:(?P<split>train|valid|val|test)/)?(?P<name>[^/]+)_mask\.png"),
    re.compile(r"(?:.*/)?readme\.(?:dataset|roboflow)\.txt"),
)


def _lists(tree: Tree) -> list[int]:
    """The files that name the classes, in the order of their paths."""
    return [member for path, member in sorted((path, member) for member, path in tree if _is_list(path))]


def _is_list(path: str) -> bool:
    return path.casefold().rpartition("/")[2] == _CLASSES


def signature(tree: Tree) -> str:
    lists = _lists(tree)
    if not lists or not _SCHEME.fits(tree):
        return ""
    try:
        return f"{_CLASSES} with pixel values" if _HEADING.match(tree.read(lists[0])) else ""
    except MemberError:
        return ""


def read(tree: Tree) -> Reading:
    lists = _lists(tree)
    pairs = _SCHEME.sides(tree, lists).pair()
    names, issues = _names(tree, lists)
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], pairs.assumptions)


def _names(tree: Tree, lists: list[int]) -> tuple[Names | None, list[Issue]]:
    """The names of the first list, where all others say the same."""
    chosen, issues = None, []
    for member in lists:
        names, found = legends.read(tree, member)
        issues += found
        if names is not None and chosen is not None and names.numbered != chosen.numbered:
            message = f"{tree.names[member]} names other classes than {chosen.source}"
            issues.append(Issue.of("classes.invalid", message, files=[tree.names[member]]))
        chosen = chosen or names
    return chosen, issues
