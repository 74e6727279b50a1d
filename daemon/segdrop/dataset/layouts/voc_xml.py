"""PASCAL VOC's XML with a polygon in each object, as Roboflow writes it ("Pascal VOC" of a segmentation project).

A polygon's corners are ``<x1>``, ``<y1>``, ``<x2>``, ``<y2>`` and so on. Objects that have a ``<bndbox>`` alone are
boxes. Later objects lie over earlier ones.
"""

from collections.abc import Iterator
from functools import partial
from xml.etree import ElementTree as ET

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files, json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.samples import Reading
from segdrop.errors import DataError

NAME = "voc-xml"

_LOOKED_AT = 12


def signature(tree: Tree) -> str:
    """Returns by which XML file the tree is known to have VOC's objects with polygons, or ""."""
    for member, path in members(tree, "xml")[:_LOOKED_AT]:
        try:
            content = annotation_files.text(tree, member)
        except DataError:
            continue
        if all(f"<{tag}>" in content for tag in ("annotation", "object", "polygon", "x1")):
            return f"objects with polygons in {path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all XML files that are VOC's."""
    found = Gathering(tree, skip_folders=json_files.mask_folders(tree))
    for member, path in members(tree, "xml"):
        try:
            root = annotation_files.load_xml(tree, member)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        if root.tag == "annotation":
            found.use(member)
            _read_file(found, member, path, root)
    found.assumptions.append("where polygons overlap, the later in the file is on top")
    return found.reading(NAME, *found.listed_names())


def _read_file(found: Gathering, member: int, path: str, root: ET.Element) -> None:
    """Gather one file's image with its areas."""
    folder, _, name = path.rpartition("/")
    areas: list[Area] = []
    for entry in root.iter("object"):
        title = (entry.findtext("name") or "").strip()
        polygons = entry.findall("polygon")
        for polygon in polygons:
            outline = found.outline(member, partial(shapes.ring, list(_corners(polygon))))
            if outline is not None:
                found.counted("polygon")
                areas.append((title, outline))
        if not polygons:
            found.box(member)
    given = (root.findtext("filename") or "").strip()
    # a file that was renamed together with its image
    image = found.find([*([given] if given else []), name.rpartition(".")[0] + ".x"], member, folder)
    if image is not None:
        size = pixel_size(root.findtext("size/width"), root.findtext("size/height"))
        found.add(image, member, areas, size=size)


def _corners(polygon: ET.Element) -> Iterator[tuple[float, float]]:
    """Yields the corners in the order of their numbers, until one is missing; what is no number is NaN."""
    texts = {child.tag: child.text for child in polygon}
    number = 1
    while f"x{number}" in texts:
        yield _number(texts[f"x{number}"]), _number(texts.get(f"y{number}"))
        number += 1


def _number(text: str | None) -> float:
    try:
        return float(text or "nan")
    except ValueError:
        return float("nan")
