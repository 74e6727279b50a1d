import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.exports import via as exports
from builders.exports.boxes import SIZE, painted, photo
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import via
from segdrop.dataset.samples import Reading


def region(shape: dict[str, Any], **attributes: Any) -> dict[str, Any]:
    return {"shape_attributes": shape, "region_attributes": attributes}


BOX = exports.polygon((2, 2, 9, 9))
CAT = region(BOX, kind="cat")


def made(*regions: Any) -> dict[str, bytes]:
    """Three images, the first of them with these regions."""
    found = exports.export({"0.png": [*regions], "1.png": [CAT], "2.png": [CAT]})
    return {"via_region_data.json": json.dumps(found).encode()} | {f"{i}.png": photo(i) for i in range(3)}


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


def class_names(reading: Reading) -> list[str]:
    assert reading.names is not None
    return [name for _, name in reading.names.numbered]


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("version 1", ["background", "door", "house"]),
        ("version 2", ["background", "house", "door", "roof"]),
        ("version 3", ["background", "house", "door"]),
        ("csv", ["background", "door", "house"]),
    ],
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("via", classes)
    assert same(found, expected)
    # the line has no area
    assert "annotation.no_area" in {issue.code for issue in report.issues}


def test_circle_and_turned_ellipse_are_areas(tmp_path: Path) -> None:
    shapes = ({"name": "circle", "cx": 15, "cy": 10, "r": 6},
              {"name": "ellipse", "cx": 15, "cy": 10, "rx": 9, "ry": 3, "theta": np.pi / 2})  # fmt: skip
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    for number, (shape, radii) in enumerate(zip(shapes, ((6, 6), (3, 9)), strict=True)):
        folder = tmp_path / str(number)
        folder.mkdir()
        _, found, _ = read_back(made(region(shape, kind="cat")), folder, SIZE)
        across, down = ((columns - 15) / (radii[0] + side), (rows - 10) / (radii[1] + side)) if (side := -1.5) else ()
        assert (found["0.png"][across**2 + down**2 <= 1] == 1).all()
        outside = ((columns - 15) / (radii[0] + 1.5)) ** 2 + ((rows - 10) / (radii[1] + 1.5)) ** 2 >= 1
        assert (found["0.png"][outside] == 0).all()


def test_folders_are_the_split_and_equal_names_in_them_are_not_confused(tmp_path: Path) -> None:
    content: dict[str, bytes] = {}
    expected = {}
    for side, box in (("train", (2, 2, 9, 9)), ("val", (20, 12, 30, 18))):
        found = exports.export({f"{i}.png": [region(exports.polygon(box), kind="cat")] for i in range(2)})
        content[f"kudzu/{side}/via_region_data.json"] = json.dumps(found).encode()
        content |= {f"kudzu/{side}/{i}.png": photo(i) for i in range(2)}
        expected |= {f"kudzu/{side}/{i}.png": painted((box, 1)) for i in range(2)}
    _, found, sides = read_back(content, tmp_path, SIZE)
    assert same(found, expected)
    assert sides == {name: name.split("/")[1] for name in expected}


def test_image_by_its_url_or_a_path_of_another_machine_is_found() -> None:
    for name in ("https://example.com/a/0.png?size=big", "file:///C:/pictures/0.png", "pictures\\0.png"):
        found = exports.export({name: [CAT], "1.png": [CAT]})
        content = {"via_region_data.json": json.dumps(found).encode()} | {f"{i}.png": photo(i) for i in range(2)}
        assert [sample.key for sample in read(content).samples] == ["0", "1"]


