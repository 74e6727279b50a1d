"""The quick check's work grows with the size of the directory and of the annotations, never with its square.

Each shape is inspected at one size and at four times the size, in turn, by CPU time of this process: linear work takes
four times as long, quadratic work sixteen times.
"""

import gc
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from builders import limits
from builders.archives import write_stored
from segdrop.dataset import class_names, layouts, quick_check
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.quick_check import QuickCheck, RequestSources

TIMES = 4
MOST_RATIO = 8.0  # half way to the square, for a machine that does other things as well
REPEATS = 3
Members = Iterator[tuple[str, bytes]]
AREA = [[0, 0], [3, 0], [3, 3]]


def quickly_checked(path: Path) -> QuickCheck:
    with Archive(path, limits()) as archive:
        return quick_check.check(archive, RequestSources(None, None, {}, path.parent))


def ratio(small: Path, large: Path) -> float:
    """Least CPU time for the large over that for the small: whatever disturbs adds to it."""
    seconds: dict[Path, list[float]] = {small: [], large: []}
    gc.disable()  # it walks through what other tests have left
    try:
        for path in (small, large) * REPEATS:
            start = time.process_time()
            quickly_checked(path)
            seconds[path].append(time.process_time() - start)
    finally:
        gc.enable()
    return min(seconds[large]) / min(seconds[small])


