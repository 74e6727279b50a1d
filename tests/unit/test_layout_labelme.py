import base64
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.exports import labelme as exports
from builders.exports.boxes import SIZE, corners, painted, photo
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import labelme
from segdrop.dataset.samples import Reading

BOX = exports.shape("cat", "polygon", corners((2, 2, 9, 9)))


def made(*shapes: Any, **more: Any) -> dict[str, bytes]:
    """Three images, the first of them with these shapes."""
    content = {f"{i}.png": photo(i) for i in range(3)} | {
        f"{i}.json": exports.document([BOX], f"{i}.png") for i in (1, 2)
    }
    return content | {"0.json": exports.document([*shapes], "0.png", **more)}


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("version 5", ["_background_", "cat", "dog", "emu"]),
        ("version 3", ["background", "ape", "zebra"]),
        ("split", ["background", "cat"]),
    ],
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, sides = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("labelme", classes)
    assert same(found, expected)
    if name == "split":
        assert sides == {name: name.partition("/")[0] for name in expected}


def test_circle_is_round_around_its_first_point(tmp_path: Path) -> None:
    circle = exports.shape("cat", "circle", [[15, 10], [15, 4]])
    _, found, _ = read_back(made(circle), tmp_path, SIZE)
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    distance = np.hypot(rows - 10, columns - 15)
    # Pillow's outlines of fractions are right to a pixel and a half
    assert (found["0.png"][distance <= 4.5] == 1).all()
    assert (found["0.png"][distance >= 7.5] == 0).all()


def test_mask_beyond_the_border_is_cut_off(tmp_path: Path) -> None:
    full = np.ones((6, 6), bool)
    mask = exports.shape("cat", "mask", [[-3, -2], [2, 3]], mask=exports.patch(full))
    _, found, _ = read_back(made(mask), tmp_path, SIZE)
    assert np.array_equal(found["0.png"], painted(((0, 0, 2, 3), 1)))


def test_image_without_shapes_is_background(tmp_path: Path) -> None:
    report, found, _ = read_back(made(), tmp_path, SIZE)
    assert report.dataset is not None
    assert not found["0.png"].any()
    assert any("1 annotated images have no area" in line for line in report.dataset.assumptions)


@pytest.mark.parametrize(
    "path", ["0.png", "..\\pics\\0.png", "C:\\Users\\me\\0.png", "/home/me/pics/0.png", "0.JPG", "old.png"]
)
def test_image_is_found_by_whatever_path_the_file_says(path: str) -> None:
    content = made(BOX)
    content["0.json"] = exports.document([BOX], path)
    assert [sample.key for sample in read(content).samples] == ["0", "1", "2"]


def test_equal_names_in_two_folders_are_never_confused() -> None:
    content = {f"{folder}/{i}.png": photo(i) for folder in "ba" for i in range(2)}
    content |= {f"{folder}/{i}.json": exports.document([BOX], f"{i}.png") for folder in "ab" for i in range(2)}
    names = list(content)
    pairs = [(names[sample.image], names[sample.truth.member]) for sample in read(content).samples]
    assert pairs == [(f"{key}.png", f"{key}.json") for key in ("a/0", "a/1", "b/0", "b/1")]


def test_order_in_the_zip_does_not_matter() -> None:
    content, _ = exports.version_5()
    turned = dict(reversed(content.items()))
    one, other = read(content), read(turned)
    assert [sample.key for sample in one.samples] == [sample.key for sample in other.samples]
    assert one.names == other.names


def test_train_annotation_never_takes_a_validation_image() -> None:
    content, _ = exports.split()
    del content["train/a.png"]
    reading = read(content)
    assert [sample.key for sample in reading.samples] == ["train/b", "val/a"]
    assert codes(reading) == {"annotation.missing_image": "warning"}


@pytest.mark.parametrize(
    ("shape", "found"),
    [
        (exports.shape("cat", "line", [[1, 1], [5, 5]]), {"annotation.no_area": "warning"}),
        (exports.shape("cat", "linestrip", [[1, 1], [5, 5], [9, 1]]), {"annotation.no_area": "warning"}),
        (exports.shape("cat", "point", [[1, 1]]), {"annotation.no_area": "warning"}),
        (exports.shape("cat", "polygon", [[1, 1], [5, 5]]), {"annotation.no_area": "warning"}),
        (exports.shape("cat", "polygon", [[1, 1], [5, 5], [3, 3]]), {"annotation.no_area": "warning"}),
        (exports.shape("cat", "polygon", [[1, 1], [5, None], [3, 3]]), {"annotation.invalid": "fault"}),
        (exports.shape("cat", "star", [[1, 1], [5, 5]]), {"annotation.invalid": "fault"}),
        (exports.shape("cat", "mask", [[1, 1], [5, 5]], mask="?"), {"annotation.invalid": "fault"}),
        (exports.shape("", "polygon", corners((2, 2, 5, 5))), {"annotation.unnamed": "warning"}),
        (exports.shape("x" * 300, "polygon", corners((2, 2, 5, 5))), {"classes.invalid": "fault"}),
        ({"points": []}, {"annotation.invalid": "fault"}),
    ],
)
def test_finding_has_its_code(shape: dict[str, Any], found: dict[str, str]) -> None:
    assert codes(read(made(BOX, shape))) == found


