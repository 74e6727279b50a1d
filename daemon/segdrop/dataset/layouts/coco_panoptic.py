"""COCO panoptic: a JSON whose annotations name a PNG each, in which colours are ids of segments (R + 256 G + 65536 B).

Pixels without a segment are void: nothing labels them, so they are ignored.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.layouts.shared import coco_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, split_of
from segdrop.dataset.layouts.shared.coco_files import Document, identity
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.samples import Coding, LabelledSample, MaskFile, Reading, extension
from segdrop.dataset.shapes import Polygon

NAME = "coco-panoptic"


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be COCO panoptic, or ""."""
    if not any(extension(path) == "png" for _, path in tree):
        return ""  # COCO's own archive has the masks in a ZIP of their own, and is read by its polygons
    found = coco_files.candidates(tree, is_panoptic=True)
    return f"segments_info in {tree.names[found[0]]}, and PNG files" if found else ""


class _Segments(Gathering):
    """Gathers images with the names of their segments: the areas are in mask files."""

    def leave_out(self, masks: Collection[int]) -> None:
        """Take these files for truth, not for images."""
        for mask in masks:
            self._images.pop(mask, None)


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks of segments. Raises DataError where no JSON file has COCO's lists."""
    gathering = _Segments(tree)
    documents = coco_files.read(tree, gathering, coco_files.candidates(tree, is_panoptic=True))
    everything = ImageIndex(tree)
    masks = {(document.member, name): mask for document in documents for name, mask in _masks(document, everything)}
    truths = set(masks.values())
    gathering.leave_out(truths)
    index = ImageIndex(tree, _folders_of(truths, everything))
    found: dict[int, tuple[int, dict[int, str]]] = {}
    for document in documents:
        images = {number: image for number, _, image in coco_files.images(document, index, gathering)}
        for entry in document.annotations:
            number = identity(entry.get("image_id")) or ""
            mask = masks.get((document.member, str(entry.get("file_name"))))
            if number not in images or not isinstance(entry.get("segments_info"), list):
                gathering.invalid(document.member, "an annotation has no listed image, or no segments_info")
            elif (image := images[number]) is not None and mask is not None and image not in truths:
                titles = _titles(document, entry, gathering)
                split = document.split or split_of(gathering.paths[image])
                areas: list[Area] = [(title, Polygon(0, ())) for title in dict.fromkeys(titles.values())]
                gathering.add(image, mask, areas, split=split)
                found.setdefault(image, (mask, titles))
    listed = coco_files.listed(documents, gathering)
    return _with_masks(gathering.reading(NAME, listed, tree.names[documents[0].member]), listed, found)


def _masks(document: Document, index: ImageIndex) -> list[tuple[str, int]]:
    """Returns the PNG files that annotations name; they lie in a folder named after the JSON, or beside it."""
    near = f"{document.folder}/{document.stem}".lstrip("/")
    images = {str(entry.get("file_name")) for entry in document.images if isinstance(entry, dict)}
    found = []
    for entry in document.annotations:
        name = str(entry.get("file_name"))
        mask = index.find(name, near)
        path = index.members.get(mask, "").casefold() if mask is not None else ""
        # a mask with the name of the image has to lie where masks are, or the image itself is meant
        if mask is not None and extension(path) == "png" and (name not in images or path.startswith(near.casefold())):
            found.append((name, mask))
    return found


def _folders_of(masks: Collection[int], index: ImageIndex) -> frozenset[str]:
    """Returns the names of the folders that hold masks and nothing else."""
    folders: tuple[set[str], set[str]] = set(), set()
    for member, path in index.members.items():
        folders[member in masks].update(path.casefold().split("/")[-2:-1])
    return frozenset(folders[True] - folders[False])


def _titles(document: Document, entry: dict[str, Any], gathering: Gathering) -> dict[int, str]:
    """Returns class names by the segments' ids."""
    titles = {}
    for info in coco_files.segments_of(entry):
        title, number = document.titles.get(identity(info.get("category_id")) or ""), info.get("id")
        if title is None or not isinstance(number, int):
            gathering.invalid(document.member, "a segment has no id, or a category that is not listed")
        else:
            titles[number] = title
    return titles


def _with_masks(reading: Reading, listed: list[str], found: dict[int, tuple[int, dict[int, str]]]) -> Reading:
    """Returns the reading with masks for truth. Value 0 is void here, not the background."""
    values = {title: value for value, title in enumerate(dict.fromkeys(listed), start=1)}
    samples = []
    for sample in reading.samples:
        mask, titles = found[sample.image]
        relabel = {number: values[title] for number, title in titles.items()}
        truth = MaskFile(mask, Coding.SEGMENTS, relabel)
        samples.append(LabelledSample(sample.key, sample.image, sample.split, truth))
    if reading.names is None:
        return replace(reading, samples=samples)
    numbered = tuple((value, title) for title, value in values.items())
    names = ClassNames(reading.names.source, numbered=numbered, ignored=frozenset({0}))
    said = "pixels of no segment (value 0) are void"
    return replace(reading, samples=samples, names=names, assumptions=[*reading.assumptions, said])
