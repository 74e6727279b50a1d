"""Mapillary Vistas, version 2.0 of its classes: ``training/images/`` and ``training/v2.0/labels/``."""

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import mapillary
from segdrop.dataset.samples import Reading

NAME = "mapillary-v2"

_VERSION = mapillary.Version(NAME, "v2.0", "config_v2.0.json", has_flat=False)


def signature(tree: Tree) -> str:
    """Returns by what the tree is known to have this version, or ""."""
    return mapillary.signature(tree, _VERSION)


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks of this version. Raises DataError where there are none."""
    return mapillary.read(tree, _VERSION)
