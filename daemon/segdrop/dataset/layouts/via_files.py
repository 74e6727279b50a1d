"""VIA's files as records: for each image its regions, each as shape attributes and region attributes.

``via_region_data.json`` and ``via_export_json.json`` are objects of images (regions in an object, since version 2 in a
list); a project of version 2 has the same below ``_via_img_metadata``; the CSV has a row a region. Version 3 stores
numbers instead of words (ox-vgg/via, via-3.x.y/src/js/_via_metadata.js), and is translated.
"""

import json
from dataclasses import dataclass, field
from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files

_METADATA = "_via_img_metadata"
_SHAPE_COLUMN = "region_shape_attributes"
_VERSION_3_CSV = "# CSV_HEADER = metadata_id"
#: version 3: names and coordinates by the first number
_SHAPES: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("point", ()),
    2: ("rect", ("x", "y", "width", "height")),
    3: ("circle", ("cx", "cy", "r")),
    4: ("ellipse", ("cx", "cy", "rx", "ry")),
    5: ("line", ()),
    6: ("polyline", ()),
    7: ("polygon", ()),
    8: ("extreme_rect", ()),
    9: ("extreme_circle", ()),
}
_POLYGON = 7

Region = tuple[dict[str, Any], dict[str, Any]]  #: shape attributes, region attributes


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """An image as a file (``member``, in ``folder``) names it."""

    member: int
    folder: str
    name: str
    regions: list[Region]


@dataclass(frozen=True, slots=True)
class ViaFile:
    """The images in a file. ``options`` has the values of each region attribute in the order of the project."""

    records: list[ImageRecord]
    options: dict[str, list[str]] = field(default_factory=dict)


def is_own(content: str) -> bool:
    """Whether a text is one of VIA's files."""
    start = content.lstrip()[:1]
    if start == "{":
        is_export = '"regions"' in content and '"filename"' in content and '"file_attributes"' in content
        return is_export or f'"{_METADATA}"' in content or ('"vid_list"' in content and '"fid_list"' in content)
    return _SHAPE_COLUMN in content.partition("\n")[0] or content.startswith(_VERSION_3_CSV)


def read(tree: Tree, member: int, path: str) -> ViaFile | None:
    """Returns the records of a file, or None if it is not VIA's. Raises DataError if it cannot be read."""
    folder = path.rpartition("/")[0]
    if path.casefold().endswith(".csv"):
        return _from_rows(tree, member, folder)
    content = annotation_files.load_json(tree, member)
    if not isinstance(content, dict):
        return None
    if isinstance(content.get("view"), dict) and isinstance(content.get("metadata"), dict):
        return _from_version_3(member, folder, content)
    entries = content.get(_METADATA, content)
    if not isinstance(entries, dict):
        raise annotation_files.invalid(tree, member, f"its {_METADATA} is no object")
    images = [entry for entry in entries.values() if isinstance(entry, dict) and isinstance(entry.get("filename"), str)]
    if not images and _METADATA not in content:
        return None
    records = [ImageRecord(member, folder, entry["filename"], _regions(entry.get("regions"))) for entry in images]
    return ViaFile(records, _options(_object(_object(content.get("_via_attributes")).get("region"))))


def _object(value: object) -> dict[str, Any]:
    """Returns the value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def _regions(value: object) -> list[Region]:
    entries = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    regions = [_object(entry) for entry in entries]
    return [(_object(region.get("shape_attributes")), _object(region.get("region_attributes"))) for region in regions]


def _options(attributes: dict[str, Any]) -> dict[str, list[str]]:
    """Returns the values of each attribute that lists them."""
    found = {name: list(_object(_object(attribute).get("options"))) for name, attribute in attributes.items()}
    return {name: options for name, options in found.items() if options}


def _from_rows(tree: Tree, member: int, folder: str) -> ViaFile | None:
    """Reads the CSV of versions 1 and 2: a row a region, or one without a shape for an image that has none."""
    rows = annotation_files.rows(tree, member)
    if not rows:
        return None
    if rows[0][0].startswith(_VERSION_3_CSV):
        raise annotation_files.invalid(tree, member, "it is the CSV of VIA 3; save the project as JSON instead")
    columns = [cell.lstrip("#").strip() for cell in rows[0]]
    if _SHAPE_COLUMN not in columns or "filename" not in columns or "region_attributes" not in columns:
        return None
    places = [columns.index(name) for name in ("filename", _SHAPE_COLUMN, "region_attributes")]
    images: dict[str, list[Region]] = {}
    for number, row in enumerate(rows[1:], 2):
        try:
            name, shape, attributes = (row[place] for place in places)
            region = (_object(json.loads(shape or "{}")), _object(json.loads(attributes or "{}")))
        except (IndexError, ValueError, RecursionError) as error:
            raise annotation_files.invalid(tree, member, f"row {number} cannot be read ({error})") from None
        regions = images.setdefault(name, [])
        if region[0]:
            regions.append(region)
    return ViaFile([ImageRecord(member, folder, name, regions) for name, regions in images.items()])


def _from_version_3(member: int, folder: str, content: dict[str, Any]) -> ViaFile:
    """Reads a project of version 3; parts of videos, which have times, are left out."""
    attributes = {key: _object(value) for key, value in _object(content.get("attribute")).items()}
    names = {key: str(value.get("aname")) for key, value in attributes.items()}
    options = {key: _object(value.get("options")) for key, value in attributes.items()}
    images: dict[str, tuple[str, list[Region]]] = {}
    for key, view in content["view"].items():
        files = _object(view).get("fid_list")
        file = _object(_object(content.get("file")).get(str(files[0]))) if isinstance(files, list) and files else {}
        if isinstance(name := file.get("fname"), str):
            images[key] = (name, [])
    for entry in map(_object, content["metadata"].values()):
        xy, values = entry.get("xy"), _object(entry.get("av"))
        if str(entry.get("vid")) not in images or not isinstance(xy, list) or not xy or entry.get("z"):
            continue
        said = {names[key]: options[key].get(str(value), value) for key, value in values.items() if key in names}
        images[str(entry["vid"])][1].append((_shape(xy), said))
    records = [ImageRecord(member, folder, name, regions) for name, regions in images.values()]
    return ViaFile(
        records, {names[key]: [str(value) for value in found.values()] for key, found in options.items() if found}
    )


def _shape(xy: list[Any]) -> dict[str, Any]:
    """Returns shape attributes from a number for the shape and its coordinates."""
    number, *coordinates = xy
    if not isinstance(number, int) or number not in _SHAPES:
        return {"name": number}
    name, keys = _SHAPES[number]
    if number == _POLYGON:
        return {"name": name, "all_points_x": coordinates[0::2], "all_points_y": coordinates[1::2]}
    return {"name": name, **dict(zip(keys, coordinates, strict=False))}
