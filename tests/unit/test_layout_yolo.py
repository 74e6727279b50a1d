from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from builders.archives import encoded
from builders.exports import yolo as exports
from builders.exports.coco import SIZE
from builders.exports.reading import codes, read_back, same, survives, tree_of
from segdrop.dataset import layouts
from segdrop.dataset.layouts import yolo
from segdrop.dataset.samples import Reading, Split

POLYGON = exports.label(exports.LARGE)
BOX = b"1 0.5 0.5 0.25 0.25\n"


def read(content: dict[str, bytes]) -> Reading:
    return layouts.read(tree_of(content))


def sides(content: dict[str, bytes]) -> dict[str, Split | None]:
    names = list(content)
    return {names[sample.image]: sample.split for sample in read(content).samples}


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("ultralytics", ["background", "person", "no", "tie"]),
        ("roboflow", ["background", "leaf", "sick leaf"]),
        ("cvat", ["background", "cat", "dog"]),
        ("label_studio", ["background", "crack", "hole"]),
        ("darknet", ["background", "cat", "dog"]),
    ],
)
def test_export_is_read_back_pixel_by_pixel(name: str, classes: list[str], tmp_path: Path) -> None:
    content, expected = exports.EXPORTS[name]()
    report, found, _ = read_back(content, tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert (report.dataset.layout, report.dataset.classes) == ("yolo", classes)
    assert same(found, expected)


@pytest.mark.parametrize("name", exports.EXPORTS)
def test_export_is_read_without_a_complaint(name: str) -> None:
    reading = read(exports.EXPORTS[name]()[0])
    assert set(codes(reading)) <= {"layout.stray_file"}, reading.issues


@pytest.mark.parametrize("name", ["ultralytics", "roboflow", "cvat"])
def test_split_is_as_the_export_gives_it(name: str) -> None:
    found = sides(exports.EXPORTS[name]()[0])
    words = {"train": Split.TRAIN, "val": Split.VAL, "test": Split.TEST}
    assert found == {path: next(split for word, split in words.items() if word in path) for path in found}


def test_split_of_folders_without_telling_names_is_as_the_yaml_says() -> None:
    content = {"data.yaml": b"train: [a/images]\nval: /home/me/set/b/images\nnames: [cat, dog]\n"}
    for folder in ("a", "b", "c"):
        content |= {f"{folder}/images/x.png": b"", f"{folder}/labels/x.txt": POLYGON}
    assert sides(content) == {"a/images/x.png": Split.TRAIN, "b/images/x.png": Split.VAL, "c/images/x.png": None}
    content["data.yaml"] = b"train: a/images\nval: a/images\ntest: a/images\nnames: [cat, dog]\n"
    assert set(sides(content).values()) == {None}


def test_image_in_two_lists_is_a_fault() -> None:
    content, _ = exports.cvat()
    content["val.txt"] += b"data/images/train/shot 1.png\n"
    assert codes(read(content)) == {"pair.ambiguous": "fault"}


def test_same_name_in_two_folders_is_never_confused() -> None:
    content = {"classes.txt": b"cat\ndog\n"}
    for folder in ("b", "a"):
        content |= {f"{folder}/images/x.png": b"", f"{folder}/labels/x.txt": POLYGON}
    names = list(content)
    assert [(names[sample.image], names[sample.truth.member]) for sample in read(content).samples] == [
        ("a/images/x.png", "a/labels/x.txt"),
        ("b/images/x.png", "b/labels/x.txt"),
    ]


@pytest.mark.parametrize(
    ("labels", "found"),
    [
        ([POLYGON, POLYGON, b""], {}),
        ([BOX, BOX, b""], {"annotation.boxes_only": "fault"}),
        ([b"1 0.5 0.5 0.25 0.25 0.93\n"] * 3, {"annotation.boxes_only": "fault"}),
        ([POLYGON + BOX, POLYGON, POLYGON], {"annotation.no_area": "warning"}),
        ([POLYGON + b"1 0.5 0.5 0.5 0.5 0.5 0.5\n", POLYGON], {"annotation.no_area": "warning"}),
        ([POLYGON, b"5 0 0 1 0 1 1\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"0.5 0 0 1 0 1 1\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"cat 0 0 1 0 1 1\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"0 0 0 1 0 1 1 1\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"0 10 10 200 10 200 200\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"0 nan 0 1 0 1 1\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"0 1e999 0 1 0 1 1\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"0\n"], {"annotation.invalid": "fault"}),
        ([POLYGON, b"\x81\x8d"], {"annotation.invalid": "fault"}),
    ],
)
def test_finding_has_its_code(labels: list[bytes], found: dict[str, str]) -> None:
    reading = read(exports.plain(labels))
    assert {code: level for code, level in codes(reading).items() if code != "pair.missing_mask"} == found


def test_key_points_are_boxes() -> None:
    content = exports.plain([b"0 0.5 0.5 0.2 0.2 0.1 0.1\n"] * 3, b"")
    content["data.yaml"] = b"kpt_shape: [1, 2]\nnames: [cat]\n"
    assert codes(read(content)) == {"annotation.boxes_only": "fault"}


def lines(*rows: str) -> list[bytes]:
    return [(row + "\n").encode() for row in rows]


def test_turned_boxes_are_doubted() -> None:
    turned = lines("1 0.1 0.4 0.5 0.1 0.6 0.25 0.2 0.55", "0 0.7 0.1 0.9 0.3 0.8 0.4 0.6 0.2 0.7 0.1")
    reading = read(exports.plain([*turned, turned[0] + turned[1]]))
    assert codes(reading) == {"annotation.boxes_only": "warning"}
    assert "all 4 outlines have exactly four corners" in reading.issues[0].message
    assert not codes(read(exports.plain([*turned, POLYGON])))


@pytest.mark.parametrize(
    "rows",
    [
        ("0 0.5 0.5 0.4 0.4 0.35 0.4 2 0.6 0.62 1 0 0 0", "0 0.3 0.3 0.2 0.2 0.31 0.22 2 0.25 0.33 1 0.4 0.4 2"),
        ("0 0.5 0.5 0.4 0.4 0.35 0.4 0.6 0.62", "0 0.3 0.3 0.2 0.2 0.31 0.22 0.25 0.33"),
    ],
)
def test_key_points_are_known_without_a_word_of_them(rows: tuple[str, ...]) -> None:
    reading = read(exports.plain(lines(*rows, rows[0])))
    fault = next(issue for issue in reading.issues if issue.severity == "fault")
    assert fault.code == "annotation.boxes_only"
    assert "key points" in fault.message
    assert "annotation.boxes_only" not in codes(read(exports.plain([*lines(*rows), POLYGON, POLYGON])))


def test_images_with_boxes_alone_among_outlines_are_no_background() -> None:
    reading = read(exports.plain([POLYGON, BOX, POLYGON, b""]))
    assert [sample.key for sample in reading.samples] == ["0", "2", "3"]
    assert codes(reading) == {"annotation.no_area": "warning"}
    assert codes(read(exports.plain([POLYGON, BOX, BOX, b""])))["annotation.no_area"] == "fault"


def test_all_that_is_wrong_is_reported_together() -> None:
    content = exports.plain([b"x\n", BOX, POLYGON, POLYGON]) | {"images/9.png": b"", "labels/8.txt": POLYGON}
    reading = layouts.read(tree_of(content), "yolo")
    assert codes(reading) == {
        "annotation.invalid": "fault", "annotation.no_area": "warning", "annotation.missing_image": "warning",
        "pair.missing_mask": "warning",
    }  # fmt: skip


def test_classes_without_names_are_named_by_number_and_said() -> None:
    reading = read(exports.plain([POLYGON, exports.label((12, 1, 1, 9, 9))], b""))
    assert reading.names is not None
    assert reading.names.numbered == ((0, "background"), (1, "class_1"), (2, "class_12"))
    assert codes(reading) == {"classes.assumed": "warning"}


def test_more_names_than_classes_can_be_leave_those_in_use() -> None:
    names = "".join(f"thing {i}\n" for i in range(1000)).encode()
    reading = read(exports.plain([POLYGON, exports.label((999, 1, 1, 9, 9))], names))
    assert reading.names is not None
    assert reading.names.numbered == ((0, "background"), (1, "thing 1"), (2, "thing 999"))


def test_masks_beside_the_labels_are_the_better_truth() -> None:
    content = exports.plain([BOX, BOX])
    content |= {f"masks/{i}.png": encoded(exports.mask(exports.LARGE)) for i in range(2)}
    assert read(content).layout == "paired"


@pytest.mark.parametrize("text", [b"hello\n", b"Car 0.0 0 1.5 1 2 3 4\n", b"1,2,3,4,5\n", b"0.5 0.5\n", b"", b"\x81"])
def test_text_beside_images_that_is_something_else_is_not_taken_for_labels(text: bytes) -> None:
    assert not yolo.signature(tree_of({"images/a.png": b"", "labels/a.txt": text}))


@pytest.mark.parametrize(
    "text",
    [
        *(b"", b"names", b"names:", b"names: 3", b"names: [[a], {b: c}, '']", b"names: {a: b, -1: c, 0: [d]}"),
        *(b"names: &x [*x]", b"&x {names: *x, train: *x}", b"? [a]\n: b", b"names: {0: a, 00: b}", b"- names", b"%"),
        *(b"{" * 9000, b"[" * 9000, b"- " * 9000, b"a" * 300_000, b"\xff\xfe\x00", b"\x81", b"!!python/object:os.x {}"),
        *(b"names: {%s: a}" % (b"9" * 5000), b"names: {\xd9\xa3: a}", b"names: [a, a]", b"names: [%s]" % (b"x" * 300)),
        *(b"train: {a: b}\nnames: [a]", b"train: [[a], ..]\nnames: [a, b]", b"names: [a, b]\ntrain: ../..\nval: /"),
    ],
)
def test_no_yaml_breaks_the_reader(text: bytes) -> None:
    content, _ = exports.roboflow()
    survives(yolo, content | {"data.yaml": text})


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text("0123456789.-+eEnaif \t\n\x0b\x85_", max_size=60), max_size=3), st.binary(max_size=40))
def test_no_label_file_breaks_the_reader(lines: list[str], junk: bytes) -> None:
    content, _ = exports.cvat()
    content["labels/train/shot 1.txt"] = "\n".join(lines).encode()
    survives(yolo, content | {"val.txt": junk, "classes.txt": junk, "notes.json": junk})
    del content["data.yaml"]
    survives(yolo, content | {"notes.json": junk})
