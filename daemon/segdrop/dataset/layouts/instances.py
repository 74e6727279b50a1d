"""A binary mask for each object: ``masks/<image>/<class>_01.png``, or ``<image>/masks/*.png`` (Data Science Bowl 2018).

Whatever is not 0 in such a mask belongs to its object. The class is in the name of the file or of a folder around it;
where no name says one, all objects are of one class. Source: Kaggle, "2018 Data Science Bowl", description of the data.
"""

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace

from segdrop.codes import Code
from segdrop.dataset import class_names
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import folders
from segdrop.dataset.layouts.shared.folders import Role, Spot
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Place, sample_key
from segdrop.dataset.samples import MaskUnion, Reading, is_image
from segdrop.errors import DataError, Issue

NAME = "instances"

#: words, then a number set apart: a random file name is none
_CLASS = re.compile(r"([^\W\d_]+(?:[ _-][^\W\d_]+)*)(?:[ _.-]+\d+)?")
#: names that people give the file of an object of the only class
_NO_CLASS = frozenset({"mask", "object", "obj", "instance", "inst", "segment"})
_ONLY_CLASS = "object"


@dataclass(slots=True)
class _Objects:
    """Images with the masks of their objects.

    ``masks`` has (path, member, name that may be the class's) for each image; ``lost`` are masks without an image.
    """

    images: dict[int, Spot] = field(default_factory=dict)
    masks: dict[int, list[tuple[str, int, str]]] = field(default_factory=lambda: defaultdict(list))
    lost: dict[int, Spot] = field(default_factory=dict)
    has_pairs: bool = False

    @property
    def are_likely(self) -> bool:
        """Whether half of the images have their objects, some several, and no mask is simply an image's."""
        several = any(len(masks) > 1 for masks in self.masks.values())
        return several and not self.has_pairs and 2 * len(self.masks) >= len(self.images)


def _gathered(tree: Tree) -> _Objects:
    """Returns the images of a tree and the masks in folders that are named after them."""
    found, masks = _Objects(), {}
    for member, path in tree:
        if is_image(path):
            spot = folders.spot(path)
            if spot.role is Role.IMAGE:
                found.images[member] = spot
            elif spot.role is Role.MASK:
                masks[member] = path, spot
    by_key = {sample_key(spot.split, spot.path): member for member, spot in found.images.items()}
    alone = _alone(tree, found.images)
    for member, (path, spot) in masks.items():
        found.has_pairs |= sample_key(spot.split, spot.path) in by_key
        owner, name = _owner(path, spot, by_key, alone)
        if owner is None:
            found.lost[member] = spot
        else:
            found.masks[owner].append((path, member, name))
    return found


def _alone(tree: Tree, images: dict[int, Spot]) -> dict[str, int]:
    """Returns the images that are alone in ``images/``, by the folder around that, which is the image's own."""
    paths = {member: path for member, path in tree if member in images}
    homes = {member: path.rpartition("/")[0] for member, path in paths.items()}
    counts = Counter(homes.values())
    return {
        home.rpartition("/")[0]: member
        for member, home in homes.items()
        if counts[home] == 1 and "/" in home and folders.meaning(home.rpartition("/")[2]).role is Role.IMAGE
    }


def _owner(path: str, spot: Spot, by_key: dict[str, int], alone: dict[str, int]) -> tuple[int | None, str]:
    """Returns the image that an object's mask belongs to, and the folder or file name that may say its class."""
    *parents, name = spot.path.split("/")
    stem = name.rpartition(".")[0]
    for depth in (len(parents), len(parents) - 1):
        if depth > 0:
            # the folder has the image's name; an extension again, so that no dot within is taken for one
            owner = by_key.get(sample_key(spot.split, "/".join(parents[:depth]) + ".x"))
            if owner is not None:
                return owner, parents[depth] if depth < len(parents) else stem
    home = path.rpartition("/")[0]
    is_innermost = folders.meaning(home.rpartition("/")[2]).role is Role.MASK
    return alone.get(home.rpartition("/")[0]) if is_innermost and "/" in home else None, stem


def signature(tree: Tree) -> str:
    """Returns by what the tree is known to have a folder of masks for each image, or ""."""
    return "a folder of masks for each image" if _gathered(tree).are_likely else ""


def read(tree: Tree) -> Reading:
    """Returns the images with a mask for each object. Raises DataError where no image has a folder of masks."""
    tree = folders.root(tree)
    found = _gathered(tree)
    if not found.masks:
        raise DataError([Issue.of(Code.LAYOUT_NO_MASKS, "no image has a folder of masks that is named like it")])
    classes, said = _classes(found)
    labels = legends.find(tree)[:1]
    order, source, issues = _order(tree, labels, set(classes.values()))
    values = class_names.numbers(order)
    files, unions = ImagesAndMasks(tree), {}
    for member, path in tree:
        spot = found.images.get(member) or found.lost.get(member)
        if spot is not None:
            files.add(member, path, Place(spot.role or Role.IMAGE, spot.split, spot.path))
        elif member not in classes:
            files.add(member, path, None, is_used=member in labels)
    for image, masks in found.masks.items():
        spot = found.images[image]
        parts = [(member, values[classes[member]]) for _, member, _ in sorted(masks)]
        # kept by its first mask, because of two images with one key the other may be the one that is paired
        unions[parts[0][0]] = MaskUnion(tuple(parts))
        files.masks.add(spot.split, spot.path, parts[0][0])
    pairs = files.pair()
    samples = [replace(sample, truth=unions[sample.truth.member]) for sample in pairs.samples]
    said.append("what is not 0 in a mask is its object; where two overlap, the later by name is on top")
    return Reading(NAME, samples, class_names.drawn(values, source), [*issues, *pairs.issues], said)


def _classes(found: _Objects) -> tuple[dict[int, str], list[str]]:
    """Returns the class of each mask by its member, where all names say one; else one class for all."""
    named = {member: (path, _CLASS.fullmatch(name)) for masks in found.masks.values() for path, member, name in masks}
    silent = sorted(
        path for path, match in named.values() if match is None or match[1].casefold().rstrip("s") in _NO_CLASS
    )
    if silent:
        said = f"the masks' names say no class (as {silent[0]}): all objects are of one"
        return dict.fromkeys(named, _ONLY_CLASS), [said]
    return {member: match[1] for member, (_, match) in named.items() if match is not None}, []


def _order(tree: Tree, labels: list[int], used: set[str]) -> tuple[list[str], str, list[Issue]]:
    """Returns the class names in the order of the list beside the data, where it has them all; else by name."""
    if labels:
        names, issues = legends.read(tree, labels[0])
        if names is not None and used <= set(names.ordered):
            return list(names.ordered), names.source, issues
        return sorted(used), "the names of the masks", issues
    return sorted(used), "the names of the masks", []
