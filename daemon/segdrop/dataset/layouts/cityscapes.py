"""Cityscapes: ``leftImg8bit/<split>/<city>/…_leftImg8bit.png`` and ``gtFine/`` or ``gtCoarse/`` beside it.

From a ``gt…`` folder, one kind of mask is read: train ids or ids. Instances, colours and polygons say nothing more
about classes, and are read only where there are no ids. Source: mcordts/cityscapesScripts, README.
"""

from collections import Counter

from segdrop.codes import Code
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts import cityscapes_substitutes
from segdrop.dataset.layouts.cityscapes_substitutes import Kind
from segdrop.dataset.layouts.shared import folders, street_labels
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Pattern, Place, Scheme
from segdrop.dataset.samples import Reading
from segdrop.errors import DataError, Issue

NAME = "cityscapes"

_IMAGES = Pattern("leftimg8bit", r"(?:(?P<split>[^/]+)/)?(?P<name>.+)_leftimg8bit\.[^./]+")
_OTHERS = (Pattern("gt(?:fine|coarse)", r".+_gt(?:fine|coarse)_\w++\.(?:png|json)"),)


def _masks(grade: str, kind: str) -> Pattern:
    """Returns the pattern of masks of a grade (fine, coarse) and a kind (of ids)."""
    below = rf"(?:(?P<split>[^/]+)/)?(?P<name>.+)_gt(?:{grade})_label(?P<kind>{kind})ids\.png"
    return Pattern(f"gt(?P<grade>{grade})", below)


_ANY_MASK = _masks("fine|coarse", "train|")


def _scheme(grade: str, kind: str) -> Scheme:
    return Scheme(_IMAGES, _masks(grade, kind), _OTHERS)


def _substitute(grade: str, kind: Kind) -> Pattern:
    """Returns the pattern of files of a grade that stand in for ids."""
    ending = kind.value.casefold().replace(".", r"\.")
    return Pattern(f"gt(?P<grade>{grade})", rf"(?:(?P<split>[^/]+)/)?(?P<name>.+)_gt(?:{grade})_{ending}")


_ANY_SUBSTITUTE = tuple(_substitute("fine|coarse", kind) for kind in Kind)


def signature(tree: Tree) -> str:
    """Returns by which folders the tree is known to be Cityscapes, or ""."""
    if Scheme(_IMAGES, _ANY_MASK, _OTHERS).fits(tree):
        return "leftImg8bit/ and gtFine/ or gtCoarse/"
    paths = [folded for _, path in tree if "_leftimg8bit." in (folded := path.casefold()) or "_gt" in folded]
    if any(map(_IMAGES.groups, paths)) and any(pattern.groups(path) for path in paths for pattern in _ANY_SUBSTITUTE):
        return "leftImg8bit/ and gtFine/ or gtCoarse/, without labelIds"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks of one grade and one kind of ids, or of what stands in for them.

    Raises DataError where there are no such masks.
    """
    kinds: Counter[tuple[str, str]] = Counter()
    for _, path in tree:
        if (groups := _ANY_MASK.groups(path.casefold())) is not None:
            # the pattern has a grade twice, which an honest file has alike
            kinds[groups["grade"] or "", groups["kind"] or ""] += 1
    if not kinds:
        return _read_substitute(tree)
    grade = "fine" if any(found == "fine" for found, _ in kinds) else "coarse"
    # train ids are made by a script, which may have been stopped early
    kind = "train" if 2 * kinds[grade, "train"] > kinds[grade, ""] else ""
    pairs = _scheme(grade, kind).collect(tree, legends.find(tree)[:1]).pair()
    said = f"gt{grade.title()}/ and its label{kind.title()}Ids are read"
    if len(kinds) > 1:
        said += ", no other masks"
    names, issues = street_labels.names(tree, street_labels.TRAIN_IDS if kind else street_labels.LABEL_IDS)
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], [said, *pairs.assumptions])


def _read_substitute(tree: Tree) -> Reading:
    """Returns the pairs of images and the kind of truth that most images have, the surest kind among equals."""
    counts: Counter[tuple[str, Kind]] = Counter()
    for _, path in tree:
        for kind, pattern in zip(Kind, _ANY_SUBSTITUTE, strict=True):
            if (groups := pattern.groups(path.casefold())) is not None:
                counts[groups["grade"] or "", kind] += 1
    if not counts:
        message = "there is no …_labelIds.png, …_labelTrainIds.png, …_instanceIds.png, …_polygons.json or …_color.png"
        raise DataError([Issue.of(Code.LAYOUT_NO_MASKS, message)])
    grade = "fine" if any(found == "fine" for found, _ in counts) else "coarse"
    order = list(Kind)
    kind = max(order, key=lambda kind: (counts[grade, kind], -order.index(kind)))
    used = legends.find(tree)[:1]
    files = ImagesAndMasks(tree)
    for member, path in folders.root(tree):
        known = member in used or any(pattern.groups(path.casefold()) for pattern in _OTHERS)
        files.add(member, path, _place(path.casefold(), _substitute(grade, kind)), is_used=known)
    files.demand_both()
    pairs = files.pair()
    names, issues = street_labels.names(tree, street_labels.LABEL_IDS)
    if kind is Kind.COLOURS and names is not street_labels.LABEL_IDS:
        # a project of other classes, in these folders: its legend has the colours
        legend, issues = legends.read(tree, used[0])
        return Reading(NAME, pairs.samples, legend, [*issues, *pairs.issues], pairs.assumptions)
    found = cityscapes_substitutes.read(tree, kind, pairs.samples)
    said = [found.said, *pairs.assumptions]
    return Reading(NAME, found.samples, names, [*issues, *pairs.issues, *found.issues], said)


def _place(path: str, truths: Pattern) -> Place | None:
    """Returns where a file stands, by its path in lower case, or None where it is no image and no truth."""
    for role, pattern in ((Role.MASK, truths), (Role.IMAGE, _IMAGES)):
        if (groups := pattern.groups(path)) is not None:
            folder = groups["split"] or ""
            split = folders.meaning(folder).split
            kept = f"{folder}/" if folder and split is None else ""
            return Place(role, split, f"{kept}{groups['name']}.x")
    return None
