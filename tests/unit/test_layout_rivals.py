"""Two truths in one archive: what explains most images is read, what cannot be decided is refused with both named."""

import json
from typing import Any

import pytest

from segdrop.codes import Severity
from segdrop.dataset import layouts
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.samples import Reading
from segdrop.errors import DataError

PHOTOS = [f"photos/s{n}.jpg" for n in range(5)]


def masks(folder: str, count: int = 5, name: str = "s{}.png") -> list[str]:
    return [f"{folder}/{name.format(n)}" for n in range(count)]


def read(names: list[str], texts: dict[str, bytes] | None = None, wanted: str = "auto") -> Reading:
    texts = texts or {}
    every = [*names, *(name for name in texts if name not in names)]
    return layouts.read(Tree(every, read=lambda member: texts.get(every[member], every[member].encode())), wanted)


def truths(names: list[str], reading: Reading) -> set[str]:
    return {names[sample.truth.member].split("/")[0] for sample in reading.samples}


def faults(reading: Reading) -> list[str]:
    return [issue.code for issue in reading.issues if issue.severity is Severity.FAULT]


@pytest.mark.parametrize(("one", "other"), [("gt", "mask"), ("labels", "masks"), ("annotations", "Segmentations")])
def test_two_folders_of_masks_for_the_same_images_are_a_fault_that_names_both(one: str, other: str) -> None:
    found = read([*PHOTOS, *masks(one), *masks(other)])
    issue = next(issue for issue in found.issues if issue.severity is Severity.FAULT)
    assert issue.code == "layout.ambiguous"
    assert f"{one}/" in issue.message
    assert f"{other}/" in issue.message
    assert "out of the ZIP" in issue.fix


def test_the_folder_that_explains_most_images_is_read_whatever_its_name() -> None:
    names = [*PHOTOS, *masks("masks", 1), *masks("y")]
    found = read(names)
    assert (truths(names, found), len(found.samples), faults(found)) == ({"y"}, 5, [])
    assert any("y/ has masks for 5 images, masks/ for 1" in said for said in found.assumptions)


@pytest.mark.parametrize("manual", ["1st_manual", "manual1", "Manual"])
def test_drawings_by_hand_beat_the_field_of_view(manual: str) -> None:
    names = [*PHOTOS, *masks("mask", name="s{}_mask.gif"), *masks(manual, 3)]
    found = read(names)
    assert (truths(names, found), faults(found)) == ({manual}, [])
    assert any("mask/" in said and "field of view" in said for said in found.assumptions)


def test_of_two_observers_the_first_is_read_and_that_is_said() -> None:
    names = [*PHOTOS, *masks("1st_manual", name="s{}_manual1.gif"), *masks("2nd_manual", name="s{}_manual2.gif")]
    found = read(names)
    assert truths(names, found) == {"1st_manual"}
    assert any("2nd_manual/" in said for said in found.assumptions)


def test_names_of_drive_pair_across_its_sides() -> None:
    names = [f"training/images/{n}_training.tif" for n in (31, 32)] + [f"test/images/0{n}_test.tif" for n in (1, 2)]
    names += [f"training/1st_manual/{n}_manual1.gif" for n in (31, 32)]
    names += [f"test/1st_manual/0{n}_manual1.gif" for n in (1, 2)]
    assert len(read(names).samples) == 4


def test_two_folders_that_hold_the_same_files_are_no_matter() -> None:
    texts = dict.fromkeys((*masks("gt"), *masks("masks")), b"same")
    found = read([*PHOTOS, *texts], texts)
    assert faults(found) == []
    assert any("the same masks" in said for said in found.assumptions)


@pytest.mark.parametrize("drawings", ["labels_color", "overlay", "SegmentationObject", "labels_preview_v2"])
def test_pictures_of_masks_beside_them_are_no_rivals(drawings: str) -> None:
    names = [*PHOTOS, *masks("labels"), *masks(drawings)]
    found = read(names)
    assert (truths(names, found), faults(found), found.assumptions) == ({"labels"}, [], [])


def test_folders_for_other_images_are_no_rivals() -> None:
    found = read([*PHOTOS, *masks("masks"), "labels/north.png", "labels/east.png", "labels/x.png"])
    assert faults(found) == []


def coco(numbers: list[int], shape: dict[str, Any]) -> bytes:
    images = [{"id": n, "file_name": f"s{n}.jpg", "width": 64, "height": 48} for n in numbers]
    annotations = [{"id": n, "image_id": n, "category_id": 1, **shape} for n in numbers]
    return json.dumps(
        {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "leaf"}]}
    ).encode()


