"""VGG Image Annotator's files, as its versions write them, with the masks that they mean.

Source: ox-vgg/via ``via-1.x.y/via.js`` and ``via-2.x.y/src/js/via.js`` (``pack_via_metadata``: JSON and CSV;
``project_save``), ``via-3.x.y/src/js/_via_metadata.js`` and ``_via_data.js`` (project of version 3).
"""

import json
from typing import Any

from builders.exports.boxes import Box, Export, Exports, painted, photo

NAMES = ("0.png", "1.png", "2.png")


def polygon(box: Box) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    return {"name": "polygon", "all_points_x": [x0, x1, x1, x0], "all_points_y": [y0, y0, y1, y1]}


def rectangle(box: Box) -> dict[str, Any]:
    x0, y0, x1, y1 = box
    return {"name": "rect", "x": x0, "y": y0, "width": x1 - x0, "height": y1 - y0}


def regions(number: int) -> list[dict[str, Any]]:
    """A house with a door, and a line."""
    shapes = (
        (polygon((2, 2, 14, 14 + number)), "house"),
        (rectangle((5, 5, 8, 9)), "door"),
        ({"name": "polyline", "all_points_x": [1, 9], "all_points_y": [1, 9]}, "door"),
    )
    return [{"shape_attributes": shape, "region_attributes": {"part": name}} for shape, name in shapes]


def _expected(prefix: str, house: int, door: int) -> dict[str, Any]:
    return {
        f"{prefix}{name}": painted(((2, 2, 14, 14 + number), house), ((5, 5, 8, 9), door))
        for number, name in enumerate(NAMES)
    }


def export(entries: dict[str, Any]) -> dict[str, Any]:
    """Of version 2: by name and size of the image."""
    return {
        f"{name}{1000 + i}": {"filename": name, "size": 1000 + i, "regions": found, "file_attributes": {}}
        for i, (name, found) in enumerate(entries.items())
    }


def _images(prefix: str = "") -> dict[str, bytes]:
    return {f"{prefix}{name}": photo(number) for number, name in enumerate(NAMES)}


def version_1() -> Export:
    """``via_region_data.json``: regions in an object."""
    entries = {
        f"{name}{1000 + i}": {
            "fileref": "", "size": 1000 + i, "filename": name, "base64_img_data": "", "file_attributes": {},
            "regions": {str(number): region for number, region in enumerate(regions(i))},
        }
        for i, name in enumerate(NAMES)
    }  # fmt: skip
    content = {"all/via_region_data.json": json.dumps(entries, separators=(",", ":")).encode()}
    return content | _images("all/"), _expected("all/", 2, 1)


def version_2() -> Export:
    """A project and its two exports, all of the same; the options of the attribute give the order."""
    metadata = export({name: regions(number) for number, name in enumerate(NAMES)})
    attribute = {
        "type": "radio",
        "description": "",
        "options": {"house": "", "door": "", "roof": ""},
        "default_options": {},
    }
    project = {
        "_via_settings": {"ui": {}, "core": {"default_filepath": ""}, "project": {"name": "via_project_17May2024"}},
        "_via_img_metadata": metadata,
        "_via_attributes": {"region": {"part": attribute}, "file": {}},
        "_via_data_format_version": "2.0.10",
        "_via_image_id_list": list(metadata),
    }
    content = {
        "via_project_17May2024.json": json.dumps(project).encode(),
        "via_export_json.json": json.dumps(metadata).encode(),
        "via_export_csv.csv": rows(metadata),
    }
    return content | _images("images/"), _expected("images/", 1, 2)


def rows(metadata: dict[str, Any]) -> bytes:
    """The CSV: JSON in quoted cells, a row for each region, one without a shape for an image that has none."""
    lines = ["filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"]
    for entry in metadata.values():
        found = entry["regions"] or [{"shape_attributes": {}, "region_attributes": {}}]
        for number, region in enumerate(found):
            cells = [
                json.dumps(region[key], separators=(",", ":")).replace('"', '""')
                for key in ("shape_attributes", "region_attributes")
            ]
            count = len(entry["regions"])
            lines.append(f'{entry["filename"]},{entry["size"]},"{{}}",{count},{number},"{cells[0]}","{cells[1]}"')
    return "\n".join(lines).encode()


def table() -> Export:
    """The CSV alone; an image without regions is background."""
    found = {name: regions(number) for number, name in enumerate(NAMES)} | {"none.png": []}
    content = {"via_export_csv.csv": rows(export(found)), "none.png": photo(9)}
    return content | _images(), _expected("", 2, 1) | {"none.png": painted()}


def version_3() -> Export:
    """A project: shapes are numbers, values are numbers of options."""
    shapes = {"polygon": 7, "rect": 2, "polyline": 6}
    metadata = {}
    for i in range(len(NAMES)):
        for number, region in enumerate(regions(i)):
            shape = region["shape_attributes"]
            flat = (
                [
                    coordinate
                    for xy in zip(shape["all_points_x"], shape["all_points_y"], strict=True)
                    for coordinate in xy
                ]
                if "all_points_x" in shape
                else [shape[key] for key in ("x", "y", "width", "height")]
            )
            option = {"house": "0", "door": "1"}[region["region_attributes"]["part"]]
            metadata[f"{i + 1}_{number}abc"] = {
                "vid": str(i + 1), "flg": 0, "z": [], "xy": [shapes[shape["name"]], *flat], "av": {"1": option},
            }  # fmt: skip
    project = {
        "project": {"pid": "__VIA_PROJECT_ID__", "vid_list": [str(i + 1) for i in range(len(NAMES))]},
        "config": {"file": {"loc_prefix": {"1": "", "2": "", "3": "", "4": ""}}, "ui": {}},
        "attribute": {
            "1": {
                "aname": "part", "anchor_id": "FILE1_Z0_XY1", "type": 4, "desc": "",
                "options": {"0": "house", "1": "door"}, "default_option_id": "",
            }
        },
        "file": {
            str(i + 1): {"fid": str(i + 1), "fname": name, "type": 2, "loc": 1, "src": ""}
            for i, name in enumerate(NAMES)
        },
        "metadata": metadata,
        "view": {str(i + 1): {"fid_list": [str(i + 1)]} for i in range(len(NAMES))},
    }  # fmt: skip
    return {"my project.json": json.dumps(project).encode()} | _images(), _expected("", 1, 2)


EXPORTS: Exports = {
    "version 1": version_1, "version 2": version_2, "version 3": version_3, "csv": table,
}  # fmt: skip
