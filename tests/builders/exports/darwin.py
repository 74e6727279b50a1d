"""V7 Darwin's JSON, versions 2.0 and 1: v7labs/darwin-py ``tests/data.zip`` and the schema of version 2.0."""

import json
from typing import Any

from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo


def path(box: Box) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in corners(box)]


def second_document(name: str, annotations: list[dict[str, Any]]) -> bytes:
    slot = {
        "type": "image", "slot_name": "0", "width": SIZE[1], "height": SIZE[0],
        "source_files": [{"file_name": name, "url": f"https://darwin.v7labs.com/{name}"}],
    }  # fmt: skip
    item = {"name": name, "path": "/", "slots": [slot], "dataset": {"name": "fruit", "slug": "fruit"}}
    return json.dumps({"version": "2.0", "item": item, "annotations": annotations}).encode()


def second() -> Export:
    """A polygon with a hole over a mask of a raster layer."""
    content, expected = {}, {}
    for number in range(3):
        name, low, high, hole = f"{number}.png", (1, 1, 20, 20), (10, 5, 30 + number, 28), (14, 9, 18, 14)
        code = []
        for value in (painted((low, 1)) > 0).ravel().tolist():
            code = [*code[:-1], code[-1] + 1] if code and code[-2] == 7 * value else [*code, 7 * value, 1]
        layer = {"dense_rle": code, "mask_annotation_ids_mapping": {"m": 7}, "total_pixels": SIZE[0] * SIZE[1]}
        annotations = [
            {"id": "p", "name": "lime", "polygon": {"paths": [path(high), path(hole)]}, "bounding_box": {"x": 1}},
            {"id": "m", "name": "plum", "mask": {}},
            {"id": "r", "name": "__raster_layer__", "raster_layer": layer},
        ]
        content |= {f"images/{name}": photo(number), f"annotations/{number}.json": second_document(name, annotations)}
        expected[f"images/{name}"] = painted((low, 2), (high, 1))
        under = painted((low, 2))
        x0, y0, x1, y1 = hole
        expected[f"images/{name}"][y0 : y1 + 1, x0 : x1 + 1] = under[y0 : y1 + 1, x0 : x1 + 1]
    return content, expected


def first() -> Export:
    """The older keys, and a box beside the polygons."""
    content, expected = {}, {}
    for number in range(3):
        box = (2, 2, 12 + number, 12)
        annotations = [{"name": "fig", "polygon": {"path": path(box)}}, {"name": "fig", "bounding_box": {"x": 1}}]
        about = {"width": SIZE[1], "height": SIZE[0], "filename": f"{number}.png", "original_filename": f"{number}.png"}
        content |= {f"{number}.png": photo(number)}
        content[f"{number}.json"] = json.dumps({"dataset": "x", "image": about, "annotations": annotations}).encode()
        expected[f"{number}.png"] = painted((box, 1))
    return content, expected


EXPORTS: Exports = {"second": second, "first": first}
