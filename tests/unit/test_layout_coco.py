import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.exports import coco as exports
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import coco
from segdrop.dataset.samples import Drawing, Reading
from segdrop.errors import DataError


def made(change: Callable[[dict[str, Any]], None], count: int = 3) -> dict[str, bytes]:
    """A small export with one JSON that ``change`` has been at."""
    names = [f"{i}.png" for i in range(count)]
    areas = [(i, 1, [exports.box(2, 2, 9, 9)]) for i in range(count)]
    whole = exports.document(names, areas, exports.categories({1: "cat", 2: "dog"}))
    change(whole)
    return {"a.json": json.dumps(whole).encode()} | {f"images/{name}": exports.photo(0) for name in names}


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("cvat", ["background", "wheel", "car", "road"]),
        ("coco2017", ["background", "person", "dog"]),
        ("roboflow", ["background", "window", "facade"]),
        ("labelme", ["_background_", "cat", "dog"]),
    ],
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, exports.SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("coco", classes)
    assert same(found, expected)


@pytest.mark.parametrize(
    ("name", "sides"),
    [
        ("coco2017", {"train2017/000.png": "train", "train2017/001.png": "train", "val2017/002.png": "val"}),
        (
            "roboflow",
            {
                f"{folder}/{image}": side
                for number, (folder, side) in enumerate((("train", "train"), ("valid", "val"), ("test", "test")))
                for image in ("a_jpg.rf.0b6b24.png", f"b{number}_jpg.rf.77.png")
            },
        ),
    ],
)
def test_split_is_that_of_the_files(name: str, sides: dict[str, str], tmp_path: Path) -> None:
    report, _, found = read_back(exports.EXPORTS[name]()[0], tmp_path, exports.SIZE)
    assert found == sides, report.issues


def test_same_image_name_in_two_splits_is_never_confused() -> None:
    content, _ = exports.coco2017()
    for side in ("train", "val"):
        whole = exports.document(["0.png"], [(0, 1, [exports.box(0, 0, 5, 5)])], exports.categories({1: side}))
        content = {name: data for name, data in content.items() if "2017/0" not in name}
        content[f"annotations/instances_{side}2017.json"] = json.dumps(whole).encode()
    content |= {f"{side}2017/0.png": exports.photo(0) for side in ("val", "train")}
    names = list(content)
    reading = read(content)
    assert [(names[sample.image], names[sample.truth.member]) for sample in reading.samples] == [
        ("train2017/0.png", "annotations/instances_train2017.json"),
        ("val2017/0.png", "annotations/instances_val2017.json"),
    ]
    del content["val2017/0.png"]
    reading = read(content)
    assert len(reading.samples) == 1
    assert codes(reading) == {"annotation.missing_image": "warning", "layout.stray_file": "note"}


@pytest.mark.parametrize(
    ("image", "reference"),
    [("{}2017/v1/0.png", "v1/0.png"), ("{}/images/0.png", "0.png"), ("images/{}/0.png", "C:\\x\\0.png")],
)
def test_image_is_found_in_the_folders_of_its_split(image: str, reference: str) -> None:
    content = {}
    for side in ("val", "train"):
        whole = exports.document([reference], [(0, 1, [exports.box(0, 0, 5, 5)])], exports.categories({1: "cat"}))
        content |= {f"annotations/instances_{side}.json": json.dumps(whole).encode(), image.format(side): b""}
    names = list(content)
    reading = read(content)
    assert [(names[sample.image], str(sample.split)) for sample in reading.samples] == [
        (image.format(side), side) for side in ("train", "val")
    ]
    assert reading.issues == []


def test_stuff_is_below_things_though_it_is_smaller(tmp_path: Path) -> None:
    images = ["0.png", "1.png"]
    listed = exports.categories({1: "cat", 183: "other"})
    things = exports.document(images, [(i, 1, [exports.box(2, 2, 9, 9)]) for i in range(2)], listed)
    stuff = exports.document(images, [(i, 183, [exports.box(3, 3, 4, 4)]) for i in range(2)], listed)
    content = {f"images/{name}": exports.photo(0) for name in images}
    content |= {"instances.json": json.dumps(things).encode(), "stuff.json": json.dumps(stuff).encode()}
    report, found, _ = read_back(content, tmp_path, exports.SIZE)
    assert report.dataset is not None, report.issues
    assert {int(value) for mask in found.values() for value in np.unique(mask)} == {0, 1}


def test_size_that_no_image_may_have_is_refused_before_it_is_drawn(tmp_path: Path) -> None:
    def huge(whole: dict[str, Any]) -> None:
        for entry in whole["images"]:
            entry.update(width=65_536, height=65_536)

    report, _, _ = read_back(made(huge), tmp_path, exports.SIZE)
    assert report.dataset is None
    assert "image.too_large" in {issue.code for issue in report.issues}


def test_annotations_in_any_order_and_ids_as_text_mean_the_same() -> None:
    def shuffled(whole: dict[str, Any]) -> None:
        whole["annotations"].reverse()
        for entry in whole["annotations"]:
            entry["image_id"] = str(entry["image_id"])

    straight, turned = read(made(lambda _: None)), read(made(shuffled))
    assert straight.samples == turned.samples
    assert not turned.issues


def test_flat_polygon_is_one_ring() -> None:
    def flat(whole: dict[str, Any]) -> None:
        for entry in whole["annotations"]:
            (entry["segmentation"],) = entry["segmentation"]

    assert read(made(flat)).samples == read(made(lambda _: None)).samples


