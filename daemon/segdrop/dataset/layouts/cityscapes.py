"""Cityscapes: ``leftImg8bit/<split>/<city>/…_leftImg8bit.png`` and ``gtFine/`` or ``gtCoarse/`` beside it.

Of what a ``gt…`` folder holds, one kind of mask is read: train ids or ids. Instances, colours and polygons say nothing
more about classes. Source: mcordts/cityscapesScripts, README.
"""

import re
from collections import Counter

from segdrop.dataset import legends
from segdrop.dataset.layouts import street_labels
from segdrop.dataset.layouts.pairing import Scheme
from segdrop.dataset.samples import Reading
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

NAME = "cityscapes"

_IMAGES = re.compile(r"(?:.*/)?leftimg8bit/(?:(?P<split>[^/]+)/)?(?P<name>.+)_leftimg8bit\.[^./]+")
_MASKS = r"(?:.*/)?gt{grade}/(?:(?P<split>[^/]+)/)?(?P<name>.+)_gt{grade}_label{kind}ids\.png"
_ANY_MASK = re.compile(_MASKS.format(grade="(fine|coarse)", kind="(train|)"))
_OTHERS = re.compile(r"(?:.*/)?gt(fine|coarse)/.+_gt(fine|coarse)_\w+\.(png|json)")


def _scheme(grade: str, kind: str) -> Scheme:
    return Scheme(_IMAGES, re.compile(_MASKS.format(grade=grade, kind=kind)), _OTHERS)


def signature(tree: Tree) -> str:
    return "leftImg8bit/ and gtFine/ or gtCoarse/" if Scheme(_IMAGES, _ANY_MASK, _OTHERS).fits(tree) else ""


def read(tree: Tree) -> Reading:
    kinds: Counter[tuple[str, str]] = Counter()
    for _, path in tree:
        if (match := _ANY_MASK.fullmatch(path.casefold())) is not None:
            # the pattern names a grade twice, which an honest file has alike
            kinds[match[1], match[5]] += 1
    if not kinds:
        raise DataError([Issue.of("layout.no_masks", "there is no …_labelIds.png or …_labelTrainIds.png")])
    grade = "fine" if any(found == "fine" for found, _ in kinds) else "coarse"
    # train ids are made by a script, which may have been stopped early
    kind = "train" if 2 * kinds[grade, "train"] > kinds[grade, ""] else ""
    pairs = _scheme(grade, kind).sides(tree, legends.find(tree)[:1]).pair()
    said = f"gt{grade.title()}/ and its label{kind.title()}Ids are read"
    if len(kinds) > 1:
        said += ", no other masks"
    names, issues = street_labels.names(tree, street_labels.TRAIN_IDS if kind else street_labels.LABEL_IDS)
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], [said, *pairs.assumptions])
