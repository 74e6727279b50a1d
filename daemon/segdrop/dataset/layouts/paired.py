"""An image and a mask file for each: in folders named for them, or together in one folder.

Folders have any usual name in any case (``images/`` and ``masks/``, ``imgs/`` and ``gt/``, see ``folders``), with
``train``, ``val`` and ``test`` folders outside, inside or in the name (``train_images/``). Where only the masks have
such a folder, all other images are theirs (SegNet's ``train/`` and ``trainannot/``). An image and its mask have the
same path below their folders, whatever the extension, or one that differs by a prefix or an ending, see ``affixes``.
In one folder, ``x.jpg`` belongs to ``x_mask.png`` or to ``x.png``.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from segdrop.dataset import legends
from segdrop.dataset.layouts import affixes, folders, together
from segdrop.dataset.layouts.folders import SPLIT_FOLDERS, Role, Spot
from segdrop.dataset.layouts.pairing import Place, Sides
from segdrop.dataset.samples import Reading, Split, extension, is_image
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

__all__ = ["NAME", "SPLIT_FOLDERS", "explain", "read", "signature"]

NAME = "paired"

_UNREAD_KINDS = frozenset({"mat", "npy", "npz", "nii", "gz", "h5", "zip", "tar"})


@dataclass(slots=True)
class _Plan:
    """Which files are images and masks, by which reason; no reason, no pairs."""

    reason: str = ""
    places: dict[int, Place] = field(default_factory=dict)
    assumptions: list[str] = field(default_factory=list)


def _plan(tree: Tree) -> _Plan:
    spots = {member: folders.spot(path) for member, path in tree if is_image(path)}
    masks = _chosen(spots.values(), Role.MASK)
    images = _chosen(spots.values(), Role.IMAGE)
    if masks and images:
        reason = f"image files in folders named like '{images}' and '{masks}'"
        return _Plan(reason, {m: _place(s) for m, s in spots.items() if s.word in (images, masks) and s.role})
    others = {member: spot for member, spot in spots.items() if spot.role is None and not folders.is_drawing(spot.path)}
    if masks and others:
        return _beside(spots, others, masks)
    plan = _together(tree)
    return plan if plan.reason else _by_words(tree)


def _chosen(spots: Iterable[Spot], role: Role) -> str:
    """The word of the preferred folder of a role, nothing if there is none."""
    return min({spot.word for spot in spots if spot.role is role}, key=folders.preference, default="")


def _place(spot: Spot) -> Place:
    return Place(spot.role or Role.IMAGE, spot.split, spot.path)


def _beside(spots: dict[int, Spot], others: dict[int, Spot], masks: str) -> _Plan:
    """Masks have a folder, and images are all that is elsewhere: their own common folder does not count."""
    num_shared = affixes.num_shared([spot.path.split("/")[:-1] for spot in others.values()])
    plan = _Plan(f"image files beside a folder named like '{masks}'")
    for member, spot in spots.items():
        if member in others:
            plan.places[member] = Place(Role.IMAGE, spot.split, "/".join(spot.path.split("/")[num_shared:]))
        elif spot.word == masks:
            plan.places[member] = _place(spot)
    plan.assumptions.append(f"no folder is named for images: all images outside {masks}/ are meant")
    return plan


def _by_words(tree: Tree) -> _Plan:
    """Folders of which one word says a role, where there is one of each."""
    spots = {m: folders.spot(path, folders.loosely) for m, path in tree if is_image(path)}
    images, masks = ({spot.word for spot in spots.values() if spot.role is role} for role in (Role.IMAGE, Role.MASK))
    if len(images) != 1 or len(masks) != 1:
        return _Plan()
    plan = _Plan("one folder with a word for images in its name, and one for masks")
    plan.places = {member: _place(spot) for member, spot in spots.items() if spot.role is not None}
    return plan


def _together(tree: Tree) -> _Plan:
    """Images and masks in the same folders; a role in a folder's name means nothing here."""
    spots = {member: _unroled(path) for member, path in tree if is_image(path) and not folders.is_drawing(path)}
    paths = {member: f"{split}/{path}" for member, (split, path) in spots.items()}
    masks, reason = together.masks_among(paths)
    if not masks:
        return _Plan()
    plan = _Plan(f"images and masks in one folder: {reason}")
    for member, (split, path) in spots.items():
        plan.places[member] = Place(Role.MASK if member in masks else Role.IMAGE, split, path)
    plan.assumptions.append(f"images and masks are in one folder, {reason}")
    return plan


def _unroled(path: str) -> tuple[Split | None, str]:
    """A path without its outermost folder of a split."""
    parts = path.split("/")
    for position, part in enumerate(parts[:-1]):
        if (found := folders.meaning(part)).is_side:
            return found.split, "/".join([*parts[:position], *parts[position + 1 :]])
    return None, path


def signature(tree: Tree) -> str:
    return _plan(folders.root(tree)).reason


def read(tree: Tree) -> Reading:
    """Pair images and masks; ``DataError`` where the tree has no such folders or files."""
    tree = folders.root(tree)
    plan = _plan(tree)
    if not plan.reason:
        raise DataError(_missing(tree) or [Issue.of("layout.no_masks", "no image file has a name that says mask")])
    labels = legends.find(tree)[:1]
    sides = Sides(tree)
    for member, path in tree:
        sides.add(member, path, plan.places.get(member), is_used=member in labels)
    pairs = sides.pair(by_affixes=True)
    names, issues = legends.read(tree, labels[0]) if labels else (None, [])
    assumptions = [*plan.assumptions, *pairs.assumptions]
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], assumptions)


def explain(tree: Tree) -> list[Issue]:
    """What is missing in a tree that has only one of the two folders; nothing if it has neither."""
    return next((issues for view in tree.views() if (issues := _missing(view))), [])


def _missing(tree: Tree) -> list[Issue]:
    files: dict[Role | None, list[str]] = {Role.IMAGE: [], Role.MASK: [], None: []}
    for _, path in tree:
        files[folders.spot(path).role].append(path)
    has = {role: any(is_image(path) for path in files[role]) for role in Role}
    if not (any(has.values()) or all(files[role] for role in Role)):
        return []
    unread = [path for path in files[Role.MASK] if extension(path) in _UNREAD_KINDS]
    if unread and has[Role.IMAGE] and not has[Role.MASK]:
        kinds = ", ".join(sorted({extension(path) for path in unread}))
        return [Issue.of("layout.unsupported", f"the masks are {kinds} files", files=sorted(unread))]
    return [
        Issue.of(code, _emptiness(folder, is_there=bool(files[role])))
        for role, folder, code in (
            (Role.IMAGE, "images", "layout.no_images"),
            (Role.MASK, "masks", "layout.no_masks"),
        )
        if not has[role]
    ]


def _emptiness(folder: str, *, is_there: bool) -> str:
    return f"{folder}/ holds no image file" if is_there else f"there is no {folder}/ folder with files in it"
