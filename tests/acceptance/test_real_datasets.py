"""Real datasets, where they are at hand beside the repository; their bytes are no part of it."""

from pathlib import Path

import pytest

from builders import check
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport

DATA = Path(__file__).parents[3] / "shared" / "data"
CAMVID = "Sky Building Pole Road Pavement Tree SignSymbol Fence Car Pedestrian Bicyclist".split()  # noqa: SIM905


def checked(name: str, tmp_path: Path) -> CheckReport:
    """The check of a copy by link, so that its answers land in the test's own folder."""
    source = DATA / name
    if not source.is_file():
        pytest.skip(f"{name} is not at hand")
    link = tmp_path / "data.zip"
    link.symlink_to(source)
    return check(link)


def test_camvid_small_is_eleven_classes_and_a_split_made(tmp_path: Path) -> None:
    report = checked("camvid_paired_small.zip", tmp_path)
    dataset = report.dataset
    assert dataset is not None
    assert (dataset.pairs, dataset.train, dataset.val, dataset.test) == (60, 48, 12, 0)
    assert (dataset.classes, dataset.ignore_index) == (CAMVID, 11)
    assert [issue["code"] for issue in report.issues] == ["classes.background_assumed"]
    with CacheReader(tmp_path / "cache") as reader:
        assert set(reader.masks(range(60)).ravel()) == {*range(11), 255}


def test_camvid_468_keeps_its_own_split(tmp_path: Path) -> None:
    dataset = checked("camvid_468.zip", tmp_path).dataset
    assert dataset is not None
    assert (dataset.train, dataset.val, dataset.test, dataset.split) == (367, 101, 0, "given")
    assert (dataset.classes, dataset.ignore_index) == (CAMVID, 11)


def test_membrane_has_two_classes_and_255_is_one_of_them(tmp_path: Path) -> None:
    dataset = checked("membrane_0_255.zip", tmp_path).dataset
    assert dataset is not None
    assert (dataset.pairs, dataset.classes) == (30, ["membrane", "cell"])
    assert (dataset.mask_values, dataset.ignore_index, dataset.ignored_pixels) == ([0, 255], None, 0)


@pytest.mark.parametrize(
    "name", ["coco_labelme.zip", "labelme.zip", "wbc1_samefolder_0_128_255.zip", "via_kudzu.zip", "voc_cvat_export.zip"]
)
def test_layout_not_read_yet_is_answered_and_never_guessed(name: str, tmp_path: Path) -> None:
    report = checked(name, tmp_path)
    assert report.dataset is None
    assert {issue["code"].partition(".")[0] for issue in report.issues} == {"layout"}
