"""The Oxford-IIIT Pet dataset: ``images/`` and ``annotations/trimaps/``, of which 1 is the pet, 2 the background and 3
the border between them.

``annotations/trainval.txt`` and ``test.txt`` say the side of each image. Source: the dataset's ``annotations/README``
(Parkhi et al. 2012).
"""

import re
from dataclasses import replace

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.pairing import Pattern, Scheme
from segdrop.dataset.samples import LabelledSample, Reading, Split, pairing_key
from segdrop.errors import DataError, Issue

NAME = "oxford-pet"

_SCHEME = Scheme(
    Pattern("images", r"(?P<name>[^/]+)\.[^./]+"),
    Pattern("annotations/trimaps", r"(?P<name>[^/]+)\.png"),
    (
        Pattern("annotations", r"(?:list|trainval|test)\.txt|readme(?:\.\w+)?|xmls/.+"),
        Pattern("images", r"[^/]+\.mat"),
    ),
)
_NAMES = ClassNames(
    "the README of Oxford-IIIT Pet (1 pet, 2 background, 3 the border between them)",
    numbered=((1, "pet"), (2, "background"), (3, "border")),
    is_template=True,
)
_LIST = re.compile(r"(?:.*/)?annotations/(trainval|test)\.txt")
_SIDES = {"trainval": Split.TRAIN, "test": Split.TEST}


def signature(tree: Tree) -> str:
    """Returns by which folders the tree is known to be Oxford-IIIT Pet, or ""."""
    return "images/ and annotations/trimaps/" if _SCHEME.fits(tree) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and trimaps, on the sides that the dataset's lists say."""
    pairs = _SCHEME.collect(tree).pair()
    sides, issues = _sides(tree)
    samples = [_on_its_side(sample, sides) for sample in pairs.samples]
    said = [*pairs.assumptions]
    if any(sample.split for sample in samples):
        said.append("annotations/trainval.txt and test.txt say which images are for training and which for the test")
    return Reading(NAME, samples, _NAMES, [*issues, *pairs.issues], said)


def _on_its_side(sample: LabelledSample, sides: dict[str, Split]) -> LabelledSample:
    return replace(sample, split=sides.get(sample.key.rpartition("/")[2]))


def _sides(tree: Tree) -> tuple[dict[str, Split], list[Issue]]:
    """Returns the side of each name that just one of the dataset's two lists has; none where one list is missing."""
    listed: dict[Split, set[str]] = {}
    issues: list[Issue] = []
    for member, path in tree:
        if (found := _LIST.fullmatch(path.casefold())) is not None:
            try:
                lines = annotation_files.text(tree, member).splitlines()
            except DataError as error:
                issues += error.issues
                continue
            names = (line.split(maxsplit=1)[0] for line in lines if line.strip() and not line.startswith("#"))
            listed[_SIDES[found[1]]] = {pairing_key(f"{name}.jpg") for name in names}
    if len(listed) < len(_SIDES):
        return {}, issues
    both = set.intersection(*listed.values())
    return {name: side for side, names in listed.items() for name in names - both}, issues
