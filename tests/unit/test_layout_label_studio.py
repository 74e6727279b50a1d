import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from builders.archives import encoded
from builders.exports import label_studio as exports
from builders.exports.boxes import SIZE, painted, photo
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import label_studio, label_studio_png
from segdrop.dataset.masks import drawing
from segdrop.dataset.masks.decode import DecodeError
from segdrop.dataset.samples import Drawing, Reading
from segdrop.dataset.shapes import Brush
from segdrop.errors import DataError

CAR = exports.polygon(0, "Car", (4, 4, 8, 8))


def made(*results: Any, **more: Any) -> dict[str, bytes]:
    """Three images, the first of them with these results."""
    tasks = [
        exports.task(i, f"/data/upload/1/{i}.png", [exports.annotation(i, [CAR] if i else [*results], **more)])
        for i in range(3)
    ]
    return {"project-1.json": json.dumps(tasks).encode()} | {f"{i}.png": photo(i) for i in range(3)}


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("json", ["background", "Car", "Road", "Sky"]),
        ("json-min", ["background", "Car", "Road", "Sky"]),
        ("completions", ["background", "Hello"]),
    ],
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("label-studio", classes)
    assert same(found, expected)


def test_task_that_nobody_labelled_is_left_out_and_further_annotators_are_said() -> None:
    reading = read(exports.full()[0])
    assert codes(reading) == {"annotation.no_area": "warning", "pair.missing_mask": "warning"}
    assert any("1 annotations of images that have several" in line for line in reading.assumptions)
    assert any("3 annotations" in line for line in read(exports.minimal()[0]).assumptions)


def test_ellipse_is_turned_in_pixels_not_in_percent(tmp_path: Path) -> None:
    height, width = SIZE
    value = {
        "x": 100 * 20 / width, "y": 100 * 15 / height, "radiusX": 100 * 12 / width, "radiusY": 100 * 4 / height,
        "rotation": 90, "ellipselabels": ["Car"],
    }  # fmt: skip
    _, found, _ = read_back(made(exports.result(0, "ellipselabels", value)), tmp_path, SIZE)
    rows, columns = np.mgrid[:height, :width]
    inside = ((columns - 20) / 2.5) ** 2 + ((rows - 15) / 10.5) ** 2 <= 1
    outside = ((columns - 20) / 5.5) ** 2 + ((rows - 15) / 13.5) ** 2 >= 1
    assert (found["0.png"][inside] == 1).all()
    assert (found["0.png"][outside] == 0).all()


@pytest.mark.parametrize("literal", [False, True])
@pytest.mark.parametrize("side", [1, 7, 300])
def test_brush_code_is_read_as_it_was_written(side: int, literal: bool) -> None:
    rng = np.random.default_rng(side)
    for covered in (
        rng.random((side, side + 1)) < 0.3, np.zeros((side, side + 1), bool), np.ones((side, side + 1), bool)
    ):  # fmt: skip
        code = bytes(exports.brush_code(covered, colour=(0, 9, 255), literal=literal))
        drawn = drawing.draw(Drawing(0, (Brush(5, code, side + 1, side),), (side + 1, side)), (1, 1))
        assert np.array_equal(drawn, 5 * covered)


@pytest.mark.parametrize("cut", [0, 3, 7, 8, 12, -9])
def test_brush_code_that_ends_early_is_no_half_stroke(cut: int) -> None:
    code = bytes(exports.brush_code(np.eye(20, dtype=bool)))[:cut]
    with pytest.raises(DecodeError, match="ends early"):
        drawing.draw(Drawing(0, (Brush(1, code, 20, 20),)), (20, 20))


