"""Real datasets, where they are at hand beside the repository; their bytes are no part of it.

One row a ZIP: what a good reader concludes.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from builders import check
from segdrop.dataset.cache import CacheReader

DATA = Path(__file__).parents[3] / "shared" / "data"
CAMVID = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist".split()  # noqa: SIM905


@dataclass(frozen=True)
class Row:
    archive: str
    layout: str
    sides: tuple[int, int, int]  #: train, val, test
    split: str
    num_classes: int
    some_classes: tuple[str, ...]  #: of them, in order
    ignore_index: int | None
    codes: frozenset[str]  #: of all issues
    encoding: str = "index"


ROWS = (
    Row(
        "camvid_468.zip",
        "paired",
        (367, 101, 0),
        "given",
        11,
        tuple(CAMVID),
        11,
        frozenset(),
    ),
    Row(
        "camvid_paired_small.zip",
        "paired",
        (48, 12, 0),
        "made",
        11,
        tuple(CAMVID),
        11,
        frozenset(),
    ),
    Row(
        "membrane_0_255.zip",
        "paired",
        (24, 6, 0),
        "made",
        2,
        ("membrane", "cell"),
        None,
        frozenset(),
        "binary",
    ),
    Row(
        "wbc1_samefolder_0_128_255.zip",
        "paired",
        (240, 60, 0),
        "made",
        3,
        ("class_0", "class_1", "class_2"),
        None,
        frozenset({"classes.assumed", "pair.contradiction"}),  # 112.bmp is 139.bmp, and was drawn twice
        "levels",
    ),
    Row(
        "voc_cvat_export.zip",
        "voc",
        (48, 12, 0),
        "made",
        12,
        ("background", "Sky", "Bicyclist"),
        None,
        frozenset(),
        "colour",
    ),
    Row(
        "roboflow_masks_dhcn_small.zip",
        "roboflow-masks",
        (48, 12, 60),
        "made",
        11,
        ("background", "cabinet", "ceiling"),
        None,
        frozenset({"split.incomplete", "split.leak", "split.class_missing"}),
    ),
    Row(
        "bdd100k_layout_standin.zip",
        "bdd100k",
        (45, 15, 0),
        "given",
        19,
        ("road", "sidewalk", "building", "bicycle"),
        255,
        frozenset({"classes.absent"}),
    ),
    Row(
        "coco_roboflow_facade_test.zip",
        "coco",
        (66, 17, 0),
        "made",
        11,
        ("background",),
        None,
        frozenset({"split.incomplete"}),
    ),
    Row(
        "coco_cvat_cars6.zip",
        "coco",
        (5, 1, 0),
        "made",
        24,
        ("background",),
        None,
        frozenset({"pair.few", "classes.absent", "split.class_missing", "classes.imbalanced"}),
    ),
    Row(
        "coco_labelme.zip",
        "coco",
        (2, 1, 0),
        "made",
        21,
        ("_background_", "aeroplane"),
        None,
        frozenset({"pair.few", "classes.absent", "split.class_missing"}),
    ),
    Row(
        "labelme.zip",
        "labelme",
        (2, 1, 0),
        "made",
        21,
        ("_background_", "aeroplane"),
        1,
        frozenset({"pair.few", "classes.absent", "split.class_missing"}),
    ),
    Row(
        "via_kudzu.zip",
        "via",
        (24, 16, 0),
        "given",
        2,
        ("background",),
        None,
        frozenset({"annotation.unnamed"}),
        "binary",
    ),
)


def copied(name: str, tmp_path: Path) -> Path:
    """A copy, so that the answers land in the test's own folder."""
    source = DATA / name
    if not source.is_file():
        pytest.skip(f"{name} is not at hand")
    return Path(shutil.copyfile(source, tmp_path / "data.zip"))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.archive)
def test_real_zip_is_read_as_a_good_reader_would(row: Row, tmp_path: Path) -> None:
    report = check(copied(row.archive, tmp_path))
    dataset = report.dataset
    assert dataset is not None, report.issues
    assert dataset.layout == row.layout
    assert (dataset.train, dataset.val, dataset.test) == row.sides
    assert dataset.split == row.split
    assert dataset.num_classes == row.num_classes
    assert [name for name in dataset.classes if name in row.some_classes] == list(row.some_classes)
    assert (dataset.ignore_index, dataset.mask_encoding) == (row.ignore_index, row.encoding)
    assert {issue.code for issue in report.issues} == row.codes


def test_ignored_pixels_of_camvid_are_left_out_of_the_cache(tmp_path: Path) -> None:
    check(copied("camvid_paired_small.zip", tmp_path))
    with CacheReader(tmp_path / "cache") as reader:
        assert set(reader.masks(range(60)).ravel()) == {*range(11), 255}


def test_one_labelme_image_is_read_to_the_end_and_too_few(tmp_path: Path) -> None:
    """Rectangle, circle, polygon and mask are areas; line, point and linestrip are not, and said to be left out."""
    report = check(copied("labelme_primitives.zip", tmp_path))
    assert {"annotation.no_area", "pair.too_few"} <= {issue.code for issue in report.issues}
    assert report.dataset is None
