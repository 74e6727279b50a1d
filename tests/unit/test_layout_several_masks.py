"""Several masks for an image: what their names say, what is unclear, and that ordinary data are none of these."""

from pathlib import Path

import numpy as np
import pytest

from builders import check, write_zip
from builders.exports.reading import read_back
from builders.exports.scenes import SIZE, areas, coloured, grey, photo
from segdrop.codes import Severity
from segdrop.dataset import layouts
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared.owners import Kind, read_ending, read_folder
from segdrop.dataset.samples import MaskFile, Reading
from segdrop.errors import DataError


def read(names: list[str]) -> Reading:
    return layouts.read(Tree(names))


def numbered(form: str, count: int = 6) -> list[str]:
    return [form.format(n) for n in range(count)]


@pytest.mark.parametrize(
    ("ending", "kind", "text"),
    [
        ("mask", Kind.WHOLE, ""),
        ("seg_mask", Kind.WHOLE, ""),
        ("car", Kind.CLASS, "car"),
        ("left eye_mask", Kind.CLASS, "left_eye"),
        ("car_02", Kind.CLASS, "car"),
        ("class_2", Kind.CLASS, "class_2"),
        ("mask_3", Kind.NUMBER, "3"),
        ("4", Kind.NUMBER, "4"),
        ("4_mask", Kind.OTHER, ""),
        ("1stHO", Kind.OBSERVER, "1"),
        ("second_observer", Kind.OBSERVER, "2"),
        ("expert3", Kind.OBSERVER, "3"),
        ("labelIds", Kind.OTHER, ""),
        ("color_mask", Kind.OTHER, ""),
    ],
)
def test_endings_say_a_class_a_number_or_an_observer(ending: str, kind: Kind, text: str) -> None:
    found = read_ending(ending)
    assert (found.kind, found.text) == (kind, text)


def test_folders_say_a_class_without_the_number_before_it() -> None:
    assert read_folder("3. Soft Exudates").text == "Soft Exudates"
    assert read_folder("double_plant").text == "double_plant"
    assert read_folder("annotator_2").kind is Kind.OBSERVER


ORDINARY = {
    "numbers in the names of images": [*numbered("images/x_{}.png"), *numbered("masks/x_{}.png")],
    "one image has no number": [
        "images/x.png",
        "masks/x.png",
        *numbered("images/x_{}.png"),
        *numbered("masks/x_{}.png"),
    ],
    "tiles": [f"{folder}/t_{r}_{c}.png" for folder in ("images", "masks") for r in range(3) for c in range(3)],
    "tiles with an ending": [f"t_{r}_{c}{e}.png" for e in ("", "_mask") for r in range(3) for c in range(3)],
    "a picture beside each mask": [
        *numbered("images/x{}.png"),
        *numbered("masks/x{}.png"),
        *numbered("masks/x{}_color.png"),
    ],
    "ids and colours": [*numbered("img/x{}.png"), *numbered("gt/x{}_labelIds.png"), *numbered("gt/x{}_color.png")],
    "folders of scenes": [
        f"{f}/{s}/x{n}.png" for f in ("images", "masks") for s in ("north", "south") for n in range(3)
    ],
    "copies by class": [
        *numbered("images/x{}.png"),
        *numbered("masks/x{}.png"),
        *numbered("masks/RO/x{}.png"),
        *numbered("masks/HD/x{}.png"),
    ],
    "frames together": [*numbered("f_{}.jpg"), *numbered("f_{}.png"), "f.jpg", "f.png"],
    "one ending for all": [*numbered("images/x{}.jpg"), *numbered("masks/x{}_lesion.png")],
}


@pytest.mark.parametrize("case", ORDINARY)
def test_ordinary_pairs_are_read_as_such(case: str) -> None:
    found = read(ORDINARY[case])
    assert found.layout == "paired"
    assert all(isinstance(sample.truth, MaskFile) for sample in found.samples)
    # pictures of masks have no image of their own name, as ever
    assert {issue.code for issue in found.issues if issue.severity is not Severity.NOTE} <= {"pair.missing_image"}


def test_mask_of_a_missing_image_is_not_merged_into_that_of_another() -> None:
    found = read([*numbered("images/x{}.png"), *numbered("masks/x{}.png"), "masks/x2_1.png"])
    assert (found.layout, len(found.samples)) == ("paired", 6)
    assert [issue.code for issue in found.issues] == ["pair.missing_image"]


