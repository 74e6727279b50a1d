"""LabelMe (labelme on the desktop, versions 2 to 5): a JSON file for each image, with polygons and other shapes.

The JSON may lie beside its image, in a folder of its own, or name it by a path from another machine. The copy of the
image inside the JSON (``imageData``) is not used. Shapes are drawn as LabelMe draws them (labelme/utils/shape.py,
``shapes_to_label``): in the order of the list, the later over the earlier.
"""

import base64
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.layouts.shared.complaints import RECTANGLE
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Bitmap, Shape
from segdrop.errors import DataError

if TYPE_CHECKING:
    from array import array

NAME = "labelme"

_LOOKED_AT = 3
_LINES = ("line", "linestrip", "point", "points")
#: boxes whose corners are learnt as well; the turned ones are of other programs that write this format
_BOXES = ("rectangle", "rotation", "oriented_rectangle")


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be LabelMe's, or ""."""
    for member, path in members(tree, "json")[:_LOOKED_AT]:
        try:
            content = annotation_files.text(tree, member)
        except DataError:
            continue
        if content.lstrip()[:1] == "{" and '"shapes"' in content and '"imagePath"' in content:
            return f"LabelMe's shapes and imagePath in {path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all JSON files that are LabelMe's."""
    found = Gathering(tree, _is_data)
    for member, path in members(tree, "json"):
        try:
            content = annotation_files.load_json(tree, member)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
            continue  # another tool's file, left out as a stray
        found.use(member)
        _read_file(found, member, path, content)
    return found.reading(NAME, *found.listed_names())


def _is_data(path: str) -> bool:
    """Whether an image is none that ``labelme_export_json`` and ``labelme_draw_json`` leave behind."""
    folders = path.casefold().split("/")[:-1]
    return not any(folder.endswith(("_json", "visualization")) for folder in folders)


def _read_file(found: Gathering, member: int, path: str, content: dict[str, Any]) -> None:
    """Gather one file's image with its areas."""
    folder, _, name = path.rpartition("/")
    given = content.get("imagePath")
    references = [given] if isinstance(given, str) and given else []
    # images that were renamed together with their JSON
    image = found.find([*references, name.rpartition(".")[0]], member, folder)
    areas: list[Area] = []
    before = found.unread
    for entry in content["shapes"]:
        if not isinstance(entry, dict) or not isinstance(entry.get("label"), str):
            found.invalid(member, "a shape is no object with a label")
        elif (shape := _shape(found, member, entry)) is not None:
            kind = str(entry.get("shape_type") or "polygon")
            found.counted(RECTANGLE if kind in _BOXES else kind)
            areas.append((entry["label"].strip(), shape))
    if image is not None:
        size = pixel_size(content.get("imageWidth"), content.get("imageHeight"))
        found.add(image, member, areas, size=size)
        found.note_unread(image, before)


def _shape(found: Gathering, member: int, entry: dict[str, Any]) -> Shape | None:
    """Returns the area of a shape, or None, with the reason on record."""
    kind, points = str(entry.get("shape_type") or "polygon"), entry.get("points")
    if not isinstance(points, list):
        found.invalid(member, "a shape has no points")
    elif kind in _LINES:
        found.no_area(member, kind)
    elif kind == "mask":
        return _mask(found, member, entry.get("mask"), points)
    elif kind in _OUTLINES:
        return found.outline(member, lambda: _OUTLINES[kind](points))
    else:
        found.unknown(member, kind)
    return None


def _rectangle(points: list[Any]) -> "array[float]":
    """Returns a rectangle by two opposite corners; some tools write all four."""
    corners = shapes.ring(points)
    xs, ys = corners[0::2], corners[1::2]
    return shapes.rectangle(min(xs), min(ys), max(xs), max(ys))


def _circle(points: list[Any]) -> "array[float]":
    """Returns a circle by its centre and a point on it."""
    (x, y), (edge_x, edge_y) = points
    radius = math.hypot(edge_x - x, edge_y - y)
    return shapes.ellipse(x, y, radius, radius)


#: the ring of a shape by its type; versions 2 and 3 name none, and know polygons only
_OUTLINES: dict[str, Callable[[list[Any]], "array[float]"]] = {
    "polygon": shapes.ring,
    "oriented_rectangle": shapes.ring,
    "rotation": shapes.ring,
    "rectangle": _rectangle,
    "circle": _circle,
}


def _mask(found: Gathering, member: int, encoded: object, points: list[Any]) -> Bitmap | None:
    """Returns a small image (base64) whose upper left pixel is at the first point, or None, with
    the reason on record.
    """
    try:
        corner = shapes.ring(points)
        content = base64.b64decode(encoded if isinstance(encoded, str) else "?", validate=True)
        return Bitmap(0, content, round(corner[0]), round(corner[1]))
    except (TypeError, ValueError, LookupError) as error:
        found.invalid(member, f"a mask cannot be read ({error})")
        return None
