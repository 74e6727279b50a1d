"""The classic layout: ``images/`` and ``masks/``, and ``labels.txt`` beside them.

Folder names in any case; ``train``, ``val`` and ``test`` folders outside (``train/images/``) or inside
(``images/train/``). An image and its mask have the same path below their folders, whatever the extension.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from segdrop.codes import Severity
from segdrop.dataset import legends
from segdrop.dataset.samples import MaskFile, Reading, Sample, Split, extension, is_image, pairing_key
from segdrop.dataset.tree import Tree
from segdrop.errors import Issue

NAME = "paired"

#: by preference, where an archive has several
IMAGE_FOLDERS = ("images", "image", "imgs", "img")
MASK_FOLDERS = ("masks", "mask", "labels", "label", "annotations", "annotation", "gt")
SPLIT_FOLDERS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
}
_ROOT_FILES = {"segdrop.json"}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a path puts a file: in which of the folders, on which side, under which path below."""

    folder: str
    split: Split | None
    below: str


@dataclass(slots=True)
class _Side:
    """All images, or all masks, by split and key."""

    members: dict[tuple[Split | None, str], int] = field(default_factory=dict)
    clashes: list[int] = field(default_factory=list)

    def add(self, place: _Place, member: int) -> None:
        key = (place.split, pairing_key(place.below))
        if key in self.members:
            self.clashes += [self.members[key], member]
        else:
            self.members[key] = member


def _place(path: str) -> _Place | None:
    first, _, rest = path.partition("/")
    first = first.casefold()
    second, _, below = rest.partition("/")
    second = second.casefold()
    if first in SPLIT_FOLDERS and below and second in (*IMAGE_FOLDERS, *MASK_FOLDERS):
        return _Place(second, SPLIT_FOLDERS[first], below)
    if rest and first in (*IMAGE_FOLDERS, *MASK_FOLDERS):
        if below and second in SPLIT_FOLDERS:
            return _Place(first, SPLIT_FOLDERS[second], below)
        return _Place(first, None, rest)
    return None


def _folders(tree: Tree) -> tuple[str | None, str | None]:
    """The folder of images and the folder of masks, by name."""
    found = {place.folder for _, path in tree if is_image(path) and (place := _place(path))}
    images = next((name for name in IMAGE_FOLDERS if name in found), None)
    masks = next((name for name in MASK_FOLDERS if name in found), None)
    return images, masks


def signature(tree: Tree) -> str:
    images, masks = _folders(tree)
    return f"image files in {images}/ and {masks}/" if images and masks else ""


def explain(tree: Tree) -> list[Issue]:
    """What is missing in a tree that has only one of the two folders; nothing if it has neither."""
    for view in tree.views():
        folders = {place.folder for _, path in view if (place := _place(path))}
        images, masks = _folders(view)
        has_image_folder, has_mask_folder = folders & set(IMAGE_FOLDERS), folders & set(MASK_FOLDERS)
        if not (images or masks or (has_image_folder and has_mask_folder)):
            continue
        issues = []
        if images is None:
            issues.append(Issue.of("layout.no_images", _emptiness("images", bool(has_image_folder))))
        if masks is None:
            issues.append(Issue.of("layout.no_masks", _emptiness("masks", bool(has_mask_folder))))
        return issues
    return []


def _emptiness(folder: str, is_there: bool) -> str:  # noqa: FBT001  (one of two sentences)
    return f"{folder}/ holds no image file" if is_there else f"there is no {folder}/ folder with files in it"


def read(tree: Tree) -> Reading:
    """Pair images and masks; samples in the order of their keys."""
    image_folder, mask_folder = _folders(tree)
    images, masks = _Side(), _Side()
    strays, labels = [], legends.find(tree)
    for member, path in tree:
        place = _place(path)
        if place is not None and place.folder == image_folder and is_image(path):
            images.add(place, member)
        elif place is not None and place.folder == mask_folder and is_image(path):
            masks.add(place, member)
        elif path.casefold() not in _ROOT_FILES and member not in labels[:1]:
            strays.append(member)
    samples = [
        Sample(f"{split}/{key}" if split else key, image, MaskFile(masks.members[split, key]), split)
        for (split, key), image in images.members.items()
        if (split, key) in masks.members
    ]
    samples.sort(key=lambda sample: sample.key)
    names, issues = legends.read(tree, labels[0]) if labels else (None, [])
    issues += [
        *_ambiguous(tree, images, masks),
        *_unpaired(tree, images, masks, len(samples)),
        *_stray(tree, strays),
    ]
    return Reading(NAME, samples, names, issues)


def _ambiguous(tree: Tree, images: _Side, masks: _Side) -> Iterator[Issue]:
    for kind, side in (("image", images), ("mask", masks)):
        if side.clashes:
            files = list(dict.fromkeys(tree.names[member] for member in side.clashes))
            yield Issue.of("pair.ambiguous", f"{len(files)} files compete to be the same {kind}", files=files)


def _unpaired(tree: Tree, images: _Side, masks: _Side, num_pairs: int) -> Iterator[Issue]:
    """Left out with a warning while at least half of the files pair up, else a fault."""
    enough = 4 * num_pairs >= len(images.members) + len(masks.members)
    severity = Severity.WARNING if enough else Severity.FAULT
    for code, what, other, side, partners in (
        ("pair.missing_mask", "images have", "mask", images, masks),
        ("pair.missing_image", "masks have", "image", masks, images),
    ):
        lonely = sorted(tree.names[member] for key, member in side.members.items() if key not in partners.members)
        if lonely:
            message = f"{len(lonely)} of {len(side.members)} {what} no {other} of the same name" + (
                "; they are left out" if enough else ""
            )
            yield Issue.of(code, message, files=lonely, severity=severity)


def _stray(tree: Tree, members: list[int]) -> Iterator[Issue]:
    if members:
        names = sorted(tree.names[member] for member in members)
        kinds = sorted({extension(name) or "no extension" for name in names})
        yield Issue.of("layout.stray_file", f"{len(names)} files were left out ({', '.join(kinds[:8])})", files=names)
