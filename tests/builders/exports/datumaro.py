"""Datumaro's JSON as CVAT and Datumaro write it.

Source: open-edge-platform/datumaro ``plugins/data_formats/datumaro/exporter.py`` (``_SubsetWriter``).
"""

import json
from typing import Any

from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo


def entry(kind: str, label: int | None, z_order: int = 0, **more: Any) -> dict[str, Any]:
    return {
        "id": 0, "type": kind, "attributes": {"occluded": False}, "group": 0, "label_id": label, "z_order": z_order,
        **more,
    }  # fmt: skip


def polygon(label: int | None, box: Box, z_order: int = 0) -> dict[str, Any]:
    return entry("polygon", label, z_order, points=[number for point in corners(box) for number in point])


def mask(label: int | None, box: Box, z_order: int = 0) -> dict[str, Any]:
    """A box as COCO's run lengths, along columns."""
    ids, counts, last, run = painted((box, 1)).T.ravel(), [], 0, 0
    for value in ids.tolist():
        if value != last:
            counts.append(run)
            last, run = value, 0
        run += 1
    return entry("mask", label, z_order, rle={"counts": [*counts, run], "size": list(SIZE)})


def document(names: list[str], items: dict[str, list[dict[str, Any]]], folder: str = "") -> bytes:
    """``items``: annotations by the image's file name."""
    labels = [{"name": name, "parent": "", "attributes": []} for name in names]
    listed = [
        {
            "id": name.rpartition(".")[0], "annotations": annotations, "attr": {"frame": 0},
            "image": {"path": f"{folder}{name}", "size": list(SIZE)},
        }
        for name, annotations in items.items()
    ]  # fmt: skip
    categories = {"label": {"labels": labels, "label_groups": [], "attributes": ["occluded"]}}
    return json.dumps({"dm_format_version": "1.0", "infos": {}, "categories": categories, "items": listed}).encode()


def sides() -> Export:
    """A file for each side; z_order against the order of the list; a mask; categories in no alphabetical order."""
    content, expected = {}, {}
    for number, side in enumerate(("train", "train", "validation", "test")):
        low, high = (2, 2, 20, 20), (5 + number, 5, 30, 12)
        items = [polygon(0, high, 1), mask(1, low), entry("bbox", 0, bbox=[1, 1, 5, 5])]
        path = f"images/{side}/{number}.png"
        content[path] = photo(number)
        listed = {
            f"{n}.png": items if n == number else [polygon(1, low)] for n in ((0, 1) if side == "train" else (number,))
        }
        content[f"annotations/{side}.json"] = document(["zebra", "ape"], listed)
        expected[path] = painted((low, 2), (high, 1))
    expected["images/train/0.png"] = painted(((2, 2, 20, 20), 2))
    return content, expected


def flat() -> Export:
    """As Datumaro's own: one subset, and paths that hold its name."""
    content, items, expected = {}, {}, {}
    for number in range(3):
        content[f"images/default/{number}.png"] = photo(number)
        items[f"{number}.png"] = [polygon(0, (3, 3, 10 + number, 9))]
        expected[f"images/default/{number}.png"] = painted(((3, 3, 10 + number, 9), 1))
    content["annotations/default.json"] = document(["car"], items, "default/")
    return content, expected


EXPORTS: Exports = {"sides": sides, "flat": flat}