def one_folder(count: int) -> Members:
    for number in range(count // 2):
        yield f"images/{number}.jpg", b"x"
        yield f"masks/{number}.png", b"x"


def a_folder_each(count: int) -> Members:
    for number in range(count // 2):
        yield f"images/{number}/a.jpg", b"x"
        yield f"masks/{number}/a.png", b"x"


def only_folders(count: int) -> Members:
    yield from (("/".join((str(number), "")), b"") for number in range(count))


def below_400_folders(count: int) -> Members:
    for folder in ("images", "masks"):
        yield from ((f"{'d/' * 400}{folder}/{number}.png", b"x") for number in range(count // 2))


def wide_and_deep(count: int) -> Members:
    for number in range(count // 2):
        folders = "".join(f"{number >> bit & 7}/" for bit in range(40))
        yield f"{folders}images/{number}.png", b"x"
        yield f"{folders}masks/{number}.png", b"x"


def split_folders_in_split_folders(count: int) -> Members:
    yield from ((f"{'images/masks/train/' * 40}{number}.png", b"x") for number in range(count))


def anchors_of_cityscapes(count: int) -> Members:
    yield from ((f"{'gtfine/leftimg8bit/' * 40}{'_gtfine_' * 25}{number}.png", b"x") for number in range(count))


def masks_of_label_studio(count: int) -> Members:
    for number in range(count // 2):
        yield f"task-{number}-annotation-1-by-1-tag-Car-0.png", b"x"
        yield f"{number}.jpg", b"x"


def labels_of_yolo(count: int) -> Members:
    for number in range(count // 2):
        yield f"images/train/{number}.jpg", b"x"
        yield f"labels/train/{number}.txt", b"0 0.1 0.1 0.5 0.1 0.5 0.5\n"


def many_sides_of_yolo(count: int) -> Members:
    """A YAML that names a folder for each image."""
    folders = [f"deep/er/{number}/images" for number in range(count)]
    yield "data.yaml", json.dumps({"names": ["a"], "train": folders, "val": folders}).encode()
    for number in range(count):
        yield f"{number}/images/a{number}.jpg", b"x"
        yield f"{number}/labels/a{number}.txt", b"0 0.1 0.1 0.5 0.1 0.5 0.5\n"


def names_of_classes(count: int) -> Members:
    shapes = [{"label": f"class {number}", "points": AREA} for number in range(count)]
    yield "a.json", json.dumps({"shapes": shapes, "imagePath": "a.jpg"}).encode()
    yield "a.jpg", b"x"


def attributes_of_via(count: int) -> Members:
    shape = {"name": "rect", "x": 0, "y": 0, "width": 2, "height": 2}
    regions = [[{"shape_attributes": shape, "region_attributes": {f"a{number}": "v"}}] for number in range(count)]
    images = {f"k{number}": {"filename": f"{number}.jpg", "regions": regions[number]} for number in range(count)}
    yield "via_region_data.json", json.dumps(images | {"file_attributes": {}}).encode()
    yield from ((f"{number}.jpg", b"x") for number in range(count))


def images_of_one_name(count: int) -> Members:
    """COCO from another machine: ``file_name`` has folders that are elsewhere here, and the last of them decides."""
    images = [{"id": number, "file_name": f"export/s{number}/image.png"} for number in range(count)]
    areas = [{"image_id": number, "category_id": 1, "segmentation": [[0, 0, 3, 0, 3, 3]]} for number in range(count)]
    content = {"images": images, "annotations": areas, "categories": [{"id": 1, "name": "crack"}]}
    yield "notes/instances.json", json.dumps(content).encode()
    yield from ((f"data/x/s{number}/image.png", b"x") for number in range(count))


def images_found_from_their_annotations(count: int) -> Members:
    """Each annotation file names ``image.png``, and the one below its own folder is meant."""
    content = json.dumps({"shapes": [{"label": "a", "points": AREA}], "imagePath": "image.png"}).encode()
    for number in range(count // 2):
        yield f"{number}/x.json", content
        yield f"{number}/img/image.png", b"x"


def sides_of_coco(count: int) -> Members:
    """A folder ``train`` for each image."""
    images = [{"id": number, "file_name": f"absent{number}.png"} for number in range(count)]
    content = {"images": images, "annotations": [], "categories": [{"id": 1, "name": "crack"}]}
    yield "instances_train.json", json.dumps(content).encode()
    yield from ((f"s{number}/train/image{number}.png", b"x") for number in range(count))


def affixes_that_may_be_cut_in_many_ways(count: int) -> Members:
    for number in range(count // 2):
        yield f"images/{'a' * 30}{number:06}{'a' * 30}.png", b"x"
        yield f"masks/x{'a' * 30}{number:06}{'a' * 30}y.png", b"x"


SHAPES: dict[Callable[[int], Members], int] = {
    one_folder: 1_500,
    a_folder_each: 1_500,
    only_folders: 2_500,
    below_400_folders: 60,
    wide_and_deep: 400,
    split_folders_in_split_folders: 60,
    anchors_of_cityscapes: 60,
    masks_of_label_studio: 1_500,
    labels_of_yolo: 800,
    many_sides_of_yolo: 300,
    names_of_classes: 2_000,
    attributes_of_via: 500,
    images_of_one_name: 500,
    images_found_from_their_annotations: 600,
    sides_of_coco: 300,
    affixes_that_may_be_cut_in_many_ways: 1_000,
}


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.__name__)
def test_four_times_the_names_are_about_four_times_the_work(shape: Callable[[int], Members], tmp_path: Path) -> None:
    count = SHAPES[shape]
    small = write_stored(tmp_path / "small.zip", shape(count))
    large = write_stored(tmp_path / "large.zip", shape(TIMES * count))
    assert ratio(small, large) < MOST_RATIO


def test_ten_times_the_depth_is_about_ten_times_the_work(tmp_path: Path) -> None:
    """The names together are as long as there are folders: their work for each letter stays the same."""
    count, shallow, deep = 80, 40, 400
    paths = []
    for depth in (shallow, deep):
        names = (f"{'d/' * depth}{side}/{i}.png" for side in ("images", "masks") for i in range(count))
        paths.append(write_stored(tmp_path / f"{depth}.zip", ((name, b"x") for name in names)))
    assert ratio(*paths) < 2 * deep / shallow


def test_depth_of_a_thousand_is_refused_by_name_in_linear_work(tmp_path: Path) -> None:
    paths = [
        write_stored(tmp_path / f"{count}.zip", ((f"{'d/' * 1000}{number}.png", b"x") for number in range(count)))
        for count in (500, TIMES * 500)
    ]
    assert [issue.code for issue in quickly_checked(paths[0]).issues] == ["archive.unsafe_path"]
    assert ratio(*paths) < MOST_RATIO


def test_dataset_below_400_folders_is_read_as_if_it_lay_in_the_root(tmp_path: Path) -> None:
    found = quickly_checked(write_stored(tmp_path / "deep.zip", below_400_folders(100))).reading
    assert found is not None
    assert (found.layout, len(found.samples), found.samples[0].key) == ("paired", 50, "0")


def test_wrappers_are_looked_into_from_both_ends_and_no_more_often(monkeypatch: pytest.MonkeyPatch) -> None:
    tree = Tree([f"{'d/' * 300}stuff/{number}.bin" for number in range(5)])
    looks: list[str] = []
    monkeypatch.setattr(layouts.kitti, "signature", lambda view: looks.append(view.prefix) or "")
    with pytest.raises(layouts.DataError):
        layouts.read(tree)
    assert looks[0] == ""
    assert looks[-1] == f"{'d/' * 300}stuff/"
    assert len(looks) <= 3 * 6  # for the layouts, for what rivals them, and for what is foreign


def test_class_names_are_numbered_without_counting_those_before() -> None:
    values = class_names.numbers(f"class {number}" for number in range(200_000))
    assert values["class 199999"] == 200_000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("labels/a.txt", b"0" + b" 123456" * 40 + b" x"),  # a number that could be read in many ways
        ("labels.txt", b"," * 200_000 + b"\n"),  # a name that could begin at any comma
        ("data.yaml", b"names: [a]\na: &a [x,x,x,x,x,x,x,x]\n"
         + b"".join(b"%c: &%c [%s]\n" % (b, b, b",".join([b"*%c" % (b - 1)] * 8)) for b in b"bcdefghijk")
         + b"train: [*k]\n"),  # a list that is 8 ** 11 words long when it is written out
    ],
    ids=["numbers", "commas", "YAML"],
)  # fmt: skip
def test_text_made_to_be_read_in_many_ways_is_read_in_one(name: str, content: bytes, tmp_path: Path) -> None:
    members = [("images/a.jpg", b"x"), ("images/b.jpg", b"x"), ("labels/b.txt", b"0 0.1 0.1 0.5 0.1 0.5 0.5\n")]
    path = write_stored(tmp_path / "x.zip", [*members, (name, content)])
    start = time.process_time()
    quickly_checked(path)
    assert time.process_time() - start < 5
