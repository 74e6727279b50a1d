"""Several masks for an image: one for each class, one for each area, or one by each observer.

A class is in the mask's name (``x_car.png``) or in its folder's (``car/x.png``); ``x_mask_1.png`` is one more mask of
what ``x_mask.png`` shows; of observers (``x_1stHO.png``) the first is read. What is not 0 in a binary mask belongs to
its class, and where two classes overlap the smaller area is on top. In Agriculture-Vision, ``masks/`` and
``boundaries/`` beside ``labels/<class>/`` say where an image is valid. Sources: BUSI (Al-Dhabyani
et al. 2020), IDRiD (Porwal et al. 2018), CelebAMask-HQ (Lee et al. 2020), CHASE_DB1 (Fraz et al. 2012),
Agriculture-Vision (Chiu et al. 2020).
"""

from collections import Counter
from dataclasses import dataclass, field, replace

from segdrop.codes import Code
from segdrop.dataset import class_names
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import folders, mask_groups, split_lists
from segdrop.dataset.layouts.shared.mask_groups import Group, LabelledMask
from segdrop.dataset.layouts.shared.owners import Kind
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Pairs
from segdrop.dataset.samples import LabelledSample, MaskFile, MaskUnion, Reading, Truth
from segdrop.errors import DataError, Issue

NAME = "several-masks"

_NEARLY_ALL = 0.9
_SHOWN = 6
_RENAME = (
    "Say in the masks' names what they show: x_car.png and x_tree.png for classes, x_mask.png and x_mask_1.png for "
    "areas of one class; or keep one mask for each image."
)


def signature(tree: Tree) -> str:
    """Returns by what the tree is known to have several masks for an image, or ""."""
    found = mask_groups.find(folders.root(tree))
    if found is None:
        return ""
    return {
        Kind.CLASS: "a mask for each class of an image",
        Kind.NUMBER: "several masks for an image, numbered",
        Kind.OBSERVER: "masks of each image by several observers",
    }.get(found.kind, "")


def read(tree: Tree) -> Reading:
    """Returns the images with what their masks show together. Raises DataError where no image has several."""
    tree = folders.root(tree)
    group = mask_groups.find(tree)
    if group is None:
        raise DataError([Issue.of(Code.LAYOUT_NO_MASKS, "no image has several masks whose names say what they show")])
    labels, lists = legends.find(tree)[:1], split_lists.find(tree)
    used = {*labels, *(found.member for found in lists), *(m for members in group.valid.values() for m in members)}
    used |= {mask.member for masks in group.masks.values() for mask in masks}
    listed, issues = legends.read(tree, labels[0]) if labels else (None, [])
    truths = _truths(group, listed)
    pairs = _paired(tree, group, truths.by_image, used)
    sides = split_lists.divided(tree, pairs.samples, lists)
    issues = [*issues, *group.issues, *truths.issues, *pairs.issues, *sides.issues]
    said = [*group.assumptions, *truths.assumptions, *pairs.assumptions, *sides.assumptions]
    return Reading(NAME, sides.samples, truths.names, issues, said)


@dataclass(slots=True)
class _Truths:
    """The truth of each image, by its key, and the names of the classes."""

    by_image: dict[str, Truth]
    names: ClassNames | None
    assumptions: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


def _truths(group: Group, listed: ClassNames | None) -> _Truths:
    if group.kind is Kind.OBSERVER:
        return _of_first_observer(group, listed)
    return _by_class(group, listed) if group.kind is Kind.CLASS else _by_number(group, listed)


def _of_first_observer(group: Group, listed: ClassNames | None) -> _Truths:
    """Returns the mask of each image's first observer as it is stored."""
    by_image: dict[str, Truth] = {}
    observers: Counter[str] = Counter(mask.label for masks in group.masks.values() for mask in masks)
    for key, masks in group.masks.items():
        by_image[key] = MaskFile(min(masks, key=lambda mask: (mask.label, mask.name)).member)
    example = next(iter(group.masks.values()))
    shown = ", ".join(mask.name for mask in sorted(example, key=lambda mask: mask.label)[:_SHOWN])
    said = (
        f"each image has masks by {len(observers)} observers ({shown}): the first one's are read, the others left out"
    )
    return _Truths(by_image, listed, [said])


