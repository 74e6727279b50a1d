"""COCO instances and stuff: one JSON of images, categories and annotations, or one for each split.

Polygons, run lengths (as numbers or packed) and crowds are read, as written by COCO itself
(``instances_train2017.json``), CVAT (``annotations/instances_default.json``), Roboflow
(``train/_annotations.coco.json``), LabelMe and Label Studio.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import coco_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, pixel_size, split_of
from segdrop.dataset.layouts.shared.coco_files import Document, identity
from segdrop.dataset.layouts.shared.complaints import UPRIGHT
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.masks import rle
from segdrop.dataset.samples import Reading, Split

if TYPE_CHECKING:
    from array import array

NAME = "coco"

_BOX_CORNERS, _BOX_SIDES = 4, 2
_DRAWINGS = frozenset({"visualization", "visualizations"})


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be COCO's, or ""."""
    found = coco_files.candidates(tree, is_panoptic=False)
    return f"images, annotations and categories in {tree.names[found[0]]}" if found else ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images. Raises DataError where no JSON file has COCO's lists."""
    gathering = Gathering(tree, lambda path: not _DRAWINGS.intersection(path.casefold().split("/")))
    index = ImageIndex(tree, _DRAWINGS)
    documents = coco_files.read(tree, gathering, coco_files.candidates(tree, is_panoptic=False))
    found: dict[int, _Image] = {}
    # stuff lists the pixels of things too, as "other": things are drawn after it
    for layer, document in enumerate(sorted(documents, key=lambda document: not document.stem.startswith("stuff"))):
        _gather(document, layer, found, index, gathering)
    for member, image in found.items():
        areas = [area for *_, area in sorted(image.areas, key=lambda area: area[:2])]
        gathering.add(member, image.source, areas, size=image.size, split=image.split)
    gathering.assumptions.append("what no annotation covers is background; where areas overlap, the smaller is on top")
    return gathering.reading(NAME, coco_files.listed(documents, gathering), tree.names[documents[0].member])


@dataclass(slots=True)
class _Image:
    """The areas of an image with their places in the order of painting: the layer, then the larger first."""

    member: int
    source: int
    size: tuple[int, int] | None
    split: Split | None
    areas: list[tuple[int, float, Area]] = field(default_factory=list)


def _gather(document: Document, layer: int, found: dict[int, _Image], index: ImageIndex, gathering: Gathering) -> None:
    """Gather one file's images and annotations."""
    by_id: dict[str, _Image | None] = {}
    for number, entry, member in coco_files.images(document, index, gathering):
        if member is None:
            by_id[number] = None
            continue
        split = document.split or split_of(index.members[member])
        size = pixel_size(entry.get("width"), entry.get("height"))
        image = by_id[number] = found.setdefault(member, _Image(member, document.member, size, split))
        if None not in (image.split, split) and image.split is not split:
            gathering.clash(member, image.source, document.member)
        image.split = image.split or split
    for entry in document.annotations:
        number = identity(entry.get("image_id")) or ""
        title = document.titles.get(identity(entry.get("category_id")) or "")
        if number not in by_id or title is None:
            gathering.invalid(document.member, "the image or the category of an annotation is not listed")
        elif (owner := by_id[number]) is not None:
            before = gathering.unread
            owner.areas += ((layer, -size, area) for size, area in _areas(entry, title, owner, document, gathering))
            gathering.note_unread(owner.member, before)


def _areas(
    entry: dict[str, Any], title: str, image: _Image, document: Document, gathering: Gathering
) -> Iterator[tuple[float, Area]]:
    """Yields an annotation's parts with the number of pixels that they cover."""
    segmentation = entry.get("segmentation")
    if isinstance(segmentation, dict):
        try:
            runs = rle.runs(0, segmentation.get("size"), segmentation.get("counts"))
        except ValueError as error:
            gathering.invalid(document.member, str(error))
            return
        size = runs.width, runs.height
        if image.size not in (None, size):
            gathering.invalid(document.member, f"run lengths are of {size[0]}x{size[1]} pixels, their image is not")
            return
        image.size = size
        gathering.counted("mask")
        yield rle.covered(runs), (title, runs)
    elif not segmentation:
        if entry.get("keypoints"):
            gathering.box(document.member, "key points")
        elif entry.get("bbox"):
            gathering.box(document.member)
        else:
            gathering.no_area(document.member, "annotation without a segmentation")
    else:
        yield from _polygons(segmentation, title, document, gathering)


def _polygons(
    segmentation: object, title: str, document: Document, gathering: Gathering
) -> Iterator[tuple[float, Area]]:
    """Yields the polygons of a segmentation, with the areas within them."""
    parts = segmentation if isinstance(segmentation, list) else [segmentation]
    is_flat = all(isinstance(number, int | float) for number in parts)  # some tools leave the outer list out
    for flat in [parts] if is_flat else parts:
        if not isinstance(flat, list) or len(flat) % 2:
            gathering.invalid(document.member, "a polygon is no list of x and y in turn")
            continue
        make = partial(shapes.ring, zip(flat[0::2], flat[1::2], strict=True))
        if (outline := gathering.outline(document.member, make)) is not None:
            gathering.counted(UPRIGHT if _is_upright(outline.rings[0]) else "polygon")
            yield shapes.area(outline.rings[0]), (title, outline)


def _is_upright(ring: "array[float]") -> bool:
    """Whether a ring is a rectangle along the sides of the image, its first corner repeated or not."""
    if len(ring) > 2 * _BOX_CORNERS + 2:
        return False
    corners = {(x, y) for x, y in zip(ring[0::2], ring[1::2], strict=True)}
    return len(corners) == _BOX_CORNERS and all(len(set(ends)) == _BOX_SIDES for ends in zip(*corners, strict=True))
