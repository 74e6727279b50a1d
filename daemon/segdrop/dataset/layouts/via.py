"""VGG Image Annotator: what its versions 1 to 3 save and export (JSON of a project or of annotations, CSV).

Polygons, rectangles, circles and ellipses are areas, painted in the order of the list. Classes are the values of one
region attribute: VIA knows attributes only, and which of them names the class has to be found out.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from segdrop.codes import Code
from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts import via_files
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members
from segdrop.dataset.layouts.shared.complaints import RECTANGLE, plain
from segdrop.dataset.layouts.via_files import ImageRecord
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Polygon
from segdrop.errors import DataError, Issue

if TYPE_CHECKING:
    from array import array

NAME = "via"

_LOOKED_AT = 3
_LINES = frozenset({"polyline", "line", "point", "extreme_rect", "extreme_circle"})
#: attributes that name the class for sure, letters only
_CLASS_WORDS = frozenset(
    {"class", "classname", "label", "labels", "name", "type", "category", "categoryname", "object", "objectname"}
)


def signature(tree: Tree) -> str:
    """Returns by which file the tree is known to be from VGG Image Annotator, or ""."""
    found = members(tree, "json", "csv")
    own = [entry for entry in found if entry[1].rpartition("/")[2].casefold().startswith("via_")]
    for member, path in [*own[:_LOOKED_AT], *found[:_LOOKED_AT]]:
        try:
            content = annotation_files.text(tree, member)
        except DataError:
            continue
        if via_files.is_own(content):
            return f"VGG Image Annotator's regions in {path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all files that are VIA's."""
    found = Gathering(tree)
    records: list[ImageRecord] = []
    options: dict[str, list[str]] = {}
    for member, path in members(tree, "json", "csv"):
        try:
            file = via_files.read(tree, member, path)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        if file is not None:
            found.use(member)
            records += file.records
            options |= file.options
    attribute = _class_attribute(found, records)
    for record in records:
        _read_record(found, record, attribute)
    if attribute in options:
        return found.reading(NAME, options[attribute], f"the options of '{plain(attribute)}'")
    return found.reading(NAME, *found.listed_names())


def _class_attribute(found: Gathering, records: list[ImageRecord]) -> str:
    """Returns the region attribute that names classes: by its own name, else the one that most regions have."""
    regions = [attributes for record in records for _, attributes in record.regions]
    said = [(key, value) for attributes in regions for key in attributes if (value := _value(attributes, key))]
    if not said:
        return ""
    counts = Counter(key for key, _ in said)
    most = max(counts.values())
    # a region that does not have the attribute says nothing, which is a value as well
    num_values = Counter(key for key, _ in set(said)) + Counter(key for key in counts if counts[key] < len(regions))

    def rank(key: str) -> tuple[bool, int, int, str]:
        return not (_is_class_word(key) and 2 * counts[key] >= most), -counts[key], num_values[key], key

    chosen = min(counts, key=rank)
    others = sorted(
        {
            key
            for attributes in regions
            for key in attributes
            if _value(attributes, key) not in ("", _value(attributes, chosen))
        }
    )
    shown = f" (not {plain(', '.join(others[:5]))})" if others else ""
    found.assumptions.append(f"the region attribute '{plain(chosen)}' names the classes{shown}")
    if others and not _is_class_word(chosen):
        message = f"regions have several attributes; '{plain(chosen)}' was taken for the class{shown}"
        found.issues.append(Issue.of(Code.CLASSES_ASSUMED, message))
    return chosen


def _is_class_word(key: str) -> bool:
    """Whether an attribute with this name is for sure the one that names the class."""
    return re.sub(r"[^a-z]", "", key.casefold()) in _CLASS_WORDS


def _value(attributes: dict[str, Any], key: str) -> str:
    """Returns what an attribute says: text, a number, or the one box that is checked."""
    value = attributes.get(key)
    if isinstance(value, dict):
        checked = [option for option, is_checked in value.items() if is_checked is True]
        return checked[0].strip() if len(checked) == 1 else ""
    return str(value).strip() if isinstance(value, str | int) else ""


def _read_record(found: Gathering, record: ImageRecord, attribute: str) -> None:
    """Gather one image with its areas."""
    image = found.find([record.name], record.member, record.folder)
    areas: list[Area] = []
    before = found.unread
    for shape, attributes in record.regions:
        kind = shape.get("name")
        area = _area(found, record.member, shape)
        if area is not None:
            found.counted(RECTANGLE if kind == "rect" else str(kind))
            areas.append((_value(attributes, attribute), area))
    if image is not None:
        found.add(image, record.member, areas)
        found.note_unread(image, before)


def _area(found: Gathering, member: int, shape: dict[str, Any]) -> Polygon | None:
    """Returns the area of a region's shape attributes, or None, with the reason on record."""
    match shape.get("name"):
        case "polygon":
            return found.outline(
                member, lambda: shapes.ring(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
            )
        case "rect":
            return found.outline(member, lambda: _rectangle(shape))
        case "circle":
            return found.outline(member, lambda: shapes.ellipse(shape["cx"], shape["cy"], shape["r"], shape["r"]))
        case "ellipse":
            return found.outline(member, lambda: _ellipse(shape))
        case str(kind) if kind in _LINES:
            found.no_area(member, kind)
        case kind:
            found.unknown(member, str(kind))
    return None


def _rectangle(shape: dict[str, Any]) -> "array[float]":
    return shapes.rectangle(shape["x"], shape["y"], shape["x"] + shape["width"], shape["y"] + shape["height"])


def _ellipse(shape: dict[str, Any]) -> "array[float]":
    """Returns an ellipse, turned by radians, as it can be since version 2."""
    return shapes.ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"], shape.get("theta") or 0)
