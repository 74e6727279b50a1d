"""Datasets known by the names of their folders, tables that name pairs, and folders whose names say nothing."""

import json
from pathlib import Path

import numpy as np
import pytest

from builders import check, write_zip
from builders.exports import huggingface, isprs, nnunet, oxford_pet, retina, twins
from builders.exports.reading import WRONG, codes, damaged_json, survives, tree_of
from builders.exports.scenes import SIZE, areas, grey, photo
from segdrop.codes import Code, Severity
from segdrop.dataset import layouts
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import Reading, Split
from segdrop.errors import DataError, Issue


def read(content: dict[str, bytes], wanted: str = "auto") -> Reading:
    return layouts.read(tree_of(content), wanted)


def refusal(content: dict[str, bytes]) -> Issue:
    with pytest.raises(DataError) as caught:
        read(content)
    (issue,) = caught.value.issues
    return issue


def checked(content: dict[str, bytes], folder: Path, **request: object) -> CheckReport:
    return check(write_zip(folder / "data.zip", content), {"image_size": [32, 40], **request})


# two folders of any names


def test_folders_of_any_names_are_read_with_a_warning_that_names_both() -> None:
    (issue,) = read(twins.plain()[0]).issues
    assert (issue.code, issue.severity) == (Code.LAYOUT_ASSUMED, Severity.WARNING)
    assert "'flight/'" in issue.message
    assert "'digitised/'" in issue.message
    assert '"format": "twins"' in issue.fix


def test_request_makes_the_guess_certain(tmp_path: Path) -> None:
    report = checked(twins.plain()[0], tmp_path, format="twins")
    assert report.dataset is not None
    assert "layout.assumed" not in {issue.code for issue in report.issues}


def made(folders: dict[str, str], count: int = 4) -> dict[str, bytes]:
    """Folders with photographs ("jpg", "png") or masks ("mask")."""
    content = {}
    for seed, (folder, kind) in enumerate(folders.items()):
        for number in range(count):
            ending = "jpg" if kind == "jpg" else "png"
            data = (
                grey(areas(number + seed, (0, 1, 2)))
                if kind == "mask"
                else photo(number, ending.replace("jpg", "JPEG"))
            )
            content[f"{folder}/{number}.{ending}"] = data
    return content


@pytest.mark.parametrize("kinds", [("jpg", "jpg"), ("png", "png"), ("mask", "mask")])
def test_folders_that_look_alike_are_refused_by_name(kinds: tuple[str, str]) -> None:
    issue = refusal(made({"one": kinds[0], "two": kinds[1]}))
    assert "'one/' and 'two/' hold 4 files of the same names" in issue.message
    assert "`images`" in issue.fix


def test_third_folder_that_may_be_the_masks_is_refused_by_name() -> None:
    issue = refusal(made({"flight": "jpg", "digitised": "mask", "second": "mask"}))
    assert issue.code is Code.LAYOUT_AMBIGUOUS
    assert "'digitised/'" in issue.message
    assert "'second/'" in issue.message


@pytest.mark.parametrize("other", ["depth", "Thumbs", "overlay", "predictions"])
def test_folder_that_is_named_for_something_else_is_no_rival_and_no_mask(other: str) -> None:
    reading = read(made({"flight": "jpg", "digitised": "mask", other: "mask"}))
    assert {Path(reading.samples[0].key).name} == {"0"}
    assert reading.layout == "twins"
    with pytest.raises(DataError):
        read(made({"flight": "jpg", other: "mask"}))


def test_thumbnails_are_no_masks() -> None:
    content = made({"flight": "png"})
    content |= {f"small/{number}.png": grey(areas(number, (0, 1))[:8, :10]) for number in range(4)}
    with pytest.raises(DataError):
        read(content)


def test_folder_of_images_known_by_name_is_not_taken_for_masks() -> None:
    reading = read(made({"RGB": "jpg", "digitised": "mask"}))
    assert [sample.key for sample in reading.samples] == ["0", "1", "2", "3"]
    assert reading.layout == "twins"