def test_area_without_a_name_among_several_classes_is_a_fault() -> None:
    dog = exports.shape("dog", "polygon", corners((2, 2, 5, 5)))
    assert codes(read(made(dog, exports.shape("", "polygon", corners((2, 2, 5, 5)))))) == {
        "annotation.unnamed": "fault"
    }


def test_rectangles_alone_are_doubted_and_learnt() -> None:
    box = exports.shape("cat", "rectangle", [[1, 1], [9, 9]])
    content = {f"{i}.json": exports.document([box], f"{i}.png") for i in range(3)}
    reading = read(content | {f"{i}.png": photo(i) for i in range(3)})
    assert codes(reading) == {"annotation.boxes_only": "warning"}
    assert len(reading.samples) == 3


def test_all_that_is_wrong_is_reported_together() -> None:
    content = made(BOX, {"label": 3}, exports.shape("cat", "line", [[1, 1], [2, 2]]))
    content |= {"3.json": b"{", "4.json": exports.document([BOX], "gone.png"), "5.png": photo(5), "notes.json": b"[]"}
    reading = read(content)
    assert codes(reading) == {
        "annotation.invalid": "fault", "annotation.no_area": "warning", "annotation.missing_image": "warning",
        "pair.missing_mask": "warning", "layout.stray_file": "note",
    }  # fmt: skip
    assert {name for issue in reading.issues for name in issue.files} == {
        "0.json", "3.json", "4.json", "5.png", "notes.json",
    }  # fmt: skip


def test_image_inside_the_json_is_no_substitute_for_the_file() -> None:
    content, _ = exports.version_3()
    reading = read({name: data for name, data in content.items() if name.endswith(".json")})
    assert codes(reading)["annotation.missing_image"] == "fault"


def test_two_files_for_one_image_are_a_fault_unless_they_say_the_same() -> None:
    content = made(BOX)
    assert not codes(read(content | {"again/0.json": content["0.json"]}))
    other = exports.document([exports.shape("cat", "polygon", corners((1, 1, 3, 3)))], "0.png")
    assert codes(read(content | {"again/0.json": other})) == {"pair.ambiguous": "fault"}


def test_class_that_labels_txt_does_not_list_comes_last_and_is_said() -> None:
    content = made(exports.shape("ant", "polygon", corners((1, 1, 3, 3)))) | {"labels.txt": b"dog\ncat\n"}
    reading = read(content)
    assert reading.names is not None
    assert reading.names.numbered == ((0, "background"), (1, "dog"), (2, "cat"), (3, "ant"))
    assert any("ant" in line for line in reading.assumptions)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'["shapes", "imagePath"]', b"\xff" * 50])
def test_json_that_is_something_else_is_not_taken_for_labelme(content: bytes) -> None:
    assert not labelme.signature(tree_of({"a.json": content, "a.png": b""}))


@pytest.mark.parametrize("name", exports.EXPORTS)
def test_no_content_breaks_the_reader(name: str) -> None:
    content, _ = exports.EXPORTS[name]()
    content = {path: data if path.endswith((".json", ".txt")) else b"" for path, data in content.items()}
    file = next(path for path in content if path.endswith(".json"))
    ends = {survives(labelme, content | {file: damaged}) for damaged in damaged_json(content[file])}
    assert True in ends


def test_mask_that_is_no_image_is_answered_when_it_is_drawn(tmp_path: Path) -> None:
    broken = exports.shape("cat", "mask", [[1, 1], [5, 5]], mask=base64.b64encode(b"no image").decode())
    report, _, _ = read_back(made(BOX, broken), tmp_path, SIZE)
    assert report.dataset is None
    assert "image.unreadable" in {issue.code for issue in report.issues}


def test_size_that_no_image_has_is_answered_without_the_memory_for_it(tmp_path: Path) -> None:
    whole = json.loads(exports.document([BOX], "0.png"))
    whole |= {"imageWidth": 65_536, "imageHeight": 65_536}
    report, _, _ = read_back(made(BOX) | {"0.json": json.dumps(whole).encode()}, tmp_path, SIZE)
    assert report.dataset is None
    assert "image.too_large" in {issue.code for issue in report.issues}


@pytest.mark.parametrize(
    "row", ["\u00b2, x", "9" * 5000 + ", x", "x, 1, \u00b2, 3", "y" * 200_000 + ", 1", '"', "\x00, x", ""]
)
def test_no_list_of_names_breaks_the_reader(row: str) -> None:
    content, _ = exports.version_5()
    del content["labels.txt"]
    assert survives(labelme, content | {"_classes.csv": f"Pixel Value, Class\n{row}\n".encode()})
