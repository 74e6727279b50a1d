"""CVAT's own format, "CVAT for images 1.1": ``annotations.xml`` and ``images/``.

Polygons, ellipses and masks are areas; boxes, lines, points and skeletons are not. They are painted by ``z_order``
(cvat/apps/dataset_manager/formats/cvat.py, ``dump_as_cvat_annotation``).
"""

import math
from array import array
from collections.abc import Iterator
from xml.etree import ElementTree as ET

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.layouts.shared.folders import SPLIT_FOLDERS
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Runs, Shape
from segdrop.errors import DataError

NAME = "cvat"

_LOOKED_AT = 3
_LINES = frozenset({"polyline", "points", "cuboid", "skeleton"})
#: what says something of an image, not of an object in it
_OF_WHOLE_IMAGES = frozenset({"tag", "attribute"})
#: types of labels that cannot have areas: no classes, unless they are used as such
_NO_AREA_LABELS = frozenset({"tag", "points", "polyline", "rectangle", "cuboid", "skeleton"})
_VIDEO = "it is CVAT's format for videos (tracks); export the task as `CVAT for images 1.1`"


def signature(tree: Tree) -> str:
    """Returns by which XML file the tree is known to be CVAT's, or ""."""
    for member, path in members(tree, "xml")[:_LOOKED_AT]:
        try:
            content = annotation_files.text(tree, member)
        except DataError:
            continue
        if "<annotations>" in content and "<meta>" in content and ("<image " in content or "<track " in content):
            return f"CVAT's annotations in {path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all XML files that are CVAT's."""
    found = Gathering(tree)
    labels: list[str] = []
    for member, path in members(tree, "xml"):
        try:
            root = annotation_files.load_xml(tree, member)
            if root.tag != "annotations":
                continue  # another tool's file, left out as a stray
            found.use(member)
            if root.find("track") is not None and root.find("image") is None:
                raise annotation_files.invalid(tree, member, _VIDEO)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        labels += _labels(root)
        folder = path.rpartition("/")[0]
        for _ in root.iterfind("track"):
            found.unknown(member, "track")
        for image in root.iterfind("image"):
            _read_image(found, member, folder, image, root.findtext("meta/task/subset") or "")
    return found.reading(NAME, labels, "the labels in CVAT")


def _labels(root: ET.Element) -> Iterator[str]:
    """Yields the names of labels that can have areas; those of a skeleton's points have a parent."""
    for label in root.iterfind("meta/*/labels/label"):
        name = (label.findtext("name") or "").strip()
        if name and not label.findtext("parent") and (label.findtext("type") or "any") not in _NO_AREA_LABELS:
            yield name


def _read_image(found: Gathering, member: int, folder: str, element: ET.Element, default_subset: str) -> None:
    """Gather one image with its areas."""
    name = element.get("name") or ""
    subset = element.get("subset") or default_subset
    below = "/".join(part for part in (folder, "images", subset) if part)
    image = found.find([name], member, below) if name else None
    if not name:
        found.invalid(member, "an image has no name")
    areas: list[Area] = []
    before = found.unread
    for _, shape in sorted(enumerate(element), key=lambda entry: (_layer(entry[1]), entry[0])):
        area = _shape(found, member, shape)
        if area is not None:
            found.counted(shape.tag)
            areas.append(((shape.get("label") or "").strip(), area))
    if image is not None:
        size = pixel_size(element.get("width"), element.get("height"))
        side = SPLIT_FOLDERS.get(subset.casefold())
        found.add(image, member, areas, size=size, split=side)
        found.note_unread(image, before)


def _layer(element: ET.Element) -> float:
    """Returns the ``z_order`` of an element, 0 where it has none."""
    try:
        layer = float(element.get("z_order") or 0)
    except ValueError:
        return 0
    return layer if math.isfinite(layer) else 0


def _shape(found: Gathering, member: int, element: ET.Element) -> Shape | None:
    """Returns the area of an element of an image, or None, with the reason on record."""
    if element.tag == "polygon":
        points = (element.get("points") or "").split(";")
        return found.outline(member, lambda: shapes.ring([_numbers(point, ",") for point in points]))
    if element.tag == "ellipse":
        return found.outline(member, lambda: _ellipse(element))
    if element.tag == "mask":
        return _mask(found, member, element)
    if element.tag == "box":
        found.box(member)
    elif element.tag in _LINES:
        found.no_area(member, element.tag)
    elif element.tag not in _OF_WHOLE_IMAGES:
        found.unknown(member, element.tag)
    return None


def _numbers(text: str, separator: str) -> list[float]:
    return [float(number) for number in text.split(separator)]


def _ellipse(element: ET.Element) -> "array[float]":
    """Returns the ring of an ellipse element. Raises ValueError where its numbers are none."""
    x, y, radius_x, radius_y = (float(element.get(key) or "nan") for key in ("cx", "cy", "rx", "ry"))
    return shapes.ellipse(x, y, radius_x, radius_y, math.radians(float(element.get("rotation") or 0)))


def _mask(found: Gathering, member: int, element: ET.Element) -> Runs | None:
    """Returns a mask's runs along the rows of a box, the first of them off, or None, with the reason on record."""
    try:
        lengths = array("I", map(int, (element.get("rle") or "").split(",")))
        left, top = (int(float(element.get(key) or "nan")) for key in ("left", "top"))
    except (ValueError, OverflowError) as error:
        found.invalid(member, f"a mask cannot be read ({error})")
        return None
    width, height = pixel_size(element.get("width"), element.get("height")) or (0, 0)
    if sum(lengths) != width * height:
        found.invalid(member, f"the runs of a mask have {sum(lengths)} pixels, its box {width}x{height}")
        return None
    return Runs(0, lengths, left, top, width, height, by_columns=False)