def test_brush_code_with_more_values_than_it_says_is_cut_off() -> None:
    # 1600 values in runs whose shortest kind is of 65,536 values already
    bits = f"{1600:032b}{7:05b}" + 4 * "1111" + 5000 * ("100" + 16 * "1" + f"{9:08b}")
    code = int(bits, 2).to_bytes(len(bits) // 8 + 1, "big")
    shift = 8 * len(code) - len(bits)
    code = (int(bits, 2) << shift).to_bytes(len(code), "big")
    assert drawing.draw(Drawing(0, (Brush(1, code, 20, 20),)), (20, 20)).all()


def test_brush_of_another_size_than_its_code_is_refused() -> None:
    code = bytes(exports.brush_code(np.eye(20, dtype=bool)))
    with pytest.raises(DecodeError, match="1600 values"):
        drawing.draw(Drawing(0, (Brush(1, code, 20, 21),)), (20, 21))


@pytest.mark.parametrize(
    ("result", "found"),
    [
        (exports.result(9, "polygonlabels", {"points": [[1, 1], [5, 5]], "polygonlabels": ["Car"]}),
         {"annotation.no_area": "warning"}),
        (exports.result(9, "polygonlabels", {"points": [[1, 1], [9, 1], [5, 5]], "closed": False,
                                             "polygonlabels": ["Car"]}), {"annotation.no_area": "warning"}),
        (exports.result(9, "polygonlabels", {"points": [[1, 1], [9, "x"], [5, 5]], "polygonlabels": ["Car"]}),
         {"annotation.invalid": "fault"}),
        (exports.result(9, "keypointlabels", {"x": 1, "y": 1, "width": 0.3, "keypointlabels": ["Car"]}),
         {"annotation.no_area": "warning"}),
        (exports.result(9, "brushlabels", {"format": "rle", "rle": [300], "brushlabels": ["Car"]}),
         {"annotation.invalid": "fault"}),
        (exports.result(9, "brushlabels", {"format": "rle", "rle": 7, "brushlabels": ["Car"]}),
         {"annotation.invalid": "fault"}),
        (exports.polygon(9, "Car", (1, 1, 5, 5), image_rotation=90), {"annotation.invalid": "fault"}),
        (exports.result(9, "polygonlabels", {"points": exports.percent((1, 1, 5, 5))}),
         {"annotation.unnamed": "warning"}),
        (exports.result(9, "choices", {"choices": ["sunny"]}), {}),
        ({"type": "relation", "from_id": "a", "to_id": "b"}, {}),
        (7, {"annotation.invalid": "fault"}),
    ],
)  # fmt: skip
def test_finding_has_its_code(result: Any, found: dict[str, str]) -> None:
    assert codes(read(made(CAR, result))) == found


def test_boxes_alone_are_a_fault() -> None:
    box = exports.result(0, "rectanglelabels", {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["Car"]})
    tasks = [exports.task(i, f"{i}.png", [exports.annotation(i, [box])]) for i in range(3)]
    content = {"a.json": json.dumps(tasks).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    assert codes(read(content)) == {"annotation.boxes_only": "fault"}


def test_predictions_are_no_truth() -> None:
    tasks = [exports.task(i, f"{i}.png", [], predictions=[{"result": [CAR]}]) for i in range(3)]
    content = {"a.json": json.dumps(tasks).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    assert codes(read(content)) == {"pair.missing_mask": "fault"}


def test_all_that_is_wrong_is_reported_together() -> None:
    tasks = json.loads(made(CAR, 7)["project-1.json"])
    tasks += [exports.task(8, "/data/upload/1/gone.png", [exports.annotation(8, [CAR])]), exports.task(9, "text", [])]
    content = made(CAR) | {"project-1.json": json.dumps(tasks).encode(), "x.json": b"{", "more.png": photo(7)}
    assert codes(read(content)) == {
        "annotation.invalid": "fault", "annotation.missing_image": "warning", "pair.missing_mask": "warning",
    }  # fmt: skip


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'[{"data": {}, "annotations": []}]', b"\xff" * 50])
def test_json_that_is_something_else_is_not_taken_for_label_studio(content: bytes) -> None:
    assert not label_studio.signature(tree_of({"a.json": content, "a.png": b""}))


@pytest.mark.parametrize("name", exports.EXPORTS)
def test_no_content_breaks_the_reader(name: str) -> None:
    content, _ = exports.EXPORTS[name]()
    file = next(path for path in content if path.endswith(".json"))
    content = {path: b"" if path.endswith(".png") else data for path, data in content.items()}
    whole = json.loads(content[file])
    small = json.dumps(whole[:1] if isinstance(whole, list) else whole).encode()
    ends = {survives(label_studio, content | {file: damaged}) for damaged in damaged_json(small)}
    assert True in ends


def test_brush_masks_of_tasks_belong_to_images_named_after_the_tasks(tmp_path: Path) -> None:
    content, expected = exports.masks()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("label-studio-png", ["background", "Road", "dark-Car"])
    assert same(found, expected)


def test_brush_masks_whose_images_cannot_be_known_say_what_to_add() -> None:
    content, _ = exports.masks()
    renamed = {name.replace("images/", "images/street "): data for name, data in content.items()}
    reading = read(renamed)
    assert codes(reading) == {"annotation.missing_image": "fault"}
    assert "JSON export" in reading.issues[0].fix


def test_json_beside_brush_masks_is_read_instead(tmp_path: Path) -> None:
    content, expected = exports.full()
    content["task-1-annotation-1-by-1-tag-Car-0.png"] = encoded(painted(((0, 0, 9, 9), 255)))
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert report.dataset.layout == "label-studio"
    assert same(found, expected)


def test_names_alone_never_break_the_reader_of_brush_masks() -> None:
    for name in (
        *("task-.png", "task-1-annotation--by--tag-Car-0.png", "task-1-annotation-1-by-1-t-\u0301-0.png"),
        *("task-\u00b2-annotation-1-by-1-t-a-0.png", f"task-{9 * '9'}{9 * '9'}-annotation-1-by-1-t-a-0.png"),
    ):
        survives(label_studio_png, {name: b"", "1.png": b""})


def two_images(names: tuple[str, str], keys: tuple[str, str] = ("before", "after")) -> dict[str, bytes]:
    """Tasks of two images; the results for the second are a road, listed first."""
    tasks, content = [], {}
    for number in range(3):
        results = [
            exports.polygon(1, "Road", exports.ROAD, to_name=names[1]),
            exports.polygon(0, "Car", exports.CAR, to_name=names[0]),
        ]
        paths = [f"/data/upload/1/0a1b2c3{number}-{key}{number}.png" for key in keys]
        tasks.append(exports.task(number, paths[0], [exports.annotation(number, results)]))
        tasks[-1]["data"] = dict(zip(keys, paths, strict=True))
        content |= {f"{key}{number}.png": photo(number) for key in keys}
    return content | {"p.json": json.dumps(tasks).encode()}


@pytest.mark.parametrize("names", [("before", "after"), ("img_before", "img_after"), ("BEFORE", "After")])
def test_result_is_for_the_image_whose_tag_it_names(names: tuple[str, str], tmp_path: Path) -> None:
    _, found, _ = read_back(two_images(names), tmp_path, SIZE)
    expected = {f"before{i}.png": painted((exports.CAR, 1)) for i in range(3)}
    expected |= {f"after{i}.png": painted((exports.ROAD, 2)) for i in range(3)}
    assert same(found, expected)


def test_results_for_several_images_that_nothing_tells_apart_are_a_fault() -> None:
    with pytest.raises(DataError) as caught:
        read(two_images(("img1", "img2")))
    (issue,) = caught.value.issues
    assert (issue.code, issue.severity) == ("pair.ambiguous", "fault")
    assert "several images (before, after)" in issue.message
    assert "img1, img2" in issue.message
    assert "to_name" in issue.fix


def test_two_images_of_which_one_is_labelled_leave_the_other_out(tmp_path: Path) -> None:
    content = two_images(("after", "after"))
    _, found, _ = read_back(content, tmp_path, SIZE)
    assert set(found) == {f"after{i}.png" for i in range(3)}


def test_key_that_repeats_the_name_of_the_image_is_no_second_image(tmp_path: Path) -> None:
    tasks = [exports.task(i, f"s3://bucket/{i}.png", [exports.annotation(i, [CAR])]) for i in range(3)]
    for number, task in enumerate(tasks):
        task["data"] |= {"filename": f"{number}.png", "thumbnail_of": f"https://x.org/{number}.png"}
    content = {"p.json": json.dumps(tasks).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    _, found, _ = read_back(content, tmp_path, SIZE)
    assert same(found, {f"{i}.png": painted((exports.CAR, 1)) for i in range(3)})


def listed_images(*places: int | None) -> dict[str, bytes]:
    """A task of two images in a list, with a result for each place."""
    boxes = (exports.CAR, exports.ROAD)
    results = [
        exports.polygon(i, "Car", boxes[i], **({} if place is None else {"item_index": place}))
        for i, place in enumerate(places)
    ]
    task = exports.task(1, "x", [exports.annotation(1, results)])
    task["data"] = {"pages": ["/data/upload/1/a.png", "/data/upload/1/b.png"]}
    return {"p.json": json.dumps([task]).encode(), "a.png": photo(0), "b.png": photo(1)}


def test_result_says_its_place_in_a_list_of_images(tmp_path: Path) -> None:
    _, found, _ = read_back(listed_images(1, 0), tmp_path, SIZE)
    assert same(found, {"a.png": painted((exports.ROAD, 1)), "b.png": painted((exports.CAR, 1))})


def test_result_without_its_place_in_a_list_of_images_is_a_fault() -> None:
    reading = read(listed_images(1, None))
    assert codes(reading) == {"annotation.invalid": "fault"}
    assert "several images" in reading.issues[0].message


@pytest.mark.parametrize("mark", ["ground_truth", "honeypot"])
def test_annotation_marked_as_ground_truth_counts_before_the_first(mark: str, tmp_path: Path) -> None:
    wrong, right = exports.polygon(0, "Car", (0, 0, 29, 19)), exports.polygon(1, "Car", exports.ROAD)
    others = [exports.annotation(2, [wrong], was_cancelled=True, **{mark: True}), exports.annotation(3, [wrong])]
    tasks = [exports.task(i, f"{i}.png", [*others, exports.annotation(4, [right], **{mark: True})]) for i in range(3)]
    content = {"p.json": json.dumps(tasks).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert same(found, {f"{i}.png": painted((exports.ROAD, 1)) for i in range(3)})
    assert report.dataset is not None
    assert any("3 images" in line and "ground truth" in line for line in report.dataset.assumptions)


def test_two_shapes_of_one_id_are_two_regions(tmp_path: Path) -> None:
    _, found, _ = read_back(
        made(exports.polygon(7, "Car", exports.CAR), exports.polygon(7, "Road", exports.SKY)), tmp_path, SIZE
    )
    assert np.array_equal(found["0.png"], painted((exports.CAR, 1), (exports.SKY, 2)))


@pytest.mark.parametrize("mode", ["L", "1", "RGBA", "opaque", "rle"])
def test_bitmask_is_an_area(mode: str, tmp_path: Path) -> None:
    """It is what the annotator drew, whether the rest is black or transparent."""
    covered = painted((exports.ROAD, 1)).astype(bool)
    result = exports.bitmask(3, "Rust", covered, mode)
    _, found, _ = read_back(made(CAR, result), tmp_path, SIZE)
    assert np.array_equal(found["0.png"], painted((exports.CAR, 1), (exports.ROAD, 2)))


def test_bitmask_that_cannot_be_read_is_a_fault() -> None:
    whole = exports.bitmask(3, "Rust", painted((exports.ROAD, 1)).astype(bool), "L")
    assert codes(read(made(whole | {"original_width": 99}))) == {"annotation.invalid": "fault"}
    for url in ("data:image/png;base64,?", "https://x.org/mask.png", None):
        broken = whole | {"value": {"imageDataURL": url, "bitmasklabels": ["Rust"]}}
        assert codes(read(made(broken))) == {"annotation.invalid": "fault"}


def test_labels_with_a_shape_that_is_not_known_are_a_fault() -> None:
    reading = read(made(CAR, exports.result(3, "meshlabels", {"faces": [1, 2], "meshlabels": ["Car"]})))
    assert codes(reading) == {"annotation.invalid": "fault"}
    assert "1 meshlabels" in reading.issues[0].message


def test_image_with_boxes_alone_among_areas_is_left_out() -> None:
    box = exports.result(0, "rectanglelabels", {"x": 1, "y": 1, "width": 9, "height": 9, "rectanglelabels": ["Car"]})
    reading = read(made(box))
    assert [sample.key for sample in reading.samples] == ["1", "2"]
    assert codes(reading) == {"annotation.no_area": "warning"}
    assert any("0.png" in issue.files for issue in reading.issues)
    tasks = [exports.task(i, f"{i}.png", [exports.annotation(i, [CAR if i == 0 else box])]) for i in range(3)]
    most = {"p.json": json.dumps(tasks).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    assert codes(read(most))["annotation.no_area"] == "fault"


def test_list_of_images_beside_another_image_is_told_apart_by_the_tag_alone() -> None:
    content = listed_images(1, 0)
    task = json.loads(content["p.json"])[0]
    task["data"]["cover"] = "/data/upload/1/c.png"
    content |= {"p.json": json.dumps([task]).encode(), "c.png": photo(2)}
    with pytest.raises(DataError, match="several images"):
        read(content)
    for result in task["annotations"][0]["result"]:
        result["to_name"] = "pages"
    reading = read(content | {"p.json": json.dumps([task]).encode()})
    assert [sample.key for sample in reading.samples] == ["a", "b"]


@pytest.mark.parametrize("content", [two_images(("before", "after")), listed_images(1, 0)])
def test_no_content_of_tasks_of_several_images_breaks_the_reader(content: dict[str, bytes]) -> None:
    small = json.dumps(json.loads(content["p.json"])[:1]).encode()
    names = dict.fromkeys(content, b"")
    assert True in {survives(label_studio, names | {"p.json": damaged}) for damaged in damaged_json(small)}


def test_control_tags_that_share_an_image_are_said() -> None:
    reading = read(made(CAR, exports.polygon(4, "Road", exports.ROAD, from_name="ground")))
    assert any("several control tags (ground, tag)" in line for line in reading.assumptions)


def test_tasks_with_predictions_alone_are_said_to_be_no_truth() -> None:
    tasks = [exports.task(i, f"{i}.png", [exports.annotation(i, [CAR])] if i else []) for i in range(3)]
    tasks[0]["predictions"] = [{"result": [CAR]}]
    reading = read({"p.json": json.dumps(tasks).encode()} | {f"{i}.png": photo(i) for i in range(3)})
    assert [sample.key for sample in reading.samples] == ["1", "2"]
    assert any("1 tasks have predictions alone" in line for line in reading.assumptions)
