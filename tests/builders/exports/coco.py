"""COCO instances, byte by byte as tools write them, with the masks that they mean.

Sources: cocodataset/cocoapi ``common/maskApi.c`` (``rleToString``) for packed run lengths; cvat-ai/datumaro
``plugins/coco_format/converter.py`` (CVAT); wkentaro/labelme ``examples/instance_segmentation/labelme2coco.py``; the
shape of Roboflow's files is that of its public exports; HumanSignal/label-studio-converter ``converter.py``.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from builders.archives import encoded

SIZE = (32, 64)  #: height, width; powers of two, so that fractions of them are exact
Export = tuple[dict[str, bytes], dict[str, np.ndarray]]


def photo(number: int) -> bytes:
    rng = np.random.default_rng(number)
    return encoded(rng.integers(0, 255, (*SIZE, 3)).astype(np.uint8))


def box(x0: int, y0: int, x1: int, y1: int) -> list[float]:
    """A polygon that covers the pixels x0..x1, y0..y1, ends included (the product's rule for outlines)."""
    return [float(n) for n in (x0, y0, x1, y0, x1, y1, x0, y1)]


def run_lengths(mask: np.ndarray) -> list[int]:
    """Of (height, width), along columns, beginning with pixels that are off."""
    flat = mask.T.ravel().astype(np.int8)
    changes = np.flatnonzero(np.diff(flat)) + 1
    edges = [0, *changes.tolist(), flat.size]
    lengths = np.diff(edges).tolist()
    return [0, *lengths] if flat[0] else lengths


def packed(lengths: Sequence[int]) -> str:
    """``rleToString`` of maskApi.c."""
    code = ""
    for i, length in enumerate(lengths):
        number = length - lengths[i - 2] if i > 2 else length
        more = True
        while more:
            bits = number & 0x1F
            number >>= 5
            more = number != -1 if bits & 0x10 else number != 0
            code += chr((bits | 0x20 if more else bits) + 48)
    return code


def document(
    images: Sequence[str], areas: Sequence[tuple[int, int, Any]], categories: Sequence[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """A file. ``areas``: (position of the image, category id, segmentation); ids begin at 1."""
    height, width = SIZE
    return {
        "licenses": [{"name": "", "id": 0, "url": ""}],
        "info": {"contributor": "", "date_created": "", "description": "", "url": "", "version": "", "year": ""},
        "categories": list(categories),
        "images": [
            {"id": i + 1, "width": width, "height": height, "file_name": name, "license": 0}
            for i, name in enumerate(images)
        ],
        "annotations": [
            {
                "id": i + 1, "image_id": image + 1, "category_id": category, "segmentation": segmentation,
                "area": 1.0, "bbox": [0.0, 0.0, 1.0, 1.0], "iscrowd": int(isinstance(segmentation, dict)),
            }
            for i, (image, category, segmentation) in enumerate(areas)
        ],
        **more,
    }  # fmt: skip


def categories(names: dict[int, str], supercategory: str | None = "") -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "supercategory": supercategory} for number, name in names.items()]


def _mask(*boxes: tuple[int, int, int, int, int]) -> np.ndarray:
    """Boxes x0, y0, x1, y1 (ends included), class id, painted in order."""
    mask = np.zeros(SIZE, np.uint8)
    for x0, y0, x1, y1, class_id in boxes:
        mask[y0 : y1 + 1, x0 : x1 + 1] = class_id
    return mask


def cvat() -> Export:
    """One JSON, ids with a gap, a class without an area, two parts, an image without areas, the small one first."""
    names = {1: "wheel", 2: "car", 7: "road"}
    areas = [
        (0, 1, [box(4, 4, 6, 6)]),
        (0, 2, [box(2, 2, 10, 10)]),
        (1, 2, [box(0, 0, 5, 5), box(20, 10, 29, 19)]),
        (3, 1, [box(1, 1, 3, 3)]),
    ]
    images = [f"shot {i}.png" for i in range(4)]
    content = {"annotations/instances_default.json": json.dumps(document(images, areas, categories(names))).encode()}
    content |= {f"images/{name}": photo(i) for i, name in enumerate(images)}
    return content, {
        "images/shot 0.png": _mask((2, 2, 10, 10, 2), (4, 4, 6, 6, 1)),
        "images/shot 1.png": _mask((0, 0, 5, 5, 2), (20, 10, 29, 19, 2)),
        "images/shot 2.png": _mask(),
        "images/shot 3.png": _mask((1, 1, 3, 3, 1)),
    }


def coco2017() -> Export:
    """COCO's own folders: a file for each split, crowds as run lengths, packed ones too, and other tasks' files."""
    names = {1: "person", 18: "dog"}
    crowd, dog = _mask((3, 3, 12, 9, 1)), _mask((0, 0, 8, 8, 1))
    height, width = SIZE
    content: dict[str, bytes] = {}
    expected: dict[str, np.ndarray] = {}
    for number, side in enumerate(("train", "train", "val")):
        content[f"{side}2017/00{number}.png"] = photo(number)
        expected[f"{side}2017/00{number}.png"] = _mask((0, 0, 8, 8, 2), (3, 3, 12, 9, 1))
    for side, images in (("train", ["000.png", "001.png"]), ("val", ["002.png"])):
        areas = []
        for i in range(len(images)):
            areas.append((i, 1, {"size": [height, width], "counts": run_lengths(crowd)}))
            areas.append((i, 18, {"size": [height, width], "counts": packed(run_lengths(dog))}))
        whole = document(images, areas, categories(names, "animal"))
        content[f"annotations/instances_{side}2017.json"] = json.dumps(whole).encode()
        content[f"annotations/person_keypoints_{side}2017.json"] = json.dumps(whole).encode()
        captions = document(images, [], [])
        del captions["categories"]
        content[f"annotations/captions_{side}2017.json"] = json.dumps(captions).encode()
    # 70 pixels of the person, 81 of the dog: the smaller is on top
    return content, expected


def roboflow() -> Export:
    """``_annotations.coco.json`` in each split's folder; category 0 only groups the others and has the name of one."""
    listed = [
        {"id": 0, "name": "facade", "supercategory": "none"},
        *categories({1: "window", 2: "facade"}, "facade"),
    ]
    content: dict[str, bytes] = {}
    expected: dict[str, np.ndarray] = {}
    for number, side in enumerate(("train", "valid", "test")):
        names = ["a_jpg.rf.0b6b24.png", f"b{number}_jpg.rf.77.png"]  # one name in all splits
        areas = [(0, 2, [box(0, 0, 20, 15)]), (0, 1, [box(5, 5, 8, 8)]), (1, 1, [box(1, 2, 3, 4)])]
        content[f"{side}/_annotations.coco.json"] = json.dumps(document(names, areas, listed)).encode()
        content |= {f"{side}/{name}": photo(10 * number + i) for i, name in enumerate(names)}
        expected[f"{side}/{names[0]}"] = _mask((0, 0, 20, 15, 2), (5, 5, 8, 8, 1))
        expected[f"{side}/{names[1]}"] = _mask((1, 2, 3, 4, 1))
    content["README.roboflow.txt"] = b"facades - v1\n"
    return content, expected


def labelme() -> Export:
    """labelme2coco.py: ids from 0, `_background_` among the categories, drawings of the annotations beside the data."""
    listed = categories({0: "_background_", 1: "cat", 2: "dog"}, None)
    images = [f"JPEGImages/{i}.png" for i in range(3)]
    areas = [(i, 1 + i % 2, [box(2, 2, 9 + i, 9)]) for i in range(3)]
    whole = document(images, areas, listed, type="instances")
    for entry in whole["images"]:
        entry["id"] -= 1
    for entry in whole["annotations"]:
        entry["image_id"] -= 1
        entry["iscrowd"] = 0
    content = {"data/annotations.json": json.dumps(whole).encode()}
    content |= {f"data/JPEGImages/{i}.png": photo(i) for i in range(3)}
    content |= {f"data/Visualization/{i}.png": photo(50 + i) for i in range(3)}
    return content, {f"data/JPEGImages/{i}.png": _mask((2, 2, 9 + i, 9, 1 + i % 2)) for i in range(3)}


EXPORTS: dict[str, Callable[[], Export]] = {
    "cvat": cvat, "coco2017": coco2017, "roboflow": roboflow, "labelme": labelme,
}  # fmt: skip
