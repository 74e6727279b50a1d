"""PASCAL VOC and all that is exported like it (CVAT "Segmentation mask 1.1", labelme2voc).

There are ``JPEGImages/`` and ``SegmentationClass/`` (or Deeplab's ``SegmentationClassRaw/``), split by
``ImageSets/Segmentation/*.txt``, named by ``labelmap.txt`` or ``class_names.txt``. Objects and boxes say nothing about
classes of pixels. Sources: VOC2012 development kit, ``devkit_doc.pdf``; cvat-ai/datumaro
``plugins/voc_format/exporter.py``; wkentaro/labelme ``labelme2voc.py``; tensorflow/models
``research/deeplab/datasets/remove_gt_colormap.py``.
"""

import re
from collections import Counter
from collections.abc import Collection
from dataclasses import replace

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import annotation_files, folders
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Pattern, Scheme
from segdrop.dataset.samples import Reading, Split, is_image, pairing_key
from segdrop.errors import DataError, Issue

NAME = "voc"

_SITE = r"(?P<site>(?:.*/)?)"
_SPLIT = r"(?:(?P<split>train|val|test)/)?"
#: folders of masks; Deeplab's scripts write the raw indices of the first into the last
_RAW = frozenset({"segmentationclassraw", "segmentationclass_raw"})
_MASK_FOLDERS = (
    *("segmentationclass", "segmentationclasspng", "segmentationclassaug", "segmentationclass_aug"),
    *sorted(_RAW),
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


def _scheme(masks: Collection[str]) -> Scheme:
    """Returns where images and masks are, with the folders of masks that are read, in lower case."""
    return Scheme(
        Pattern("jpegimages", rf"{_SPLIT}(?P<name>.+)\.[^./]+"),
        Pattern(f"(?:{'|'.join(masks)})", rf"{_SPLIT}(?P<name>.+)\.[^./]+"),
        (
            Pattern("segmentationobject(?:png|visualization)?"),
            Pattern("(?:segmentationclass(?:npy|visualization)|annotations|imagesets)"),
            Pattern("segmentationclass", r".+\.npy"),
            Pattern("segmentationclass_?raw"),
        ),
        is_by_site=True,
    )


_ANY = _scheme(_MASK_FOLDERS)


def signature(tree: Tree) -> str:
    """Returns by which folders the tree is known to be like PASCAL VOC, or ""."""
    if not _ANY.fits(tree):
        return ""
    has_raw_alone = _RAW.issuperset(_mask_folders(tree))
    return f"JPEGImages/ and SegmentationClass{'Raw' if has_raw_alone else ''}/"


def _mask_folders(tree: Tree) -> Counter[str]:
    """Returns the number of image files in each of the folders of masks."""
    parts = (part for _, path in tree if is_image(path) for part in path.casefold().split("/")[:-1])
    return Counter(part for part in parts if part in _MASK_FOLDERS)


def _chosen(tree: Tree) -> tuple[list[str], list[str]]:
    """Returns the folders of masks that are read, and why: the raw indices only where they are alone, else the folder
    with most masks; all that have as many, to be told apart by nobody.
    """
    found = _mask_folders(tree)
    left = {folder: count for folder, count in found.items() if folder not in _RAW} or dict(found)
    most = max(left.values(), default=0)
    chosen = [folder for folder in _MASK_FOLDERS if left.get(folder) == most]
    others = ", ".join(f"{folder}/ {count}" for folder, count in left.items() if folder not in chosen)
    return chosen, [f"{chosen[0]}/ has {most} masks, {others}: it alone is read"] if others else []


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks. Raises DataError where there are no images or no masks."""
    tree = folders.root(tree)
    labels = legends.gather(tree)
    lists, issues = _lists(tree)
    chosen, assumptions = _chosen(tree)
    scheme = _scheme(chosen or _MASK_FOLDERS)
    places = {member: place for member, path in tree if (place := scheme.place(path)) is not None}
    masked = {pairing_key(place.path) for place in places.values() if place.role is Role.MASK}
    files, num_unlisted = ImagesAndMasks(tree), 0
    for member, path in tree:
        place = places.get(member)
        if place is not None:
            key = pairing_key(place.path)
            if lists and key not in lists and key not in masked:
                num_unlisted += 1
                continue
            place = replace(place, split=place.split or lists.get(key))
        files.add(member, path, place, is_used=member in labels.members or scheme.knows(path))
    files.demand_both()
    pairs = files.pair()
    names, found = _names(tree, labels)
    assumptions += labels.assumptions
    if num_unlisted:
        assumptions.append(f"{num_unlisted} images are in no list of ImageSets/Segmentation/, and are left out")
    return Reading(NAME, pairs.samples, names, [*issues, *found, *pairs.issues], [*assumptions, *pairs.assumptions])


def _lists(tree: Tree) -> tuple[dict[str, Split | None], list[Issue]]:
    """Returns the side of each name in ``ImageSets/Segmentation/``. A list for training alone divides nothing."""
    found: dict[str, Split | None] = {}
    issues = []
    for path, member in sorted((path.casefold(), member) for member, path in tree):
        match = _LIST.fullmatch(path)
        if match is None:
            continue
        try:
            lines = annotation_files.text(tree, member).splitlines()
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


def _names(tree: Tree, labels: legends.Gathered) -> tuple[ClassNames | None, list[Issue]]:
    """Returns names from the file that lists them, or the challenge's own where the images are."""
    if labels.members:
        return labels.names, labels.issues
    if not any(_OWN_IMAGE.fullmatch(name.casefold()) for name in tree.names):
        return None, []
    numbered = tuple(enumerate(_CLASSES))
    return ClassNames("PASCAL VOC", numbered=numbered, ignored=frozenset({_BORDER}), is_template=True), []
