"""Images with the several masks that each has, found by names, where ordinary pairs do not explain them.

An ordinary dataset, where a mask has the name of its image up to a usual ending, is none of these: ``x_1.png`` is the
mask of ``x_1.jpg``, and where that image is missing it is nobody's.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from segdrop.codes import Code
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import MAX_CLASSES
from segdrop.dataset.layouts.shared import folders
from segdrop.dataset.layouts.shared.folders import Role, Spot
from segdrop.dataset.layouts.shared.owners import Images, Kind, Owned, folded, is_mask
from segdrop.dataset.layouts.shared.pairing import Place, sample_key
from segdrop.dataset.samples import Split, extension, is_image
from segdrop.errors import Issue

#: folders of what a camera sees beside colours: of one scene, the picture in colour is the image
_OTHER_BANDS = frozenset({"nir", "ir", "depth", "thermal", "dsm", "ndvi", "rededge", "swir"})
_COLOUR_BANDS = frozenset({"rgb"})
_BOUNDARIES = "boundaries/"
_NEARLY_ALL = 0.9
_FEW = 0.1
_FIX = "Leave one of the two folders out of the ZIP."


@dataclass(frozen=True, slots=True)
class ImageAt:
    """An image and where it stands."""

    member: int
    place: Place


@dataclass(frozen=True, slots=True)
class LabelledMask:
    """One mask of an image; ``label`` is its class, its number or its observer's place."""

    member: int
    name: str
    label: str


@dataclass(slots=True)
class Group:
    """Images and their masks by the images' keys; ``lost`` are masks without an image.

    ``valid`` has for an image the masks that say where it is valid.
    """

    kind: Kind
    images: dict[str, ImageAt]
    masks: dict[str, list[LabelledMask]]
    lost: dict[int, Place] = field(default_factory=dict)
    valid: dict[str, tuple[int, ...]] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def find(tree: Tree) -> Group | None:
    """Returns the images with several masks each, or None; kept, because it is asked for more than once."""
    known = "mask groups", tree.prefix
    if known not in tree.memo:
        tree.memo[known] = _found(tree)
    group: Group | None = tree.memo[known]
    return group


def _found(tree: Tree) -> Group | None:
    for meaning in (folders.meaning, folders.loosely):
        spots = {member: folders.spot(path, meaning) for member, path in tree if is_image(path)}
        words = {role: {spot.word for spot in spots.values() if spot.role is role} for role in Role}
        if all(words.values()):
            return _in_folders(tree, spots, words[Role.IMAGE], sorted(words[Role.MASK]))
    return _in_one_folder(tree)


def _in_folders(tree: Tree, spots: Mapping[int, Spot], images: set[str], words: Sequence[str]) -> Group | None:
    """Returns the group of the folder of masks that explains most images."""
    word = min(images, key=lambda word: (folders.preference(word), word))
    photos, said = _in_colour({member: spot for member, spot in spots.items() if spot.word == word})
    by_key = {
        sample_key(spot.split, spot.path): ImageAt(member, Place(Role.IMAGE, spot.split, spot.path))
        for member, spot in photos.items()
    }
    groups = {}
    for mask_word in words:
        masks = {member: spot for member, spot in spots.items() if spot.role is Role.MASK and spot.word == mask_word}
        if (group := _grouped(tree, by_key, masks, needs_mark=False)) is not None:
            groups[mask_word] = group
    if not groups:
        return None
    best = max(groups, key=lambda mask_word: len(groups[mask_word].masks))
    group = groups[best]
    group.assumptions += said
    _settle(tree, spots, group, best)
    return group


def _in_colour(images: dict[int, Spot]) -> tuple[dict[int, Spot], list[str]]:
    """Returns the images in colour, where each scene is in a folder for colours and in one for another band."""
    tops = {spot.path.partition("/")[0].casefold() if "/" in spot.path else "" for spot in images.values()}
    colour = tops & _COLOUR_BANDS
    if len(colour) != 1 or len(tops) == 1 or not tops <= _COLOUR_BANDS | _OTHER_BANDS:
        return images, []
    kept = {
        member: replace(spot, path=spot.path.partition("/")[2])
        for member, spot in images.items()
        if spot.path.partition("/")[0].casefold() in colour
    }
    others = ", ".join(f"{top}/" for top in sorted(tops - colour))
    return kept, [f"the images are those in {next(iter(colour))}/; {others} is left out"]


