"""Two readings of one archive: annotations or the folders of a tool on one hand, plain pairs of files on the other.

What explains most images is read, and that is said. Where both explain the same images, they can differ, and only the
request decides. Versions of one truth (``v1.2/`` and ``v2.0/``) are refused until one is left.
"""

import itertools
import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

from segdrop.codes import Code
from segdrop.dataset.archive.tree import HIDDEN, Tree
from segdrop.dataset.layouts import paired
from segdrop.dataset.layouts.shared import arrangement, folders
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.samples import Drawing, LabelledSample, Reading, is_image
from segdrop.errors import DataError, Issue

#: layouts that read plain pairs themselves
_READ_PAIRS = frozenset({"paired", "camvid"})
#: layouts whose tools write pictures of their truth into folders that are named for masks
_WITH_PICTURES = frozenset({"eiseg", "instances", "isat", "labelme-xml", "supervisely"})
#: layouts whose truth is in files of masks under names of their own: other masks beside those are by-products
_MASK_FILES = frozenset(
    {
        *("ade20k", "bdd100k", "cityscapes", "coco-panoptic", "huggingface", "isprs", "kitti", "label-studio-png"),
        *("mapillary-v1", "mapillary-v2", "nnunet", "oxford-pet", "retina", "roboflow-masks", "segments-ai"),
        *("several-masks", "superannotate", "twins"),
    }
)
#: so many times as many images have to be explained to win; more where they are other images
_MORE, _MORE_OF_OTHERS = 2, 4
_ENOUGH = 2
_VERSION = re.compile(r"(?:v|ver|version)[ _.-]?\d+(?:[._]\d+)*|\d+(?:\.\d+)+")


def apart(tree: Tree, found: Reading, read: Callable[[Tree], Reading]) -> Reading:
    """Returns what annotations say where masks of their images' own names hide which file they mean; else the reading
    as it was found. ``read`` reads a tree as the same layout.
    """
    if found.layout in _READ_PAIRS | _WITH_PICTURES | _MASK_FILES | {"voc"} or (other := _pairs(tree)) is None:
        return found
    masks = {member: tree.names[member].rpartition("/")[2].casefold() for member in _truths(other).values()}
    images = {tree.names[member].rpartition("/")[2].casefold() for member in _truths(other)}
    if len(_truths(found)) >= len(masks) or images.isdisjoint(masks.values()):
        return found
    try:
        again = read(tree.hiding(masks))
    except DataError:
        return found
    if len(_truths(again)) <= len(_truths(found)):
        return found
    issues = [replace(issue, files=tuple(name.removesuffix(HIDDEN) for name in issue.files)) for issue in again.issues]
    return replace(again, issues=issues, reason=found.reason)


def settled(tree: Tree, found: Reading) -> Reading:
    """Returns the reading that explains more images: the one found, or that of plain pairs.

    Raises DataError where both explain the same images.
    """
    if found.layout in _READ_PAIRS | _WITH_PICTURES:
        return found
    other = _pairs(tree)
    if other is None:
        return found
    ours, theirs = _truths(found), _without_own(tree, found, _truths(other))
    shared = ours.keys() & theirs.keys()
    if shared and all(ours[image] == theirs[image] for image in shared):
        return replace(found, runner_up=other.reason, why_not="they are the same masks")
    needed = _MORE if shared or not ours else _MORE_OF_OTHERS
    if len(theirs) >= max(_ENOUGH, needed * len(ours)):
        said = f"{_what(found)} tells areas in {len(ours)} images, {other.reason} in {len(theirs)}: the masks are read"
        lost = f"it tells areas in {len(ours)} images, the masks are of {len(theirs)}"
        return replace(other, assumptions=[said, *other.assumptions], runner_up=_what(found), why_not=lost)
    if found.layout in _MASK_FILES or 2 * len(shared) < len(ours) or len(ours) >= _MORE * len(theirs):
        lost = f"it pairs {len(theirs)} images, {len(shared)} of these {len(ours)} among them"
        return replace(found, runner_up=other.reason, why_not=lost)
    raise DataError([_rivalry(found, other, len(shared))])


def _pairs(tree: Tree) -> Reading | None:
    """Returns the reading as plain pairs, where names say clearly that there are some."""
    for view in tree.views():
        plan = arrangement.plan(folders.root(view))
        if plan is not None and not plan.is_loose:
            try:
                return replace(paired.read(view), reason=plan.reason)
            except DataError:
                return None
    return None


def _without_own(tree: Tree, found: Reading, truths: dict[int, int]) -> dict[int, int]:
    """Returns truths but for those in other folders of the layout's own, between which it has chosen."""
    if found.layout != "voc":
        return truths
    own = {member: "/segmentationclass" in f"/{tree.names[member].casefold()}" for member in truths.values()}
    kept = {sample.truth.member for sample in found.samples if isinstance(sample, LabelledSample)}
    return {image: member for image, member in truths.items() if member in kept or not own[member]}


def _truths(reading: Reading) -> dict[int, int]:
    """Returns the member that holds the truth of each image for which it says anything."""
    labelled = (sample for sample in reading.samples if isinstance(sample, LabelledSample))
    return {
        sample.image: sample.truth.member
        for sample in labelled
        if not isinstance(sample.truth, Drawing) or sample.truth.shapes
    }


def _what(reading: Reading) -> str:
    return f"`{reading.layout}` ({reading.reason})"


def _rivalry(found: Reading, other: Reading, num_shared: int) -> Issue:
    """Returns the fault for two readings of the same images."""
    message = f"{_what(found)} and {_what(other)} both have a truth for the same {num_shared} images, and it may differ"
    fix = (
        f'Set `"format": "{found.layout}"` or `"format": "{other.layout}"` in the request, '
        "or leave one of the two out of the ZIP."
    )
    return Issue.of(Code.LAYOUT_AMBIGUOUS, message, fix=fix)


def versions(tree: Tree) -> list[Issue]:
    """Returns a fault where folders named for versions, without photographs of their own, hold masks of one name."""
    names: dict[str, set[str]] = defaultdict(set)
    whole = set()
    for _, path in tree:
        parts = path.casefold().split("/")
        if (place := next((i for i, part in enumerate(parts[:-1]) if _VERSION.fullmatch(part)), None)) is None:
            continue
        role = folders.spot(path).role if is_image(path) else None
        if role is Role.MASK:
            names[parts[place]].add("/".join((*parts[:place], "*", *parts[place + 1 :])))
        elif role is Role.IMAGE:
            whole.add(parts[place])
    for one, other in itertools.combinations(sorted(names.keys() - whole), 2):
        if num_shared := len(names[one] & names[other]):
            message = f"folders {one}/ and {other}/ are two versions of the truth: they share {num_shared} names"
            fix = f"Leave {one}/ or {other}/ out of the ZIP, with the files that belong to it alone."
            return [Issue.of(Code.LAYOUT_AMBIGUOUS, message, count=num_shared, fix=fix)]
    return []