def test_different_names_are_no_twins() -> None:
    content = made({"cat": "jpg"}) | {f"dog/{number}.png": grey(areas(number, (0, 1))) for number in range(10, 14)}
    assert refusal(content).code is Code.LAYOUT_UNKNOWN


def test_images_that_look_like_masks_are_a_fault_after_a_guess(tmp_path: Path) -> None:
    content = {}
    for number in range(4):
        content[f"one/{number}.png"] = grey(np.random.default_rng(number).integers(0, 40, SIZE))
        content[f"two/{number}.png"] = grey(areas(number, (0, 1)))
    report = checked(content, tmp_path)
    assert "layout.ambiguous" in {issue.code for issue in report.issues if issue.severity is Severity.FAULT}
    assert checked(content, tmp_path, format="twins").dataset is not None


# nnU-Net


def test_regions_of_nnunet_are_refused_in_words() -> None:
    content, _ = nnunet.version2({"background": 0, "whole": [1, 2, 3], "core": [2, 3]})
    (issue,) = (issue for issue in read(content).issues if issue.severity is Severity.FAULT)
    assert "regions" in issue.message
    assert "whole" in issue.message


def test_further_channels_of_nnunet_are_said() -> None:
    content, _ = nnunet.version2()
    images = [name for name in content if "imagesTr" in name]
    content |= {name.replace("_0000", f"_000{number}"): content[name] for name in images for number in (1, 2)}
    reading = read(content)
    assert len(reading.samples) == 5
    assert codes(reading) == {"layout.assumed": "warning"}
    assert "_0001, _0002" in reading.issues[0].message


def test_images_of_nnunet_without_labels_are_stated() -> None:
    reading = read(nnunet.version2()[0])
    assert not reading.issues
    assert reading.assumptions == ["imagesTs/ has no labels: its 9 files are not used"]


@pytest.mark.parametrize("labels", [{}, {"a": 1.5}, {"a": None}, {"a": -1}, {"a": 1, "b": 1}, {"": 1}, {"a": 10**30}])
def test_labels_of_nnunet_that_are_none_are_a_fault(labels: dict[str, object]) -> None:
    content, _ = nnunet.version2()
    content["dataset.json"] = nnunet.described(labels)
    assert {"fault"} <= set(codes(read(content)).values())


# known datasets


def test_names_of_pets_are_not_given_to_other_values(tmp_path: Path) -> None:
    content, _ = oxford_pet.pet()
    for name in [name for name in content if "trimaps" in name]:
        content[name] = grey(areas(1, (0, 1, 2)))
    dataset = checked(content, tmp_path).dataset
    assert dataset is not None
    assert dataset.classes == ["class_0", "class_1", "class_2"]
    assert not any("Oxford" in said for said in dataset.assumptions)


def test_sides_of_pets_are_those_of_the_lists() -> None:
    samples = read(oxford_pet.pet()[0]).samples
    assert {sample.key: sample.split for sample in samples if sample.split is Split.TEST} == {
        "bombay_5": Split.TEST,
        "pug_6": Split.TEST,
    }


def test_names_of_isprs_are_not_given_to_other_colours(tmp_path: Path) -> None:
    content, _ = isprs.vaihingen()
    for name in [name for name in content if "gts" in name]:
        content[name] = isprs.coloured(areas(1, (0, 1)), {0: 0xFFFFFF, 1: 0x123456})
    dataset = checked(content, tmp_path).dataset
    assert dataset is not None
    assert sorted(dataset.classes) == ["colour_#123456", "colour_#ffffff"]


def test_second_observer_and_field_of_view_are_stated_and_not_read() -> None:
    for make in (retina.drive, retina.hrf, retina.chase):
        reading = read(make()[0])
        assert not reading.issues
        assert "first observer" in reading.assumptions[0]
        assert ("second observer" in reading.assumptions[0]) is (make is not retina.hrf)
        assert ("field of view" in reading.assumptions[0]) is (make is not retina.chase)