@pytest.mark.parametrize(
    ("attributes", "name", "assumed"),
    [
        ({"name": "cat", "id": "7"}, "cat", False),
        ({"Class": {"cat": True, "dog": False}}, "cat", False),
        ({"inseto": "cat", "insect": "cat"}, "cat", False),
        ({"animal": "cat", "breed": ""}, "cat", False),
        ({"animal": "cat", "quality": "good"}, "cat", True),
        ({"number": 5}, "5", False),
    ],
)
def test_attribute_that_names_the_class_is_found_out(attributes: dict[str, Any], name: str, assumed: bool) -> None:
    found = exports.export({f"{i}.png": [region(BOX, **attributes)] for i in range(3)})
    content = {"via_region_data.json": json.dumps(found).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    reading = read(content)
    assert class_names(reading) == ["background", name]
    assert ("classes.assumed" in codes(reading)) is assumed


def test_attribute_of_most_regions_wins_over_one_of_few() -> None:
    reading = read(made(region(BOX, kind="dog", zoo="x"), region(BOX, kind="cat")))
    assert class_names(reading) == ["background", "cat", "dog"]


@pytest.mark.parametrize(
    ("regions", "found"),
    [
        ([CAT, region(BOX)], {"annotation.unnamed": "warning"}),
        ([CAT, region(BOX, kind="dog"), region(BOX)], {"annotation.unnamed": "fault"}),
        ([region({"name": "point", "cx": 1, "cy": 1}, kind="cat")], {"annotation.no_area": "warning"}),
        ([region({"name": "polygon", "all_points_x": [1], "all_points_y": [1]})], {"annotation.no_area": "warning"}),
        ([region({"name": "polygon", "all_points_x": [1, 2], "all_points_y": [1]})], {"annotation.invalid": "fault"}),
        ([region({"name": "circle", "cx": 1, "cy": 1})], {"annotation.invalid": "fault"}),
        ([region({"name": "star"})], {"annotation.invalid": "fault"}),
        ([], {}),
    ],
)
def test_finding_has_its_code(regions: list[Any], found: dict[str, str]) -> None:
    assert codes(read(made(*regions))) == found


def test_areas_without_any_name_are_one_class() -> None:
    found = exports.export({f"{i}.png": [region(BOX)] for i in range(3)})
    content = {"via_region_data.json": json.dumps(found).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    assert class_names(read(content)) == ["background", "object"]


def test_project_and_export_that_differ_are_a_fault() -> None:
    content, _ = exports.version_2()
    assert codes(read(content)) == {"annotation.no_area": "warning"}
    whole = json.loads(content["via_export_json.json"])
    next(iter(whole.values()))["regions"].pop(0)
    assert codes(read(content | {"via_export_json.json": json.dumps(whole).encode()}))["pair.ambiguous"] == "fault"


def test_all_that_is_wrong_is_reported_together() -> None:
    found = exports.export({"0.png": [CAT, region({"name": "star"})], "1.png": [CAT], "gone.png": [CAT]})
    content = {
        "via_region_data.json": json.dumps(found).encode(),
        "via_export_csv.csv": b"# CSV_HEADER = metadata_id\n",
    }
    reading = read(content | {f"{i}.png": photo(i) for i in range(3)})
    assert codes(reading) == {
        "annotation.invalid": "fault", "annotation.missing_image": "warning", "pair.missing_mask": "warning",
    }  # fmt: skip
    assert any("VIA 3" in issue.message for issue in reading.issues)


@pytest.mark.parametrize("text", ["\ud800", "\x1b[2J", "\u202eabc", "a\nb", "x" * 5000])
def test_text_of_a_file_steers_no_terminal_and_fills_no_page(text: str) -> None:
    region_of = {"shape_attributes": BOX, "region_attributes": {text: "cat", f"{text}2": "x"}}
    found = exports.export({f"{i}.png": [region_of, region({"name": text})] for i in range(3)} | {f"{text}.png": []})
    content = {"via_region_data.json": json.dumps(found).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    reading = read(content)
    assert codes(reading).keys() == {"annotation.invalid", "annotation.missing_image", "classes.assumed"}
    said = [*reading.assumptions, *(issue.message for issue in reading.issues)]
    assert all(line.isprintable() and len(line) < 600 for line in said)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"regions": 1}', b"\xff" * 50])
def test_json_that_is_something_else_is_not_taken_for_via(content: bytes) -> None:
    assert not via.signature(tree_of({"a.json": content, "a.csv": content, "a.png": b""}))


@pytest.mark.parametrize("name", ["version 1", "version 2", "version 3"])
def test_no_content_breaks_the_reader(name: str) -> None:
    content, _ = exports.EXPORTS[name]()
    file = next(path for path in content if path.endswith(".json"))
    # one export of version 2 is enough
    content = {
        path: b"" if path.endswith(".png") else content[path] for path in content if path == file or ".png" in path
    }
    ends = {survives(via, content | {file: damaged}) for damaged in damaged_json(content[file])}
    assert True in ends


@pytest.mark.parametrize(
    "cell", ["", "x", "[]", "null", "[" * 5000, '{""name"": 1}', '{""name"":""rect""}', '"', "\x00"]
)
def test_no_cell_breaks_the_reader(cell: str) -> None:
    content, _ = exports.table()
    lines = content["via_export_csv.csv"].decode().split("\n")
    for column in range(7):
        cells = ["0.png", "1", '"{}"', "1", "0", '"{}"', '"{}"']
        cells[column] = f'"{cell}"'
        damaged = "\n".join([lines[0], ",".join(cells), *lines[2:]]).encode()
        survives(via, content | {"via_export_csv.csv": damaged})
