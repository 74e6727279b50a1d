import base64
import zlib
from pathlib import Path
from typing import Any

import pytest

from builders.exports import supervisely as exports
from builders.exports.coco import SIZE, photo
from builders.exports.reading import codes, damaged_json, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import supervisely
from segdrop.dataset.samples import Reading, Split

ROAD = exports.polygon("road", exports.corners(1, 1, 9, 9))
BOX = exports.rectangle("road", 1, 1, 9, 9)


def plain(*annotations: bytes, meta: bytes | None = None) -> dict[str, bytes]:
    """A small project with these annotation files."""
    content = {"meta.json": exports.meta("road") if meta is None else meta}
    for i, data in enumerate(annotations):
        content |= {f"ds/img/{i}.png": photo(i), f"ds/ann/{i}.png.json": data}
    return content


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


def with_bitmap(**change: Any) -> bytes:
    entry = exports.bitmap("road", 1, 1, exports.BLOT)
    entry["bitmap"] |= change
    return exports.annotation(entry)


@pytest.mark.parametrize(
    ("name", "classes"),
    [("project", ["background", "kiwi", "lemon", "unused"]), ("tagged", ["background", "neutral", "road"])],
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("supervisely", classes)
    assert same(found, expected)


@pytest.mark.parametrize("name", exports.EXPORTS)
def test_export_is_read_without_a_complaint(name: str) -> None:
    assert read(exports.EXPORTS[name]()[0]).issues == []


def test_tags_and_names_of_datasets_give_the_split() -> None:
    sides = [sample.split for sample in read(exports.tagged()[0]).samples]
    assert sides == [Split.TEST, Split.TRAIN, Split.TRAIN, Split.VAL]
    content = {name.replace("ds/", "val/"): data for name, data in plain(*[exports.annotation(ROAD)] * 2).items()}
    assert {sample.split for sample in read(content).samples} == {Split.VAL}
    content = plain(exports.annotation(ROAD, tags=("train", "val")))
    assert [sample.split for sample in read(content).samples] == [None]


def test_same_name_in_two_datasets_is_never_confused() -> None:
    content, _ = exports.project()
    names = list(content)
    for sample in read(content).samples:
        image, truth = names[sample.image], names[sample.truth.member]
        assert truth == image.replace("/img/", "/ann/") + ".json"
    del content["project/ds1/img/a.b.png"]
    assert codes(read(content)) == {"annotation.missing_image": "warning"}


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (exports.annotation(ROAD, exports.figure("line", "road", points={"exterior": [[1, 1], [2, 2]]})),
         {"annotation.no_area": "warning"}),
        (exports.annotation(exports.figure("point", "road", points={"exterior": [[1, 1]]})),
         {"annotation.no_area": "warning"}),
        (exports.annotation(exports.polygon("road", [[1, 1], [5, 5]])), {"annotation.no_area": "warning"}),
        (exports.annotation(exports.polygon("road", [[1, 1], [5]])), {"annotation.invalid": "fault"}),
        (exports.annotation(exports.polygon("road", [[1, 1], [9, 1], [9, 9]], "x")), {"annotation.invalid": "fault"}),
        (exports.annotation(exports.figure("polygon", "road")), {"annotation.invalid": "fault"}),
        (exports.annotation(exports.rectangle("road", 1, 1, 9, 9) | {"points": {"exterior": [[1, 1]]}}),
         {"annotation.invalid": "fault"}),
        (exports.annotation(ROAD | {"classTitle": None}), {"annotation.unnamed": "warning"}),
        (exports.annotation(ROAD | {"classTitle": "other"}), {}),
        (b"[]", {"annotation.invalid": "fault", "pair.missing_mask": "warning"}),
        (b"{", {"annotation.invalid": "fault", "pair.missing_mask": "warning"}),
        (with_bitmap(data="????"), {"annotation.invalid": "fault"}),
        (with_bitmap(data=base64.b64encode(b"hello").decode()), {"annotation.invalid": "fault"}),
        (with_bitmap(data=base64.b64encode(zlib.compress(b"hello")[:-5]).decode()), {"annotation.invalid": "fault"}),
        (with_bitmap(data=base64.b64encode(zlib.compress(bytes(1 << 25))).decode()), {"annotation.invalid": "fault"}),
        (with_bitmap(data=None), {"annotation.invalid": "fault"}),
        (with_bitmap(origin=[1]), {"annotation.invalid": "fault"}),
        (with_bitmap(origin=[float("nan"), 1]), {"annotation.invalid": "fault"}),
    ],
)  # fmt: skip
def test_finding_has_its_code(data: bytes, found: dict[str, str]) -> None:
    rest = [exports.annotation(ROAD)] * 2
    assert codes(read(plain(data, *rest))) == found


def test_bitmap_that_is_no_image_is_answered(tmp_path: Path) -> None:
    data = with_bitmap(data=base64.b64encode(zlib.compress(b"hello")).decode())
    report, _, _ = read_back(plain(data, *[exports.annotation(ROAD)] * 3), tmp_path, SIZE)
    assert report.dataset is None
    assert "image.unreadable" in {issue.code for issue in report.issues}


def test_rectangles_alone_are_doubted() -> None:
    assert codes(read(plain(*[exports.annotation(BOX)] * 3))) == {"annotation.boxes_only": "warning"}
    assert codes(read(plain(*[exports.annotation(BOX, ROAD)] * 3))) == {}


def test_all_that_is_wrong_is_reported_together() -> None:
    content = plain(b"{", with_bitmap(data="x"), *[exports.annotation(ROAD)] * 4) | {"ds/img/more.png": b""}
    content["ds/ann/gone.png.json"] = exports.annotation()
    assert codes(read(content)) == {
        "annotation.invalid": "fault", "annotation.missing_image": "warning", "pair.missing_mask": "warning",
    }  # fmt: skip


@pytest.mark.parametrize("meta", [b"", b"{", b"[]", b"{}", b'{"classes": 3}', b'{"classes": [3, {}, {"title": ""}]}'])
def test_broken_meta_is_a_fault_and_no_more(meta: bytes) -> None:
    reading = read(plain(*[exports.annotation(ROAD)] * 2, meta=meta))
    assert codes(reading) == {"annotation.invalid": "fault"}
    assert len(reading.samples) == 2


def test_meta_json_of_something_else_is_not_taken_for_a_project() -> None:
    assert not supervisely.signature(tree_of({"meta.json": b"{}", "images/a.png": b"", "ann/a.json": b""}))
    assert not supervisely.signature(tree_of({"ds/img/a.png": b"", "ds/ann/a.png.json": b""}))


def test_no_content_breaks_the_reader() -> None:
    content, _ = exports.project()
    for file in ("project/ds1/ann/a.b.png.json", "project/meta.json"):
        inner = {name.removeprefix("project/"): data for name, data in content.items()}
        name = file.removeprefix("project/")
        assert {survives(supervisely, inner | {name: damaged}) for damaged in damaged_json(content[file])} == {True}