def test_observers_of_chase_may_have_folders_of_their_own() -> None:
    content, _ = retina.chase()
    folders = {"_1stHO.png": "1st_label", "_2ndHO.png": "2nd_label"}
    moved = {f"{folders.get(name[9:], 'images')}/{name}": data for name, data in content.items()}
    reading = read(moved)
    assert (reading.layout, len(reading.samples)) == ("retina", 6)
    assert all("1st_label/" in [*moved][sample.truth.member] for sample in reading.samples)


def test_first_observer_is_not_preferred_to_other_masks() -> None:
    content, _ = retina.hrf()
    content |= {name.replace("manual1", "labels"): data for name, data in content.items() if "manual1" in name}
    try:
        assert read(content).layout != "retina"
    except DataError as error:
        assert error.issues  # noqa: PT017  (refused as well: both are named)


# tables


def test_two_columns_of_masks_are_refused_by_name() -> None:
    content, _ = huggingface.jsonl()
    row = {"file_name": "0000.png", "mask": "truth/s0.png", "label_file_name": "truth/s7.png"}
    content["train/metadata.jsonl"] = json.dumps(row).encode()
    issue = refusal(content)
    assert issue.code is Code.LAYOUT_AMBIGUOUS
    assert "`mask`, `label_file_name`" in issue.message


@pytest.mark.parametrize(
    "column", ["mask", "label", "segmentation", "seg_map", "ground_truth_file_name", "annotation", "マスク"]
)
def test_column_of_masks_has_any_usual_name(column: str) -> None:
    content = {}
    rows = []
    for number in range(3):
        content[f"a{number}.jpg"], content[f"t/b{number + 5}.png"] = photo(number, "JPEG"), grey(areas(number, (0, 1)))
        rows.append(json.dumps({"file_name": f"a{number}.jpg", column: f"t/b{number + 5}.png", "caption": "x"}))
    content["metadata.jsonl"] = "\n".join(rows).encode()
    reading = read(content)
    assert (reading.layout, len(reading.samples)) == ("huggingface", 3)


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[1]\n2", b'{"file_name": 1, "mask": {}}', b'{"file_name": "0000.png", "label": 3}', b"\xff\xfe\x00",
     b'{"file_name": "0000.png", "mask": "none.png"}', b'{"file_name": "\\ud800.png", "mask": "\\ud800.png"}'],
)  # fmt: skip
@pytest.mark.parametrize("name", ["metadata.jsonl", "metadata.csv"])
def test_damaged_table_is_answered(name: str, text: bytes) -> None:
    content, _ = huggingface.jsonl()
    content = {path: data for path, data in content.items() if "metadata" not in path} | {name: text}
    assert survives(layouts.LAYOUTS["huggingface"], content) in (True, False)


def test_labels_that_are_no_files_are_no_masks() -> None:
    """Hugging Face's image classification has a column "label", too."""
    content = made({"images": "jpg", "masks": "mask"})
    content["metadata.jsonl"] = b'{"file_name": "images/0.jpg", "label": "cat"}'
    assert read(content).layout == "paired"


def test_damaged_description_of_nnunet_is_answered() -> None:
    content, _ = nnunet.version1()
    for damaged in damaged_json(nnunet.described({"background": 0, "door": 1, "2": "wheel", "ignore": 3})):
        assert survives(layouts.LAYOUTS["nnunet"], content | {"dataset.json": damaged}) in (True, False)


@pytest.mark.parametrize("column", ["file_name", "mask", "x"])
def test_damaged_rows_of_a_table_are_answered(column: str) -> None:
    content, _ = huggingface.jsonl()
    for value in WRONG:
        row = {"file_name": "0000.png", "mask": "truth/s0.png"} | {column: value}
        content["train/metadata.jsonl"] = json.dumps(row).encode()
        assert survives(layouts.LAYOUTS["huggingface"], content) in (True, False)
