"""COCO panoptic, as COCO and panopticapi write it, with the masks that it means.

Source: cocodataset/panopticapi ``converters/2channels2panoptic_coco_format.py`` and ``utils.py`` (``id2rgb``: the id
is R + 256 G + 65536 B).
"""

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from builders.archives import encoded
from builders.exports.coco import SIZE, categories, photo

Export = tuple[dict[str, bytes], dict[str, np.ndarray]]

#: id of each segment: more than one channel, and grey
SKY, PERSON, OTHER = 3_226_956, 0x464646, 8


def ids(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """Boxes x0, y0, x1, y1 (ends included) of an id, over void."""
    found = np.zeros(SIZE, np.int64)
    for x0, y0, x1, y1, number in boxes:
        found[y0 : y1 + 1, x0 : x1 + 1] = number
    return found


def png(numbers: np.ndarray) -> bytes:
    """``id2rgb``."""
    return encoded(np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1).astype(np.uint8))


def document(images: list[str], segments: list[dict[int, int]], listed: list[dict[str, Any]]) -> dict[str, Any]:
    """A file. ``segments``: category id by segment id, for each image."""
    height, width = SIZE
    return {
        "info": {"description": "", "url": "", "version": "1.0", "year": 2018, "contributor": ""},
        "licenses": [],
        "images": [{"id": i, "file_name": name, "height": height, "width": width} for i, name in enumerate(images)],
        "annotations": [
            {
                "image_id": i,
                "file_name": name.rpartition(".")[0] + ".png",
                "segments_info": [
                    {"id": number, "category_id": category, "iscrowd": 0, "bbox": [0, 0, 1, 1], "area": 1}
                    for number, category in found.items()
                ],
            }
            for i, (name, found) in enumerate(zip(images, segments, strict=True))
        ],
        "categories": [{**entry, "isthing": 1} for entry in listed],
    }


def coco2017() -> Export:
    """Two splits in COCO's folders, images and masks of the same file name, and void."""
    listed = categories({1: "person", 187: "sky"}, "any")
    content: dict[str, bytes] = {}
    expected: dict[str, np.ndarray] = {}
    for side, count in (("train", 2), ("val", 1)):
        images = [f"{side}_{i}.png" for i in range(count)]
        segments = [{SKY: 187, PERSON: 1, OTHER: 1}] * count
        content[f"annotations/panoptic_{side}2017.json"] = json.dumps(document(images, segments, listed)).encode()
        for i, name in enumerate(images):
            content[f"{side}2017/{name}"] = photo(i)
            boxes = ((0, 0, 40, 9, SKY), (3, 5 + i, 12, 20, PERSON), (20, 20, 30, 31, OTHER))
            content[f"annotations/panoptic_{side}2017/{name}"] = png(ids(*boxes))
            expected[f"{side}2017/{name}"] = np.where(
                np.isin(ids(*boxes), (PERSON, OTHER)), 0, np.where(ids(*boxes) == SKY, 1, 255)
            )
    return content, expected


EXPORTS: dict[str, Callable[[], Export]] = {"coco2017": coco2017}
