"""Mapillary Vistas, version 1.2 of its classes: ``training/images/`` and ``training/v1.2/labels/``.

Before there was a version 2, masks were in ``training/labels/``.
"""

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import mapillary
from segdrop.dataset.samples import Reading

NAME = "mapillary-v1"

_VERSION = mapillary.Version(NAME, "v1.2", "config_v1.2.json", has_flat=True)


def signature(tree: Tree) -> str:
    """Returns by what the tree is known to have this version, or ""."""
    return mapillary.signature(tree, _VERSION)


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks of this version. Raises DataError where there are none."""
    return mapillary.read(tree, _VERSION)