AREA = {"segmentation": [[2, 2, 20, 2, 11, 17]], "bbox": [2, 2, 18, 15]}
BOX = {"bbox": [2, 2, 18, 15]}


def test_annotations_and_masks_of_the_same_images_are_a_fault_that_the_request_decides() -> None:
    names, texts = [*PHOTOS, *masks("gt")], {"leaves.json": coco([0, 1, 2, 3, 4], AREA)}
    with pytest.raises(DataError) as caught:
        read(names, texts)
    (issue,) = caught.value.issues
    assert issue.code == "layout.ambiguous"
    assert all(word in issue.message for word in ("`coco`", "leaves.json", "`paired`", "gt"))
    assert all(word in issue.fix for word in ('"format": "coco"', '"format": "paired"'))
    assert read(names, texts, "coco").layout == "coco"
    assert truths([*names, *texts], read(names, texts, "paired")) == {"gt"}


def test_masks_of_the_very_names_of_the_images_hide_no_annotations() -> None:
    names = [f"{folder}/s{n}.png" for n in range(5) for folder in ("images", "masks")]
    texts = {"leaves.json": coco([0, 1, 2, 3, 4], AREA).replace(b".jpg", b".png")}
    with pytest.raises(DataError, match=r"`coco`.*`paired`.*same 5 images"):
        read(names, texts)
    found = read(names, texts, "coco")
    assert (len(found.samples), faults(found)) == (5, [])
    assert all("hidden" not in name for issue in found.issues for name in issue.files)
    assert {[*names, *texts][sample.image].split("/")[0] for sample in found.samples} == {"images"}
    assert read(names, {"leaves.json": texts["leaves.json"].replace(b"segmentation", b"left_out")}).layout == "paired"


@pytest.mark.parametrize("shape", [BOX, AREA])
def test_masks_win_over_annotations_of_boxes_or_of_one_example(shape: dict[str, Any]) -> None:
    texts = {"leaves.json": coco([0, 1, 2, 3, 4] if shape is BOX else [0], shape)}
    found = read([*PHOTOS, *masks("gt")], texts)
    assert (found.layout, len(found.samples), faults(found)) == ("paired", 5, [])
    assert any("leaves.json" in said for said in found.assumptions)


def test_annotations_win_over_a_few_masks() -> None:
    found = read([*PHOTOS, *masks("gt", 1)], {"leaves.json": coco([0, 1, 2, 3, 4], AREA)})
    assert (found.layout, len(found.samples)) == ("coco", 5)


def test_an_example_in_folders_of_a_tool_loses_to_many_pairs() -> None:
    example = ["example/JPEGImages/e.jpg", "example/SegmentationClass/e.png"]
    found = read([*example, *(f"images/s{n}.jpg" for n in range(5)), *masks("masks")])
    assert (found.layout, len(found.samples)) == ("paired", 5)


def test_masks_beside_those_of_a_tool_are_a_fault() -> None:
    names = [f"JPEGImages/s{n}.jpg" for n in range(5)] + masks("SegmentationClass") + masks("masks")
    with pytest.raises(DataError, match=r"`voc`.*`paired`"):
        read(names)


@pytest.mark.parametrize(("one", "other"), [("v1.2", "v2.0"), ("v1", "v3"), ("1.0", "1.1")])
def test_two_versions_of_the_truth_are_refused_until_one_is_left(one: str, other: str) -> None:
    names = [*PHOTOS, *masks(f"{one}/labels"), *masks(f"{other}/labels")]
    for wanted in ("auto", "paired"):
        with pytest.raises(DataError, match=f"{one}/ and {other}/"):
            read(names, wanted=wanted)


def test_versions_with_photographs_of_their_own_are_parts_of_one_dataset() -> None:
    names = [f"v{k}/{folder}/s{n}.png" for k in (1, 2) for folder in ("images", "masks") for n in range(3)]
    assert len(read(names).samples) == 6


@pytest.mark.parametrize(("line", "layout"), [("0 .1 .1 .6 .1 .3 .7", ""), ("0 .5 .5 .2 .2", "paired")])
def test_outlines_of_yolo_rival_masks_and_boxes_do_not(line: str, layout: str) -> None:
    texts = {f"labels/s{n}.txt": f"{line}\n".encode() for n in range(5)} | {"classes.txt": b"leaf\n"}
    names = [*(f"images/s{n}.jpg" for n in range(5)), *masks("masks")]
    if layout:
        assert read(names, texts).layout == layout
    else:
        with pytest.raises(DataError, match=r"`yolo`.*`paired`"):
            read(names, texts)
    assert read(names, texts, "paired").layout == "paired"