def test_numbers_that_all_images_share_are_refused_since_they_may_be_classes() -> None:
    found = read([*numbered("images/x{}.png"), *numbered("masks/x{}_0.png"), *numbered("masks/x{}_1.png")])
    (issue,) = [issue for issue in found.issues if issue.severity is Severity.FAULT]
    assert issue.code == "layout.ambiguous"
    assert "x0_0.png and x0_1.png" in issue.message
    assert "x_car.png" in issue.fix


@pytest.mark.parametrize("form", ["masks/x{}_{}.png", "masks/{1}/x{0}.png", "masks/x{}_mask_{}.png"])
def test_classes_are_named_by_endings_or_folders(form: str) -> None:
    masks = [form.format(n, label) for n in range(5) for label in ("ship", "Sea")]
    found = read([*numbered("images/x{}.png", 5), *masks])
    assert found.names is not None
    assert found.names.numbered == ((0, "background"), (1, "Sea"), (2, "ship"))
    assert any("smaller area is on top" in said for said in found.assumptions)


def test_areas_of_one_class_are_numbered_behind_its_name() -> None:
    masks = [f"masks/x{n}_nodule_{place}.png" for n in range(5) for place in range(1, 2 + n % 3)]
    found = read([*numbered("images/x{}.png", 5), *masks])
    assert found.names is not None
    assert found.names.numbered == ((0, "background"), (1, "nodule"))
    assert [len(getattr(sample.truth, "parts", ())) for sample in found.samples] == [1, 2, 3, 1, 2]


def test_observers_in_folders_are_told_and_the_first_is_read() -> None:
    names = [*numbered("images/x{}.png"), *numbered("masks/expert1/x{}.png"), *numbered("masks/expert2/x{}.png")]
    found = read(names)
    assert {names[sample.truth.member].split("/")[1] for sample in found.samples} == {"expert1"}
    assert any("2 observers" in said for said in found.assumptions)


def test_masks_by_class_beside_whole_masks_are_two_truths() -> None:
    names = [*numbered("images/x{}.png"), *numbered("masks/x{}.png")]
    names += [f"labels/{label}/x{n}.png" for n in range(6) for label in ("a", "b")]
    found = read(names)
    assert [issue.code for issue in found.issues if issue.severity is Severity.FAULT] == ["layout.ambiguous"]


def _by_class(paint: dict[str, np.ndarray]) -> dict[str, bytes]:
    content = {}
    for n in range(4):
        content[f"images/x{n}.png"] = photo(n)
        content |= {f"masks/x{n}_{label}.png": grey(area) for label, area in paint.items()}
    return content


def test_overlapping_classes_are_a_warning_and_the_smaller_is_on_top(tmp_path: Path) -> None:
    skin, eye = np.zeros(SIZE, int), np.zeros(SIZE, int)
    skin[2:30, 2:30], eye[8:14, 8:14] = 255, 255
    report, found, _ = read_back(_by_class({"eye": eye, "skin": skin}), tmp_path, SIZE)
    assert "mask.overlap" in [issue.code for issue in report.issues]
    assert (found["images/x0.png"][eye > 0] == 1).all()
    assert (found["images/x0.png"][(skin > 0) & (eye == 0)] == 2).all()


def test_masks_of_several_values_are_no_masks_of_one_class(tmp_path: Path) -> None:
    content = _by_class({"eye": areas(0, (0, 1, 2)), "skin": areas(1, (0, 1))})
    report = check(write_zip(tmp_path / "data.zip", content))
    (issue,) = [issue for issue in report.issues if issue.severity is Severity.FAULT]
    assert "0, 1, 2" in issue.message


def test_colour_copies_under_unknown_words_are_never_merged_silently(tmp_path: Path) -> None:
    content = _by_class({"ids": areas(0, (0, 1, 2))})
    for n in range(4):
        content[f"masks/x{n}_pretty.png"] = coloured(areas(0, (0, 1, 2)), {0: 0, 1: 0xFF0000, 2: 0x00FF00})
        content[f"masks/x{n}_plain.png"] = content.pop(f"masks/x{n}_ids.png")
    report = check(write_zip(tmp_path / "data.zip", content))
    assert Severity.FAULT in [issue.severity for issue in report.issues]


def test_masks_that_were_blurred_are_cut_at_half(tmp_path: Path) -> None:
    area = np.where(areas(0, (0, 1)) > 0, 252, 3)
    report, found, _ = read_back(_by_class({"eye": area, "skin": np.zeros(SIZE, int)}), tmp_path, SIZE)
    assert report.dataset is not None, report.issues
    assert np.array_equal(found["images/x0.png"], areas(0, (0, 1)))


def test_asked_for_where_there_are_none_is_an_answer() -> None:
    with pytest.raises(DataError):
        layouts.read(Tree(["images/a.png", "masks/a.png"]), "several-masks")
