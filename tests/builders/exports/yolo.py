"""YOLO segmentation exports, as tools write them, with the masks that they mean.

Sources: ultralytics ``data/utils.py`` (``img2label_paths``, ``verify_image_label``), ``cfg/datasets/coco8-seg.yaml``;
cvat-ai/datumaro ``plugins/yolo_format/converter.py`` (``YOLOv8SegmentationConverter``: no file for an image without
areas, lists of images, six decimals) and ``YoloConverter`` for Darknet; HumanSignal/label-studio-converter
``converter.py`` (``convert_to_yolo``); the shape of Roboflow's files is that of its public exports.
"""

import json
from collections.abc import Callable, Sequence

import numpy as np

from builders.exports.coco import SIZE, photo

Export = tuple[dict[str, bytes], dict[str, np.ndarray]]
Box = tuple[int, int, int, int, int]  #: class number, x0, y0, x1, y1 with the ends included


def line(box: Box) -> str:
    """A class and an outline in fractions, which are exact at this size."""
    number, x0, y0, x1, y1 = box
    height, width = SIZE
    # a corner more than a box has
    points = [(x0, y0), ((x0 + x1) // 2, y0), (x1, y0), (x1, y1), (x0, y1)]
    return " ".join([str(number), *(f"{x / width:.6f} {y / height:.6f}" for x, y in points)])


def label(*boxes: Box) -> bytes:
    return "".join(line(box) + "\n" for box in boxes).encode()


def mask(*boxes: Box) -> np.ndarray:
    """Class number plus one, painted in order."""
    found = np.zeros(SIZE, np.uint8)
    for number, x0, y0, x1, y1 in boxes:
        found[y0 : y1 + 1, x0 : x1 + 1] = number + 1
    return found


LARGE, SMALL, OTHER = (1, 2, 2, 30, 20), (0, 5, 5, 9, 9), (0, 33, 4, 40, 25)


def ultralytics() -> Export:
    """``images/train/`` and ``labels/train/``, names by number; an empty label file; the small one before the large."""
    content = {
        "coco8-seg.yaml": b"# a comment\npath: ../datasets/coco8-seg\ntrain: images/train\nval: images/val\n"
        b"test: # none\n\nnames:\n  0: person\n  1: no\n  2: tie\n\ndownload: https://example.org/coco8-seg.zip\n"
    }
    expected = {}
    for side, count in (("train", 3), ("val", 1)):
        for i in range(count):
            content[f"images/{side}/{i}.png"] = photo(i)
            content[f"labels/{side}/{i}.txt"] = label(SMALL, LARGE) if i < 2 else b""
            expected[f"images/{side}/{i}.png"] = mask(LARGE, SMALL) if i < 2 else mask()
    return content, expected


def roboflow() -> Export:
    """``train/images/`` and ``train/labels/``, names as a list, paths that leave the folder."""
    content = {
        "data.yaml": b"train: ../train/images\nval: ../valid/images\ntest: ../test/images\n\nnc: 2\n"
        b"names: ['leaf', 'sick leaf']\n\nroboflow:\n  workspace: x\n  version: 1\n",
        "README.dataset.txt": b"leaves\n",
        "README.roboflow.txt": b"leaves - v1\n",
    }
    expected = {}
    for side in ("train", "valid", "test"):
        for i in range(2):
            name = f"a{i}_jpg.rf.0b6b24f2b7615bbe"
            content[f"{side}/images/{name}.png"] = photo(i)
            content[f"{side}/labels/{name}.txt"] = label(LARGE, OTHER)
            expected[f"{side}/images/{name}.png"] = mask(LARGE, OTHER)
    return content, expected


def cvat() -> Export:
    """Lists of images with the folder of the tool in front; no label file where there is no area."""
    content = {"data.yaml": b"names:\n  0: cat\n  1: dog\npath: .\ntrain: train.txt\nval: val.txt\n"}
    expected = {}
    for side, count in (("train", 3), ("val", 2)):
        names = [f"shot {i}.png" for i in range(count)]
        content[f"{side}.txt"] = "".join(f"data/images/{side}/{name}\n" for name in names).encode()
        for i, name in enumerate(names):
            content[f"images/{side}/{name}"] = photo(i)
            expected[f"images/{side}/{name}"] = mask()
            if i:
                content[f"labels/{side}/shot {i}.txt"] = label(LARGE, SMALL)
                expected[f"images/{side}/{name}"] = mask(LARGE, SMALL)
    return content, expected


def label_studio() -> Export:
    """``classes.txt`` and ``notes.json``; no split."""
    listed = [{"id": i, "name": name} for i, name in enumerate(("crack", "hole"))]
    notes = {"categories": listed, "info": {"year": 2026, "version": "1.0", "contributor": "Label Studio"}}
    content = {"classes.txt": b"crack\nhole\n", "notes.json": json.dumps(notes, indent=2).encode()}
    expected = {}
    for i in range(4):
        name = f"3a7c{i}-IMG_{i}"
        content[f"images/{name}.png"] = photo(i)
        content[f"labels/{name}.txt"] = label(LARGE, OTHER)
        expected[f"images/{name}.png"] = mask(LARGE, OTHER)
    return content, expected


def darknet() -> Export:
    """Labels beside the images, ``obj.names``, ``obj.data`` and a list."""
    content = {
        "obj.data": b"classes = 2\ntrain = data/train.txt\nnames = data/obj.names\nbackup = backup/\n",
        "obj.names": b"cat\ndog\n",
        "train.txt": b"".join(b"data/obj_train_data/%d.png\n" % i for i in range(4)),
    }
    expected = {}
    for i in range(4):
        content[f"obj_train_data/{i}.png"] = photo(i)
        content[f"obj_train_data/{i}.txt"] = label(LARGE, OTHER)
        expected[f"obj_train_data/{i}.png"] = mask(LARGE, OTHER)
    return content, expected


def plain(labels: Sequence[bytes], names: bytes = b"cat\ndog\n") -> dict[str, bytes]:
    """A small export with these label files."""
    content = {"classes.txt": names} if names else {}
    for i, data in enumerate(labels):
        content |= {f"images/{i}.png": photo(i), f"labels/{i}.txt": data}
    return content


EXPORTS: dict[str, Callable[[], Export]] = {
    "ultralytics": ultralytics, "roboflow": roboflow, "cvat": cvat, "label_studio": label_studio, "darknet": darknet,
}  # fmt: skip