def _by_number(group: Group, listed: ClassNames | None) -> _Truths:
    """Returns the union of each image's masks, which show one class."""
    by_image: dict[str, Truth] = {
        key: MaskUnion(
            tuple((mask.member, 1) for mask in sorted(masks, key=lambda mask: (len(mask.label), mask.label)))
        )
        for key, masks in group.masks.items()
    }
    several = [masks for masks in group.masks.values() if len(masks) > 1]
    shown = " and ".join(mask.name for mask in _in_order(several[0])[:_SHOWN])
    said = f"{len(several)} images have several masks, as {shown}: what is not 0 in any of them is one class"
    found = _Truths(by_image, _two_names(listed), [said])
    sets = Counter(frozenset(mask.label for mask in masks) for masks in group.masks.values())
    numbers, count = sets.most_common(1)[0]
    if len(numbers) > 1 and len(group.masks) > 2 and count >= _NEARLY_ALL * len(group.masks):  # noqa: PLR2004
        message = (
            f"{count} of {len(group.masks)} images have the same {len(numbers)} masks ({shown}), and their names do "
            "not say whether those are several masks of one class, classes or observers"
        )
        found.issues.append(Issue.of(Code.LAYOUT_AMBIGUOUS, message, count=count, fix=_RENAME))
    return found


def _in_order(masks: list[LabelledMask]) -> list[LabelledMask]:
    """Returns masks by their number, those without one first."""
    return sorted(masks, key=lambda mask: (len(mask.label), mask.label))


def _two_names(listed: ClassNames | None) -> ClassNames:
    """Returns background and the only class, named by a list where it has one name for it."""
    real = [name for name in (listed.listed if listed else ()) if not class_names.is_background(name)]
    source = listed.source if listed and len(real) == 1 else "the number of masks"
    return class_names.drawn({real[0] if len(real) == 1 else "foreground": 1}, source)


def _by_class(group: Group, listed: ClassNames | None) -> _Truths:
    """Returns each image's masks with the value of their class, in the order of a list that names all, or by name."""
    used = {mask.label for masks in group.masks.values() for mask in masks}
    order, source = sorted(used, key=str.casefold), "the names of the masks"
    if listed is not None and used <= set(listed.listed):
        order, source = list(listed.listed), listed.source
    values = class_names.numbers(order)
    names = class_names.drawn(values, source)
    by_image: dict[str, Truth] = {}
    for key, masks in group.masks.items():
        parts = tuple((mask.member, values[mask.label]) for mask in sorted(masks, key=lambda mask: mask.name))
        by_image[key] = MaskUnion(parts, is_smaller_on_top=True, must_be_binary=True, valid=group.valid.get(key, ()))
    if group.valid:
        names = replace(names, ignored=frozenset({MaskUnion.IGNORED}))
    shown = ", ".join(order[:_SHOWN]) + (", …" if len(order) > _SHOWN else "")
    said = (
        f"each class has a mask of its own ({shown}): they are merged, and the smaller area is on top where two overlap"
    )
    return _Truths(by_image, names, [said])


def _paired(tree: Tree, group: Group, truths: dict[str, Truth], used: set[int]) -> Pairs:
    """Returns the samples, with issues for images without a mask, masks without an image, and other files."""
    files = ImagesAndMasks(tree)
    roles = {image.member: image.place for image in group.images.values()} | group.lost
    by_member: dict[int, Truth] = {}
    for member, path in tree:
        if member in roles:
            files.add(member, path, roles[member])
        elif member not in used:
            files.add(member, path, None)
    for key, truth in truths.items():
        place = group.images[key].place
        by_member[truth.member] = truth
        files.masks.add(place.split, place.path, truth.member)
    pairs = files.pair()
    samples: list[LabelledSample] = [
        replace(sample, truth=by_member[sample.truth.member])
        for sample in pairs.samples
        if sample.truth.member in by_member
    ]
    return Pairs(samples, pairs.issues, pairs.assumptions)
