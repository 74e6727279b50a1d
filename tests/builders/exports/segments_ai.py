"""A release of Segments.ai with what its SDK downloads: segments-ai/segments-ai ``src/segments/dataset.py``."""

import json

import numpy as np

from builders.archives import encoded
from builders.exports.boxes import SIZE, Export, Exports, painted, photo


def bitmap(ids: np.ndarray) -> bytes:
    """Numbers as R + 256 G + 65536 B, not transparent."""
    return encoded(np.stack([ids & 0xFF, ids >> 8 & 0xFF, ids >> 16, np.full(SIZE, 255)], -1).astype(np.uint8))


def release() -> Export:
    """Numbers of segments differ from image to image; two segments of one class."""
    content, samples, expected = {}, [], {}
    for number in range(3):
        name, boxes = f"{number}.png", ((1, 1, 9, 9), (12, 3, 20, 14), (22, 20, 35, 30))
        numbers = (1 + number, 300, 70_000)
        ids = np.zeros(SIZE, np.int64)
        for (x0, y0, x1, y1), segment in zip(boxes, numbers, strict=True):
            ids[y0 : y1 + 1, x0 : x1 + 1] = segment
        content |= {name: photo(number), f"{number}_label_ground-truth.png": bitmap(ids)}
        annotations = [{"id": segment, "category_id": kind} for segment, kind in zip(numbers, (5, 2, 5), strict=True)]
        attributes = {"format_version": "0.1", "annotations": annotations}
        labels = {"ground-truth": {"label_status": "REVIEWED", "attributes": attributes}}
        samples.append({"name": name, "attributes": {"image": {"url": f"https://x/{name}"}}, "labels": labels})
        expected[name] = painted((boxes[0], 2), (boxes[1], 1), (boxes[2], 2))
    categories = [{"id": 2, "name": "pipe", "color": [1, 2, 3]}, {"id": 5, "name": "valve", "color": [4, 5, 6]}]
    attributes = {"format_version": "0.1", "categories": categories}
    dataset = {"name": "n", "task_type": "segmentation-bitmap", "task_attributes": attributes, "samples": samples}
    content["release.json"] = json.dumps({"name": "v1", "description": "", "dataset": dataset}).encode()
    return content, expected


EXPORTS: Exports = {"release": release}
