"""SuperAnnotate's two kinds of projects: superannotateai/superannotate-python-sdk, ``tests/data_set/``."""

import json
from typing import Any

import numpy as np

from builders.archives import encoded
from builders.exports.boxes import SIZE, Export, Exports, corners, painted, photo

CLASSES = ("Truck", "Asphalt")


def classes() -> bytes:
    listed = [
        {"id": 55 - number, "project_id": 7, "name": name, "color": f"#0{number}ff00", "attribute_groups": []}
        for number, name in enumerate(CLASSES)
    ]
    return json.dumps(listed).encode()


def document(name: str, instances: list[dict[str, Any]]) -> bytes:
    metadata = {"name": name, "width": SIZE[1], "height": SIZE[0], "status": "Completed"}
    return json.dumps({"metadata": metadata, "instances": instances, "tags": [], "comments": []}).encode()


def save(*parts: tuple[tuple[int, int, int, int], int]) -> bytes:
    """RGBA: boxes in colours (0xRRGGBB), what is around them transparent black."""
    packed = np.zeros((*SIZE, 4), np.uint8)
    for (x0, y0, x1, y1), colour in parts:
        packed[y0 : y1 + 1, x0 : x1 + 1] = (colour >> 16, colour >> 8 & 0xFF, colour & 0xFF, 255)
    return encoded(packed)


def pixel() -> Export:
    """Two objects of one class and one of the other, each part in a colour of its own, another in each image."""
    content, expected = {"classes/classes.json": classes()}, {}
    for number in range(3):
        name, boxes = f"p{number}.png", ((1, 1, 9, 9), (12, 3, 20, 14), (22, 20, 35, 30))
        colours = (0x000447 + number, 0x0102FF, 0x050000 + 7 * number)
        parts = list(zip(boxes, colours, strict=True))
        instances = [
            {"classId": 55 - kind, "className": CLASSES[kind], "parts": [{"color": f"#{colours[i]:06x}"} for i in own]}
            for kind, own in ((1, (0, 2)), (0, (1,)))
        ]
        content |= {name: photo(number), f"{name}___save.png": save(*parts), f"{name}___fuse.png": photo(20)}
        content[f"{name}___pixel.json"] = document(name, instances)
        expected[name] = painted((boxes[0], 2), (boxes[1], 1), (boxes[2], 2))
    return content, expected


def vector() -> Export:
    """Polygons over each other, one with a hole, and without the class's name."""
    content, expected = {"classes/classes.json": classes()}, {}
    for number in range(3):
        name = f"v{number}.png"
        low, hole, high = (2, 2, 22, 22), (6, 6, 10, 10), (15, 15, 30 + number, 28)
        flat = [[number for point in corners(box) for number in point] for box in (low, hole, high)]
        instances = [
            {"type": "polygon", "classId": 54, "className": "Asphalt", "points": flat[0], "exclude": [flat[1]]},
            {"type": "polygon", "classId": 55, "points": flat[2]},
            {"type": "bbox", "classId": 55, "className": "Truck", "points": {"x1": 1, "y1": 1, "x2": 4, "y2": 4}},
        ]
        content |= {name: photo(number), f"{name}___objects.json": document(name, instances)}
        expected[name] = painted((low, 2), (hole, 0), (high, 1))
    return content, expected


def newer() -> Export:
    """A vector project as it is exported now: the JSON has the image's name and its own ending."""
    content, expected = vector()
    return {name.replace("___objects.json", ".json"): data for name, data in content.items()}, expected


EXPORTS: Exports = {"pixel": pixel, "vector": vector, "newer": newer}
