"""Vessels of the retina: DRIVE, HRF and CHASE_DB1, of which the first observer's masks are read.

DRIVE has ``training/images/21_training.tif``, ``1st_manual/21_manual1.gif`` and the field of view in ``mask/``; HRF
``images/01_dr.jpg``, ``manual1/01_dr.tif`` and ``mask/``; CHASE_DB1 ``Image_01L.jpg``, ``Image_01L_1stHO.png`` and
``Image_01L_2ndHO.png`` in one folder. Sources: the datasets' pages (Staal et al. 2004, Budai et al. 2013, Owen et al.
2009).
"""

import re
from collections.abc import Sequence

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import folders
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Place
from segdrop.dataset.samples import LabelledSample, Reading, Split, extension, is_image

NAME = "retina"

_MASK_FOLDERS = frozenset({"1st_manual", "manual1"})
_IMAGE_FOLDERS = frozenset({"images", "image"})
#: folders of pictures that are not read, and what they are
_OTHERS = {
    **dict.fromkeys(("2nd_manual", "manual2"), "what a second observer drew"),
    "mask": "the field of view (mask/)",
}
_ENDING = re.compile(r"_(?:training|test|manual1)$")
_CHASE = re.compile(r"(image_\d+[lr])(_1stho|_2ndho)?")


def _place(path: str) -> Place | None:
    """Returns where a file stands, or None where it is no image and no mask of the first observer."""
    parts = path.casefold().split("/")
    stem = parts[-1].rpartition(".")[0]
    if (found := _CHASE.fullmatch(stem)) is not None:
        role = {None: Role.IMAGE, "_1stho": Role.MASK}.get(found[2])
        # names say all: copies of the dataset have the observers in folders of their own
        sides = (folders.meaning(part) for part in parts[:-1])
        split = next((side.split for side in sides if side.is_side), None)
        return Place(role, split, f"{found[1]}.{extension(path)}") if role else None
    folder = parts[-2] if len(parts) > 1 else ""
    if folder not in _MASK_FOLDERS | _IMAGE_FOLDERS:
        return None
    above, split = _side(parts[:-2])
    name = f"{_ENDING.sub('', stem)}.{extension(path)}"
    return Place(Role.MASK if folder in _MASK_FOLDERS else Role.IMAGE, split, "/".join([*above, name]))


def _side(parts: list[str]) -> tuple[list[str], Split | None]:
    """Returns folders without the innermost that is a side of the split, and that side."""
    if parts and (found := folders.meaning(parts[-1])).is_side:
        return parts[:-1], found.split
    return parts, None


def _other(path: str) -> str:
    """Returns what a file is that belongs to the dataset and is not read, or ""."""
    parts = path.casefold().split("/")
    if parts[-1].rpartition(".")[0].endswith("_2ndho"):
        return _OTHERS["2nd_manual"]
    return _OTHERS.get(parts[-2], "") if len(parts) > 1 else ""


def _is_rival(path: str) -> bool:
    """Whether a file lies in a folder of masks that these datasets do not have."""
    folder = path.rpartition("/")[0].rpartition("/")[2]
    known = folder.casefold() in _OTHERS or folder.casefold() in _MASK_FOLDERS
    return not known and folders.meaning(folder).role is Role.MASK


def signature(tree: Tree) -> str:
    """Returns by which names the tree is known to be one of these datasets, or ""."""
    roles: dict[Role, str] = {}
    for _, path in tree:
        if is_image(path) and _is_rival(path):
            return ""
        if is_image(path) and (place := _place(path)) is not None:
            roles.setdefault(place.role, path)
    return f"images and masks of the first observer, as {roles[Role.MASK]}" if len(roles) == len(Role) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and the first observer's masks."""
    tree = folders.root(tree)
    lists = legends.find(tree)[:1]
    files = ImagesAndMasks(tree)
    for member, path in tree:
        place = _place(path) if is_image(path) else None
        files.add(member, path, place, is_used=member in lists or bool(_other(path)))
    files.demand_both()
    pairs = files.pair()
    names, issues = legends.read(tree, lists[0]) if lists else (None, [])
    said = [_said(tree, pairs.samples), *pairs.assumptions]
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], said)


def _said(tree: Tree, samples: Sequence[LabelledSample]) -> str:
    """Returns whose masks are read, and what is there beside them."""
    others = sorted({other for _, path in tree if (other := _other(path))})
    first = next((f", as {tree.names[sample.truth.member]}" for sample in samples), "")
    left = f"; {' and '.join(others)} {'are' if len(others) > 1 else 'is'} not read" if others else ""
    return f"the masks are the first observer's{first}{left}"
