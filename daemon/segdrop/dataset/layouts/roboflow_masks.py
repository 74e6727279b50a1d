"""Roboflow's semantic masks: ``train/x.jpg`` with ``train/x_mask.png``, and ``_classes.csv`` in each folder.

The same file name is Roboflow's list of image tags, too; the heading "Pixel Value, Class" tells them apart.
"""

import re

from segdrop.codes import Code
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared.pairing import Pattern, Scheme
from segdrop.dataset.samples import Reading
from segdrop.errors import Issue

NAME = "roboflow-masks"

_CLASSES = "_classes.csv"
_HEADING = re.compile(rb"(?:\xef\xbb\xbf)?\s*pixel value\s*,", re.IGNORECASE)
_SIDE = "(?P<split>train|valid|val|test)"
_SCHEME = Scheme(
    Pattern("", r"(?P<name>[^/]+)\.[^./]+", in_root=_SIDE),
    Pattern("", r"(?P<name>[^/]+)_mask\.png", in_root=_SIDE),
    (Pattern("", r"readme\.(?:dataset|roboflow)\.txt"),),
    is_by_site=True,
)


def _lists(tree: Tree) -> list[int]:
    """Returns the files that name the classes, in the order of their paths."""
    return [member for path, member in sorted((path, member) for member, path in tree if _is_list(path))]


def _is_list(path: str) -> bool:
    return path.casefold().rpartition("/")[2] == _CLASSES


def signature(tree: Tree) -> str:
    """Returns by which list of classes the tree is known to be Roboflow's, or ""."""
    lists = _lists(tree)
    if not lists or not _SCHEME.fits(tree):
        return ""
    try:
        return f"{_CLASSES} with pixel values" if _HEADING.match(tree.read(lists[0])) else ""
    except MemberError:
        return ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks, with the names in the lists of classes."""
    lists = _lists(tree)
    pairs = _SCHEME.collect(tree, lists).pair()
    names, issues = _names(tree, lists)
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], pairs.assumptions)


def _names(tree: Tree, lists: list[int]) -> tuple[ClassNames | None, list[Issue]]:
    """Returns the names of the first list, with an issue for every other that says otherwise."""
    chosen, issues = None, []
    for member in lists:
        names, found = legends.read(tree, member)
        issues += found
        if names is not None and chosen is not None and names.numbered != chosen.numbered:
            message = f"{tree.names[member]} names other classes than {chosen.source}"
            issues.append(Issue.of(Code.CLASSES_INVALID, message, files=[tree.names[member]]))
        chosen = chosen or names
    return chosen, issues
