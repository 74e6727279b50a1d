"""VGG Image Annotator: what its versions 1 to 3 save and export (JSON of a project or of annotations, CSV).

Polygons, rectangles, circles and ellipses are areas, painted in the order of the list. Classes are the values of one
region attribute: VIA knows attributes only, and which of them names the class has to be found out.
"""

import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from segdrop.dataset import annotations, shapes
from segdrop.dataset.layouts import via_files
from segdrop.dataset.layouts.annotated import Area, Gathering, members
from segdrop.dataset.layouts.complaints import plain
from segdrop.dataset.layouts.via_files import Record
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Polygon
from segdrop.dataset.tree import Tree
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
    found = members(tree, "json", "csv")
    own = [entry for entry in found if entry[1].rpartition("/")[2].casefold().startswith("via_")]
    for member, path in [*own[:_LOOKED_AT], *found[:_LOOKED_AT]]:
        try:
            content = annotations.text(tree, member)
        except DataError:
            continue
        if via_files.is_own(content):
            return f"VGG Image Annotator's regions in {path}"
    return ""


def read(tree: Tree) -> Reading:
    found = Gathering(tree)
    records: list[Record] = []
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


def _class_attribute(found: Gathering, records: list[Record]) -> str:
    """The region attribute that names classes: by its own name, else the one that most regions have."""
    regions = [attributes for record in records for _, attributes in record.regions]
    counts = Counter(key for attributes in regions for key in attributes if _value(attributes, key))
    if not counts:
        return ""
    most = max(counts.values())
    values = {key: {_value(attributes, key) for attributes in regions} for key in counts}

    def rank(key: str) -> tuple[bool, int, int, str]:
        return not (_is_class_word(key) and 2 * counts[key] >= most), -counts[key], len(values[key]), key

    chosen = min(counts, key=rank)
    others = [
        key
        for key in sorted(counts)
        if any(_value(attributes, key) not in ("", _value(attributes, chosen)) for attributes in regions)
    ]
    shown = f" (not {plain(', '.join(others[:5]))})" if others else ""
    found.assumptions.append(f"the region attribute '{plain(chosen)}' names the classes{shown}")
    if others and not _is_class_word(chosen):
        message = f"regions have several attributes; '{plain(chosen)}' was taken for the class{shown}"
        found.issues.append(Issue.of("classes.assumed", message))
    return chosen


def _is_class_word(key: str) -> bool:
    return re.sub(r"[^a-z]", "", key.casefold()) in _CLASS_WORDS


def _value(attributes: dict[str, Any], key: str) -> str:
    """What an attribute says: text, a number, or the one box that is checked."""
    value = attributes.get(key)
    if isinstance(value, dict):
        checked = [option for option, is_checked in value.items() if is_checked is True]
        return checked[0].strip() if len(checked) == 1 else ""
    return str(value).strip() if isinstance(value, str | int) else ""


def _read_record(found: Gathering, record: Record, attribute: str) -> None:
    image = found.find([record.name], record.member, record.folder)
    areas: list[Area] = []
    for shape, attributes in record.regions:
        kind = shape.get("name")
        area = _area(found, record.member, shape)
        if area is not None:
            found.counted("rectangle" if kind == "rect" else str(kind))
            areas.append((_value(attributes, attribute), area))
    if image is not None:
        found.add(image, record.member, areas)


def _area(found: Gathering, member: int, shape: dict[str, Any]) -> Polygon | None:
    """The area of a region's shape attributes, or ``None``, with the reason on record."""
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
            found.invalid(member, f"a region has a shape that VIA does not know ({str(kind)[:40]})")
    return None


def _rectangle(shape: dict[str, Any]) -> "array[float]":
    return shapes.rectangle(shape["x"], shape["y"], shape["x"] + shape["width"], shape["y"] + shape["height"])


def _ellipse(shape: dict[str, Any]) -> "array[float]":
    """Turned by radians, since version 2."""
    return shapes.ellipse(shape["cx"], shape["cy"], shape["rx"], shape["ry"], shape.get("theta") or 0)
