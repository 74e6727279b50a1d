"""ISAT's JSON for each image: yatengLG/ISAT_with_segment_anything, ``annotation.py``."""

import json
from typing import Any

from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo


def entry(category: str, box: Box, layer: float) -> dict[str, Any]:
    return {
        "category": category, "group": 1, "segmentation": corners(box), "area": 9.0, "layer": layer,
        "bbox": [float(side) for side in box], "iscrowd": False, "note": "",
    }  # fmt: skip


def document(name: str, *objects: dict[str, Any]) -> bytes:
    info = {"description": "ISAT", "folder": "C:/pics", "name": name, "width": SIZE[1], "height": SIZE[0], "depth": 3}
    return json.dumps({"info": {**info, "note": ""}, "objects": list(objects)}).encode()


def images() -> Export:
    """Layers against the order of the list, and background cut out."""
    content, expected = {}, {}
    for number in range(3):
        low, high, hole = (1, 1, 20, 20), (10, 5, 30 + number, 28), (3, 3, 6, 6)
        name = f"{number}.png"
        objects = [entry("sheep", high, 2.0), entry("grass", low, 1.0), entry("__background__", hole, 3.0)]
        content |= {f"images/{name}": photo(number), f"annotations/{number}.json": document(name, *objects)}
        expected[f"images/{name}"] = painted((low, 1), (high, 2), (hole, 0))
    return content, expected


EXPORTS: Exports = {"images": images}
