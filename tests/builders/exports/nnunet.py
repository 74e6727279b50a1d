"""nnU-Net's raw format with PNG files: ``documentation/dataset_format.md`` of MIC-DKFZ/nnUNet, versions 2 and 1."""

import json
from typing import Any

from builders.exports.scenes import VOID, Export, Exports, areas, class_ids, grey, photo


def described(labels: dict[str, Any]) -> bytes:
    return json.dumps(
        {"channel_names": {"0": "R", "1": "G", "2": "B"}, "labels": labels, "numTraining": 5, "file_ending": ".png"}
    ).encode()


def version2(labels: dict[str, Any] | None = None) -> Export:
    content, expected = {}, {}
    content["dataset.json"] = described(labels or {"background": 0, "wheel": 2, "door": 1, "ignore": 3})
    for number in range(5):
        name, values = f"CAR_{number:03}", areas(number, (0, 1, 2, 3))
        content[f"imagesTr/{name}_0000.png"] = photo(number)
        content[f"labelsTr/{name}.png"] = grey(values)
        expected[f"imagesTr/{name}_0000.png"] = class_ids(values, {0: 0, 1: 1, 2: 2, 3: VOID})
    content |= {f"imagesTs/CAR_{number:03}_0000.png": photo(number) for number in range(10, 19)}
    return content, expected


def version1() -> Export:
    content, expected = version2()
    labels = {"0": "background", "1": "door", "2": "wheel", "3": "Ignore"}
    content["dataset.json"] = json.dumps({"modality": {"0": "RGB"}, "labels": labels, "training": []}).encode()
    content |= {f"labelsTs/CAR_{number:03}.png": grey(areas(number, (0, 1, 2))) for number in range(10, 19)}
    for number in range(10, 19):
        expected[f"imagesTs/CAR_{number:03}_0000.png"] = areas(number, (0, 1, 2)).astype("uint8")
    return content, expected


EXPORTS: Exports = {"version2": version2, "version1": version1}