def _settle(tree: Tree, spots: Mapping[int, Spot], group: Group, word: str) -> None:
    """Take other masks of the same images as what they are: where an image is valid, or a rival truth."""
    whole: dict[str, dict[str, int]] = defaultdict(dict)
    for member, spot in spots.items():
        key = sample_key(spot.split, spot.path)
        if spot.role is Role.MASK and spot.word != word and key in group.masks:
            whole[spot.word][key] = member
        elif spot.role is None and spot.path.casefold().startswith(_BOUNDARIES):
            whole[_BOUNDARIES][sample_key(spot.split, spot.path[len(_BOUNDARIES) :])] = member
    for rival, members in whole.items():
        if group.kind is not Kind.CLASS or 2 * len(members) < len(group.masks):
            continue
        if rival == _BOUNDARIES or (rival == "mask" and _BOUNDARIES in whole):
            for key in members.keys() & group.masks.keys():
                group.valid[key] = (*group.valid.get(key, ()), members[key])
        else:
            group.issues.append(_rivalry(tree, group, next(iter(members.values()))))
    if group.valid:
        group.assumptions.append("masks/ and boundaries/ say where an image is valid: pixels outside are ignored")


def _rivalry(tree: Tree, group: Group, other: int) -> Issue:
    """Returns the fault for a mask of each image beside one for each class."""
    one = next(iter(group.masks.values()))[0].member
    message = f"{tree.names[one]} is one of several masks of its image, and {tree.names[other]} a whole one of the same"
    files = [tree.names[one], tree.names[other]]
    return Issue.of(Code.LAYOUT_AMBIGUOUS, message, files=files, fix=_FIX)


def _in_one_folder(tree: Tree) -> Group | None:
    """Returns the group of images and masks that lie together, told by names alone."""
    spots: dict[int, Spot] = {}
    for member, path in tree:
        if is_image(path) and not folders.is_drawing(path):
            spots[member] = folders.spot(path)
    paths = {str(member): f"{spot.split}/{spot.path.rpartition('.')[0]}" for member, spot in spots.items()}
    every = Images(paths)
    roots = {
        int(key) for key, path in paths.items() if not every.has_root_of(path) and not is_mask(path.rpartition("/")[2])
    }
    if not roots or len(roots) == len(spots):
        return None
    by_key = {
        sample_key(spot.split, spot.path): ImageAt(member, Place(Role.IMAGE, spot.split, spot.path))
        for member, spot in spots.items()
        if member in roots
    }
    group = _grouped(tree, by_key, {m: s for m, s in spots.items() if m not in roots}, needs_mark=True)
    if group is None or group.kind is not Kind.CLASS:
        return group
    kinds = {extension(tree.names[image.member]) for image in group.images.values()}
    masks = {extension(mask.name) for masks in group.masks.values() for mask in masks}
    return None if kinds & masks else group


def _grouped(tree: Tree, images: dict[str, ImageAt], masks: Mapping[int, Spot], *, needs_mark: bool) -> Group | None:
    """Returns the group that the masks of one folder make, or None where they are ordinary masks, or no masks."""
    if not masks or sum(sample_key(s.split, s.path) not in images for s in masks.values()) == 0:
        return None
    owned, lost = _owned(images, masks)
    useful = {m: own for m, own in owned.items() if Kind.OTHER not in (own.ending.kind, own.folder.kind)}
    kind = _kind(useful.values())
    if kind is None or 4 * len(lost) > len(masks):
        return None
    labels = _labels(useful, kind)
    group = Group(kind, images, defaultdict(list))
    for member, label in labels.items():
        name = tree.names[member].rpartition("/")[2]
        group.masks[useful[member].image].append(LabelledMask(member, name, label))
    group.lost = {member: Place(Role.MASK, masks[member].split, masks[member].path) for member in lost}
    fits = {Kind.CLASS: _are_classes, Kind.NUMBER: _are_numbered, Kind.OBSERVER: _are_observers}[kind]
    if 2 * len(group.masks) < len(images) or not fits(group, useful, needs_mark=needs_mark):
        return None
    return group


