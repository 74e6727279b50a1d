"""ISPRS Vaihingen and Potsdam: tiles with one RGB mask each, in the six colours of the benchmark.

Vaihingen has ``top/`` and ``gts_for_participants/``; Potsdam ``2_Ortho_RGB/`` (or ``3_Ortho_IRRG/``,
``4_Ortho_RGBIR/``) and ``5_Labels_all/`` (or ``5_Labels_for_participants/``). Source: the ISPRS 2D semantic labeling
contest, its pages on Vaihingen and Potsdam.
"""

import re

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Place
from segdrop.dataset.samples import Reading, is_image

NAME = "isprs"

#: folders by role, the most wanted first
_FOLDERS = {
    Role.IMAGE: ("top", "2_ortho_rgb", "3_ortho_irrg", "4_ortho_rgbir"),
    Role.MASK: ("gts_complete", "gts_for_participants", "5_labels_all", "5_labels_for_participants"),
}
_ROLES = {folder: role for role, named in _FOLDERS.items() for folder in named}
_ENDING = re.compile(r"_(?:rgb|irrg|rgbir|labels?)(?=\.[^.]+$)")
_COLOURS = ClassNames(
    "the ISPRS table of six colours",
    colours=(
        *((0xFFFFFF, "impervious surfaces"), (0x0000FF, "building"), (0x00FFFF, "low vegetation")),
        *((0x00FF00, "tree"), (0xFFFF00, "car"), (0xFF0000, "clutter")),
    ),
    is_template=True,
    has_spare=True,
)


def _chosen(tree: Tree) -> dict[Role, str]:
    """Returns the folder that is read for each role, of those that have images."""
    present = {folder for _, path in tree if is_image(path) and (folder := _folder(path)) in _ROLES}
    return {role: named for role in Role if (named := next((f for f in _FOLDERS[role] if f in present), ""))}


def _folder(path: str) -> str:
    return path.casefold().rpartition("/")[0].rpartition("/")[2]


def signature(tree: Tree) -> str:
    """Returns by which folders the tree is known to be Vaihingen or Potsdam, or ""."""
    chosen = _chosen(tree)
    return f"{chosen[Role.IMAGE]}/ and {chosen[Role.MASK]}/" if len(chosen) == len(Role) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of tiles and masks, with the benchmark's names where the masks have its colours."""
    chosen = _chosen(tree)
    lists = legends.find(tree)[:1]
    files = ImagesAndMasks(tree)
    for member, path in tree:
        folder = _folder(path)
        is_read = is_image(path) and folder in chosen.values()
        place = Place(_ROLES[folder], None, _tile(path)) if is_read else None
        files.add(member, path, place, is_used=member in lists)
    files.demand_both()
    pairs = files.pair(by_affixes=True)
    names, issues = legends.read(tree, lists[0]) if lists else (_COLOURS, [])
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], pairs.assumptions)


def _tile(path: str) -> str:
    """Returns the name of a tile's file without what says which of its pictures it is."""
    return _ENDING.sub("", path.casefold().rpartition("/")[2])
