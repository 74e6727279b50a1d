import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders.exports import coco as polygons
from builders.exports import coco_panoptic as exports
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import coco_panoptic
from segdrop.dataset.samples import Reading, Split


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


def changed(change: Callable[[dict[str, Any]], None]) -> dict[str, bytes]:
    content, _ = exports.coco2017()
    whole = json.loads(content["annotations/panoptic_train2017.json"])
    change(whole)
    return content | {"annotations/panoptic_train2017.json": json.dumps(whole).encode()}


def test_export_is_read_back_pixel_by_pixel_and_void_is_ignored(tmp_path: Path) -> None:
    content, expected = exports.coco2017()
    report, found, sides = read_back(content, tmp_path, polygons.SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("coco-panoptic", ["person", "sky"])
    assert same(found, expected)
    assert sides == {name: "train" if "train" in name else "val" for name in expected}
    assert any("void" in line for line in report.dataset.assumptions)


def test_images_and_masks_of_one_name_are_never_confused() -> None:
    content, _ = exports.coco2017()
    names = list(content)
    reading = read(content)
    assert [(names[sample.image], names[sample.truth.member], sample.split) for sample in reading.samples] == [
        ("train2017/train_0.png", "annotations/panoptic_train2017/train_0.png", Split.TRAIN),
        ("train2017/train_1.png", "annotations/panoptic_train2017/train_1.png", Split.TRAIN),
        ("val2017/val_0.png", "annotations/panoptic_val2017/val_0.png", Split.VAL),
    ]
    assert reading.issues == []


def test_masks_win_over_the_polygons_of_the_same_images() -> None:
    content, _ = exports.coco2017()
    instances = polygons.document(["train_0.png"], [], polygons.categories({1: "person"}))
    content["annotations/instances_train2017.json"] = json.dumps(instances).encode()
    reading = read(content)
    assert reading.layout == "coco-panoptic"
    assert codes(reading) == {"layout.stray_file": "note"}


def test_polygons_are_read_where_the_masks_are_not_in_the_zip() -> None:
    content, _ = polygons.coco2017()
    content = {name.replace(".png", ".jpg"): data.replace(b".png", b".jpg") for name, data in content.items()}
    content["annotations/panoptic_train2017.json"] = exports.coco2017()[0]["annotations/panoptic_train2017.json"]
    content["annotations/panoptic_train2017.zip"] = b"PK"
    assert read(content).layout == "coco"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda whole: whole["annotations"][0].pop("file_name"), {"pair.missing_mask": "warning"}),
        (lambda whole: whole["annotations"][0].update(file_name="gone.png"), {"pair.missing_mask": "warning"}),
        (lambda whole: whole["annotations"][0].pop("segments_info"),
         {"annotation.invalid": "fault", "pair.missing_mask": "warning"}),
        (lambda whole: whole["annotations"][0]["segments_info"][0].update(category_id=5),
         {"annotation.invalid": "fault"}),
        (lambda whole: whole["images"][0].update(file_name="gone.jpg"),
         {"annotation.missing_image": "warning", "pair.missing_mask": "warning"}),
        (lambda whole: whole["categories"].append({"id": 5, "name": "unused"}), {}),
    ],
)  # fmt: skip
def test_finding_has_its_code(change: Callable[[dict[str, Any]], None], found: dict[str, str]) -> None:
    reading = read(changed(change))
    assert {code: level for code, level in codes(reading).items() if code != "layout.stray_file"} == found


def test_images_without_their_masks_are_a_fault() -> None:
    content, _ = exports.coco2017()
    content = {name: data for name, data in content.items() if "/panoptic_" not in name or name.endswith(".json")}
    assert codes(read(content)) == {"pair.missing_mask": "fault"}


def test_no_content_breaks_the_reader() -> None:
    content, _ = exports.coco2017()
    file = "annotations/panoptic_train2017.json"
    assert {survives(coco_panoptic, content | {file: damaged}) for damaged in damaged_json(content[file])} == {True}
    del content["annotations/panoptic_val2017.json"]
    assert False in {survives(coco_panoptic, content | {file: damaged}) for damaged in damaged_json(content[file])}
