"""ADE20K: CSAILVision/sceneparsing README and ``objectInfo150.txt``; CSAILVision/ADE20K ``utils/utils_ade20k.py``
(``loadAde20K``) for the full one, release 2021_17_01.
"""

import json

import numpy as np

from builders.archives import encoded
from builders.exports.scenes import VOID, Export, Exports, areas, class_ids, grey, photo, text_lines

_FIRST = ("wall", "building, edifice", "sky", "floor, flooring", "screen, silver screen", "screen, CRT screen")


def object_info() -> bytes:
    rows = ["Idx\tRatio\tTrain\tVal\tStuff\tName"]
    for value in range(1, 151):
        name = _FIRST[value - 1] if value <= len(_FIRST) else f"thing {value}, item {value}"
        rows.append(f"{value}\t{1 / value:.4f}\t{20_000 // value}\t{2000 // value}\t1\t\t{name}")
    return text_lines(rows)


def benchmark() -> Export:
    root = "ADEChallengeData2016"
    content = {f"{root}/objectInfo150.txt": object_info(), f"{root}/sceneCategories.txt": b"ADE_train_0 airport\n"}
    expected = {}
    for number in range(6):
        side, short = (("training", "train"), ("validation", "val"))[number % 2]
        name, values = f"{side}/ADE_{short}_{number:08}", areas(number, (0, 1, 3, 150))
        content[f"{root}/images/{name}.jpg"] = photo(number, "JPEG")
        content[f"{root}/annotations/{name}.png"] = grey(values)
        expected[f"{root}/images/{name}.jpg"] = class_ids(values, {0: VOID, 1: 0, 3: 2, 150: 149})
    return content, expected


def _coded(values: np.ndarray) -> bytes:
    """R and G code the class, B the instance."""
    red, green = values // 256 * 10, values % 256
    return encoded(np.stack([red, green, values % 7], axis=-1).astype(np.uint8))


def full() -> Export:
    """Three classes of three thousand, parts of objects, and a mask for each object in a folder beside."""
    classes = {2978: "wall", 976: "floor, flooring", 249: "box"}
    objects = [
        {"id": i, "name": name, "name_ndx": value, "raw_name": name, "parts": {"part_level": 0}, "polygon": {}}
        for i, (value, name) in enumerate(classes.items())
    ]
    content, expected = {"ADE20K_2021_17_01/index_ade20k.pkl": b"..."}, {}
    for number in range(6):
        side, short = (("training", "train"), ("validation", "val"))[number % 2]
        folder = f"ADE20K_2021_17_01/images/ADE/{side}/urban/street"
        name, values = f"{folder}/ADE_{short}_{number:08}", areas(number, (0, *classes))
        content[f"{name}.jpg"] = photo(number, "JPEG")
        content[f"{name}_seg.png"] = _coded(values)
        content[f"{name}_parts_1.png"] = _coded(values)
        content[f"{name}/instance_000_ADE_{short}_{number:08}.png"] = grey(values > 0)
        content[f"{name}.json"] = json.dumps({"annotation": {"filename": "x", "object": objects}}).encode()
        expected[f"{name}.jpg"] = class_ids(values, {0: VOID, 249: 0, 976: 1, 2978: 2})
    return content, expected


EXPORTS: Exports = {"benchmark": benchmark, "full": full}