def _owned(images: Mapping[str, ImageAt], masks: Mapping[int, Spot]) -> tuple[dict[int, Owned], list[int]]:
    """Returns the owners of masks, and the masks that have none."""
    by_side: dict[Split | None, dict[str, str]] = defaultdict(dict)
    for key, image in images.items():
        by_side[image.place.split][key] = image.place.path.rpartition(".")[0]
    known = {side: Images(paths) for side, paths in by_side.items()}
    found, lost = {}, []
    for member, spot in masks.items():
        own = known[spot.split].owner(spot.path.rpartition(".")[0]) if spot.split in known else None
        if own is None:
            lost.append(member)
        else:
            found[member] = own
    return found, lost


def _kind(owned: Iterable[Owned]) -> Kind | None:
    """Returns what most of the masks' names say, beyond the image's own."""
    counts = Counter(kind for own in owned for kind in {own.ending.kind, own.folder.kind} - {Kind.WHOLE})
    return next((kind for kind in (Kind.CLASS, Kind.OBSERVER, Kind.NUMBER) if counts[kind]), None)


def _labels(owned: Mapping[int, Owned], kind: Kind) -> dict[int, str]:
    """Returns the label of each mask that has one of the kind: from its ending, or its folder's name.

    Where each ending has one folder, the folder's name says more: ``1. Microaneurysms`` than ``MA``.
    """
    endings = {m: own.ending.text for m, own in owned.items() if own.ending.kind is kind}
    in_folders = {m: own.folder.text for m, own in owned.items() if own.folder.kind is kind}
    if kind is Kind.NUMBER:
        return {m: own.ending.text for m, own in owned.items() if own.ending.kind in (kind, Kind.WHOLE)}
    both = {(folded(endings[m]), folded(in_folders[m])) for m in endings.keys() & in_folders.keys()}
    is_same = len(both) == len({e for e, _ in both}) == len({f for _, f in both})
    chosen = in_folders if not endings or (in_folders.keys() >= endings.keys() and is_same) else endings
    spelt: dict[str, str] = {}
    return {member: spelt.setdefault(folded(text), text) for member, text in chosen.items()}


def _are_classes(group: Group, owned: Mapping[int, Owned], *, needs_mark: bool) -> bool:
    """Whether the labels are classes: few, each in several images, several masks in an image, and none for a whole."""
    del needs_mark
    whole = {own.image for own in owned.values() if own.ending.kind is own.folder.kind is Kind.WHOLE}
    images_of: dict[str, set[str]] = defaultdict(set)
    for key, masks in group.masks.items():
        for mask in masks:
            images_of[mask.label].add(key)
    num_masks = sum(map(len, group.masks.values()))
    recurring = sum(len(images) for images in images_of.values() if len(images) > 1)
    several = sum(len(masks) > 1 for masks in group.masks.values())
    return (
        len(images_of) < MAX_CLASSES
        and 2 * len(whole) < len(group.images)
        and recurring >= _NEARLY_ALL * sum(map(len, images_of.values()))
        and several >= max(1, _FEW * len(group.masks))
        and num_masks >= _NEARLY_ALL * len(owned)
    )


def _are_numbered(group: Group, owned: Mapping[int, Owned], *, needs_mark: bool) -> bool:
    """Whether some images have several masks that are numbered, and no number may stand for an image that is
    missing.
    """
    numbered = [own for own in owned.values() if own.ending.kind is Kind.NUMBER]
    whole = {own.image for own in owned.values() if own.ending.kind is Kind.WHOLE}
    are_marked = all(own.ending.is_marked for own in numbered)
    are_all_numbered = 2 * len(whole) < len(group.masks) and not needs_mark
    return any(len(masks) > 1 for masks in group.masks.values()) and (are_marked or are_all_numbered)


def _are_observers(group: Group, owned: Mapping[int, Owned], *, needs_mark: bool) -> bool:
    """Whether most images have masks by several observers, and nothing else."""
    del needs_mark
    several = sum(len({mask.label for mask in masks}) > 1 for masks in group.masks.values())
    return 2 * several >= len(group.masks) and sum(map(len, group.masks.values())) >= _NEARLY_ALL * len(owned)
