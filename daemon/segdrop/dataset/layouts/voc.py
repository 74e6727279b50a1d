"""PASCAL VOC and all that is exported like it (CVAT "Segmentation mask 1.1", labelme2voc).

``JPEGImages/`` and ``SegmentationClass/``, split by ``ImageSets/Segmentation/*.txt``, named by ``labelmap.txt`` or
``class_names.txt``. Objects and boxes say nothing about classes of pixels. Sources: VOC2012 development kit,
``devkit_doc.pdf``; cvat-ai/datumaro ``plugins/voc_format/exporter.py``; wkentaro/labelme ``labelme2voc.py``.
"""

import re
from dataclasses import replace

from segdrop.dataset import annotations, legends
from segdrop.dataset.layouts import folders
from segdrop.dataset.layouts.folders import Role
from segdrop.dataset.layouts.pairing import Scheme, Sides
from segdrop.dataset.names import Names
from segdrop.dataset.samples import Reading, Split, pairing_key
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

NAME = "voc"

_SITE = r"(?P<site>(?:.*/)?)"
_SPLIT = r"(?:(?P<split>train|val|test)/)?"
_SCHEME = Scheme(
    re.compile(rf"{_SITE}jpegimages/{_SPLIT}(?P<name>.+)\.[^./]+"),
    re.compile(rf"{_SITE}segmentationclass(?:png|aug|_aug)?/{_SPLIT}(?P<name>.+)\.[^./]+"),
    re.compile(
        r"(?:.*/)?(?:segmentationobject(?:png|visualization)?|segmentationclass(?:npy|visualization)|annotations"
        r"|imagesets)/.+|(?:.*/)?segmentationclass/.+\.npy"
    ),
)
_LIST = re.compile(rf"{_SITE}imagesets/segmentation/(?P<list>[^/]+)\.txt")
_OWN_IMAGE = re.compile(r"(?:.*/)?(?:jpegimages/20(?:0[7-9]|1[0-2])_\d{6}|voc2007/jpegimages/00\d{4})\.jpg")
#: the classes of the challenge itself; 255 is the border between objects
_CLASSES = (
    *("background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow"),
    *("diningtable", "dog", "horse", "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor"),
)
_BORDER = 255
_QUOTES = ' \t"'


def signature(tree: Tree) -> str:
    return "JPEGImages/ and SegmentationClass/" if _SCHEME.fits(tree) else ""


def read(tree: Tree) -> Reading:
    tree = folders.root(tree)
    labels = legends.find(tree)[:1]
    lists, issues = _lists(tree)
    places = {member: place for member, path in tree if (place := _SCHEME.place(path)) is not None}
    masked = {pairing_key(place.path) for place in places.values() if place.role is Role.MASK}
    sides, num_unlisted = Sides(tree), 0
    for member, path in tree:
        place = places.get(member)
        if place is not None:
            key = pairing_key(place.path)
            if lists and key not in lists and key not in masked:
                num_unlisted += 1
                continue
            place = replace(place, split=place.split or lists.get(key))
        sides.add(member, path, place, is_used=member in labels or _SCHEME.knows(path))
    sides.demand_both()
    pairs = sides.pair()
    names, found, assumptions = _names(tree, labels)
    if num_unlisted:
        assumptions.append(f"{num_unlisted} images are in no list of ImageSets/Segmentation/, and are left out")
    return Reading(NAME, pairs.samples, names, [*issues, *found, *pairs.issues], [*assumptions, *pairs.assumptions])


def _lists(tree: Tree) -> tuple[dict[str, Split | None], list[Issue]]:
    """The side of each name in ``ImageSets/Segmentation/``. A list for training alone divides nothing."""
    found: dict[str, Split | None] = {}
    issues = []
    for path, member in sorted((path.casefold(), member) for member, path in tree):
        match = _LIST.fullmatch(path)
        if match is None:
            continue
        try:
            lines = annotations.text(tree, member).splitlines()
        except DataError as error:
            issues += error.issues
            continue
        side = folders.meaning(match["list"])
        for line in lines:
            # names with spaces are quoted
            key = pairing_key(f"{match['site']}{line.strip(_QUOTES)}.x")
            found[key] = found.get(key) or (side.split if side.is_side else None)
    if not {Split.VAL, Split.TEST} & set(found.values()):
        return dict.fromkeys(found), issues
    return found, issues


def _names(tree: Tree, labels: list[int]) -> tuple[Names | None, list[Issue], list[str]]:
    """From the file that names them, or the challenge's own where the images are."""
    if labels:
        names, issues = legends.read(tree, labels[0])
        return names, issues, []
    if not any(_OWN_IMAGE.fullmatch(name.casefold()) for name in tree.names):
        return None, [], []
    said = "no file names the classes, and the images are named like those of PASCAL VOC: its 21 classes are meant"
    own = Names("PASCAL VOC", numbered=tuple(enumerate(_CLASSES)), ignored=frozenset({_BORDER}))
    return own, [], [said]