def test_boxes_alone_are_a_fault() -> None:
    def boxes(whole: dict[str, Any]) -> None:
        for entry in whole["annotations"]:
            entry["segmentation"] = []

    reading = read(made(boxes))
    assert codes(reading) == {"annotation.boxes_only": "fault"}
    assert reading.issues[0].count == 3


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (lambda whole: whole["annotations"][0].update(segmentation=[]), {"annotation.no_area": "warning"}),
        (lambda whole: whole["annotations"][0].update(segmentation=[[1, 1, 5, 5]]), {"annotation.no_area": "warning"}),
        (lambda whole: whole["annotations"][0].update(segmentation=[[1, 1, 5]]), {"annotation.invalid": "fault"}),
        (lambda whole: whole["annotations"][0].update(segmentation="x"), {"annotation.invalid": "fault"}),
        (lambda whole: whole["annotations"][0].update(category_id=9), {"annotation.invalid": "fault"}),
        (lambda whole: whole["annotations"][0].update(image_id=9), {"annotation.invalid": "fault"}),
        (
            lambda whole: whole["annotations"][0].update(segmentation={"size": [4, 4], "counts": [8, 8]}),
            {"annotation.invalid": "fault"},
        ),
        (lambda whole: whole["images"][2].update(file_name="other.png"),
         {"annotation.missing_image": "warning", "pair.missing_mask": "warning"}),
        (lambda whole: whole["images"].append({"id": 8, "file_name": "0.png"}), {}),
        (lambda whole: whole["categories"].append({"id": 3, "name": "x" * 300}), {"classes.invalid": "fault"}),
        (lambda whole: whole["categories"].append({"id": 3, "name": "cat"}), {}),
        (lambda whole: whole["categories"].append({"id": 3, "name": " "}), {"annotation.invalid": "fault"}),
    ],
)  # fmt: skip
def test_finding_has_its_code(change: Callable[[dict[str, Any]], None], found: dict[str, str]) -> None:
    assert codes(read(made(change))) == found


def test_all_that_is_wrong_is_reported_together() -> None:
    def broken(whole: dict[str, Any]) -> None:
        for entry in whole["annotations"][:3]:
            entry["segmentation"] = 7
        whole["annotations"][3]["segmentation"] = []
        whole["images"][4]["file_name"] = "gone.png"

    content = made(broken, 6) | {"b.json": b'{"images": 1, "annotations": [], "categories": []}'}
    reading = read(content)
    assert codes(reading) == {
        "annotation.invalid": "fault", "annotation.no_area": "warning", "annotation.missing_image": "warning",
        "pair.missing_mask": "warning",
    }  # fmt: skip
    invalid = [issue for issue in reading.issues if issue.code == "annotation.invalid"]
    assert {name for issue in invalid for name in issue.files} == {"a.json", "b.json"}
    assert sum(issue.count for issue in invalid) == 4


def test_unlisted_image_is_left_out_and_most_unlisted_are_a_fault() -> None:
    content = made(lambda _: None) | {"images/more.png": exports.photo(0)}
    assert codes(read(content)) == {"pair.missing_mask": "warning"}
    content |= {f"images/more{i}.png": exports.photo(0) for i in range(3)}
    assert codes(read(content)) == {"pair.missing_mask": "fault"}


def test_annotations_without_their_images_are_a_fault() -> None:
    content = made(lambda _: None)
    reading = read({"a.json": content["a.json"], "README.md": b"hello"})
    assert codes(reading)["annotation.missing_image"] == "fault"


def test_more_categories_than_there_can_be_leave_those_in_use() -> None:
    def lvis(whole: dict[str, Any]) -> None:
        whole["categories"] = exports.categories({i: f"thing {i}" for i in range(1, 1204)})
        whole["annotations"][1]["category_id"] = 1203

    reading = read(made(lvis))
    assert reading.names is not None
    assert reading.names.numbered == ((0, "background"), (1, "thing 1"), (2, "thing 1203"))


def test_size_of_run_lengths_stands_in_for_a_missing_one() -> None:
    def bare(whole: dict[str, Any]) -> None:
        for entry in whole["images"]:
            del entry["width"], entry["height"]
        whole["annotations"][0]["segmentation"] = {"size": [32, 64], "counts": [5, 2043]}

    sizes = [sample.truth.size for sample in read(made(bare)).samples if isinstance(sample.truth, Drawing)]
    assert sizes == [(64, 32), None, None]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"images" "annotations" "categories"', b"\xff" * 50])
def test_json_that_is_something_else_is_not_taken_for_coco(content: bytes) -> None:
    tree = tree_of({"a.json": content, "images/a.png": b""})
    if b"images" not in content:
        assert not coco.signature(tree)
    with pytest.raises(DataError):
        coco.read(tree)


@pytest.mark.parametrize("name", ["cvat", "coco2017", "roboflow", "labelme"])
def test_no_content_breaks_the_reader(name: str) -> None:
    content, _ = exports.EXPORTS[name]()
    content = {path: data if path.endswith(".json") else b"" for path, data in content.items()}
    file = next(path for path in content if path.endswith(".json") and "captions" not in path)
    ends = {survives(coco, content | {file: damaged}) for damaged in damaged_json(content[file])}
    assert True in ends
