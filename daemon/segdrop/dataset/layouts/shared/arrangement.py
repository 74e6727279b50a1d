"""Which files are images and which are masks, by the names of their folders or of the files themselves.

Folders have any usual name in any case (``images/`` and ``masks/``, ``imgs/`` and ``gt/``, see ``folders``), with
``train``, ``val`` and ``test`` folders outside, inside or in the name (``train_images/``). Where only the masks have
such a folder, all other images are theirs (SegNet's ``train/`` and ``trainannot/``). In one folder, ``x.jpg`` belongs
to ``x_mask.png`` or to ``x.png``.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import affixes, folders, rival_folders
from segdrop.dataset.layouts.shared.folders import Role, Spot
from segdrop.dataset.layouts.shared.pairing import Place
from segdrop.dataset.samples import Split, extension, is_image, pairing_key
from segdrop.errors import Issue

#: where two files have one name, the one whose kind is first here is the photograph: lossy, then bulky, then exact
_KINDS = (
    *("heic", "heif", "jpg", "jpeg", "jpe", "jfif", "webp"),
    *("bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm", "png", "gif"),
)
_ENOUGH_TO_GUESS = 2


@dataclass(slots=True)
class Plan:
    """Tells which files are images and masks, and by what that was seen."""

    reason: str
    places: dict[int, Place] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)
    is_loose: bool = False  #: whether one word of a longer name was all that said so


def plan(tree: Tree) -> Plan | None:
    """Returns the plan for a tree, kept for all views that only wrap this one, because it is asked
    for more than once.
    """
    known = "arrangement", tree.prefix
    if known not in tree.memo:
        tree.memo[known] = _planned(tree)
    found: Plan | None = tree.memo[known]
    return found


def _planned(tree: Tree) -> Plan | None:
    """Decide which files are images and masks, by the surest rule that applies."""
    spots = {member: folders.spot(path) for member, path in tree if is_image(path)}
    images = _chosen(spots.values(), Role.IMAGE)
    others = {member: spot for member, spot in spots.items() if spot.role is None and not folders.is_drawing(spot.path)}
    photos = {m: spot for m, spot in spots.items() if spot.word == images} if images else _below_shared(others)
    rivals = {member: spot for member, spot in spots.items() if spot.role is Role.MASK}
    chosen = rival_folders.chosen(tree, photos, rivals) if photos and rivals else None
    if chosen is None:
        return _together(tree) or _by_words(tree)
    if images:
        found = Plan(f"image files in folders named like '{images}' and '{chosen.word}'")
    else:
        found = Plan(f"image files beside a folder named like '{chosen.word}'")
        found.assumptions.append(f"no folder is named for images: all images outside {chosen.word}/ are meant")
    found.places = {member: Place(Role.IMAGE, spot.split, spot.path) for member, spot in photos.items()}
    found.places |= {member: _place(spot) for member, spot in rivals.items() if spot.word == chosen.word}
    found.assumptions += chosen.assumptions
    found.issues += chosen.issues
    return found


def _chosen(spots: Iterable[Spot], role: Role) -> str:
    """Returns the word of the preferred folder of a role, or "" if there is none."""
    return min({spot.word for spot in spots if spot.role is role}, key=folders.preference, default="")


def _place(spot: Spot) -> Place:
    return Place(spot.role or Role.IMAGE, spot.split, spot.path)


def _below_shared(others: dict[int, Spot]) -> dict[int, Spot]:
    """Returns images that have no folder of their own; what folders they have in common does not count."""
    if not others:
        return {}
    num_shared = affixes.num_shared_folders({spot.path.rpartition("/")[0] for spot in others.values()})
    return {member: replace(spot, path=spot.path.split("/", num_shared)[-1]) for member, spot in others.items()}


def _by_words(tree: Tree) -> Plan | None:
    """Returns a plan by folders of which one word says a role, where there is one of each."""
    spots = {m: folders.spot(path, folders.loosely) for m, path in tree if is_image(path)}
    images, masks = ({spot.word for spot in spots.values() if spot.role is role} for role in (Role.IMAGE, Role.MASK))
    if len(images) != 1 or len(masks) != 1:
        return None
    found = Plan("one folder with a word for images in its name, and one for masks", is_loose=True)
    found.places = {member: _place(spot) for member, spot in spots.items() if spot.role is not None}
    return found


def _together(tree: Tree) -> Plan | None:
    """Returns a plan for images and masks in the same folders, whose names mean nothing here."""
    spots = {member: _unroled(path) for member, path in tree if is_image(path) and not folders.is_drawing(path)}
    paths = {member: f"{split}/{path}" for member, (split, path) in spots.items()}
    if (found := _masks_among(paths)) is None:
        return None
    masks, reason = found
    arranged = Plan(f"images and masks in one folder: {reason}")
    for member, (split, path) in spots.items():
        arranged.places[member] = Place(Role.MASK if member in masks else Role.IMAGE, split, path)
    arranged.assumptions.append(f"images and masks are in one folder, {reason}")
    return arranged


def _masks_among(paths: Mapping[int, str]) -> tuple[set[int], str] | None:
    """Returns the members that are masks of the others, and by what that was seen; none unless half of the files pair
    up.

    It is told by names alone: ``x_mask.png`` beside ``x.jpg``, or ``x.png``.
    """
    by_ending, by_kind = _by_ending(paths), _by_kind(paths)
    masks = by_ending if len(by_ending) >= len(by_kind) else by_kind
    if not masks or 4 * len(masks) < len(paths):
        return None
    if masks is by_ending:
        return masks, "masks told apart from images by their names"
    if len(masks) < _ENOUGH_TO_GUESS:
        return None
    kinds = sorted({extension(paths[member]) for member in masks})
    others = sorted({extension(path) for member, path in paths.items() if member not in masks})
    return masks, f"each name once as {' or '.join(others)}, the image, and once as {' or '.join(kinds)}, the mask"


def _by_ending(paths: Mapping[int, str]) -> set[int]:
    """Returns the members whose names are those of others with the ending of a mask."""
    keys = {member: pairing_key(path) for member, path in paths.items()}
    cores = {member: affixes.core(key, Role.MASK) for member, key in keys.items()}
    known = set(keys.values()) | {
        image for key in keys.values() if (image := affixes.core(key, Role.IMAGE)) is not None
    }
    return {member for member, core in cores.items() if core is not None and core in known}


def _by_kind(paths: Mapping[int, str]) -> set[int]:
    """Returns, among files of one name, the one whose kind is the least like a photograph's."""
    groups: dict[str, list[int]] = defaultdict(list)
    for member, path in paths.items():
        groups[pairing_key(path)].append(member)
    masks = set()
    for members in groups.values():
        ranks = {member: _KINDS.index(extension(paths[member])) for member in members}
        if min(ranks.values()) < max(ranks.values()):
            masks.add(max(members, key=ranks.__getitem__))
    return masks


def _unroled(path: str) -> tuple[Split | None, str]:
    """Returns a path without its outermost folder of a split, and that split."""
    parts = path.split("/")
    for position, part in enumerate(parts[:-1]):
        if (found := folders.meaning(part)).is_side:
            return found.split, "/".join([*parts[:position], *parts[position + 1 :]])
    return None, path
