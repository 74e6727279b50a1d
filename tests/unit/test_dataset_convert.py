"""What a conversion writes is read back as the same dataset: classes, ids, ignored pixels, names and split."""

import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders import broken, check, check_spec, encoded, members, write_dataset, write_zip
from builders.conversion import assert_same_after_conversion, converted, learned
from segdrop.child_runtime import StopFlag
from segdrop.codes import Severity
from segdrop.dataset import convert as conversion
from segdrop.dataset import full_check
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import LabelledSample, MaskFile, Split
from segdrop.errors import StoppedError, UnavailableError
from segdrop.spec import ConvertSpec

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def read_back(output: Path) -> CheckReport:
    return check(output, cache=False)


def mask_of(output: Path, name: str) -> np.ndarray:
    with zipfile.ZipFile(output) as archive, Image.open(io.BytesIO(archive.read(name))) as mask:
        assert mask.mode == "L"
        return np.asarray(mask)


def masks(values: Mapping[int, int] | None = None, *, count: int = 12) -> dict[str, bytes]:
    """Masks of a dataset of :func:`members`: each value of three classes replaced."""
    table = np.arange(256, dtype=np.uint8)
    for old, new in (values or {}).items():
        table[old] = new
    found = {}
    for name, content in members(count=count).items():
        if name.startswith("masks/"):
            with Image.open(io.BytesIO(content)) as mask:
                found[name] = encoded(table[np.asarray(mask)])
    return found


@pytest.mark.parametrize("layout", ["plain", "wrapped", "outside", "inside", "with_test"])
def test_split_given_or_made_is_the_same(tmp_path: Path, layout: str) -> None:
    output = assert_same_after_conversion(write_dataset(tmp_path / "data.zip", count=20, layout=layout))
    with zipfile.ZipFile(output) as archive:
        names = archive.namelist()
    given = {"outside": {"train", "val"}, "inside": {"train", "val"}, "with_test": {"train", "val", "test"}}
    assert {name.partition("/")[0] for name in names if "/" in name} == given.get(layout, {"images", "masks"})


def test_validation_folder_alone_is_divided_the_same_way(tmp_path: Path) -> None:
    content = {name.replace("train/", "val/"): data for name, data in members(count=12, layout="outside").items()}
    assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        ({1: 255}, ["cat", "dog"]),  # ignored beside class ids
        ({1: 128, 2: 255}, ["cat", "dog"]),  # grey levels
        ({2: 1, 1: 255}, None),  # binary, with ignored pixels
        ({1: 255, 2: 255}, None),  # black and white
        ({}, ["background", "void", "thing"]),  # ignored by its name
        ({}, [f"class {number}" for number in range(40)]),  # absent classes
    ],
)
def test_classes_and_ignored_pixels_are_the_same(
    tmp_path: Path, values: dict[int, int], labels: list[str] | None
) -> None:
    content = members(count=12, labels=labels) | masks(values)
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))
    with zipfile.ZipFile(output) as archive:
        assert archive.read("labels.txt").decode().splitlines() == read_back(output).model_dump()["dataset"]["classes"]


@pytest.mark.parametrize(
    ("values", "classes"),
    [
        ({1: 125, 2: 250}, {str(number): f"class {number}" for number in range(254)}),  # ids as grey levels have them
        ({}, ["ground 1 2 3", "road 4 5 6", "sky 7 8 9"]),  # names that look like colours of a legend
    ],
)
def test_classes_are_named_by_number_where_a_list_of_names_would_not_do(
    tmp_path: Path, values: dict[int, int], classes: Any
) -> None:
    content = members(count=12, labels=None) | masks(values)
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content), {"classes": classes})
    with zipfile.ZipFile(output) as archive:
        assert "classes" in json.loads(archive.read("segdrop.json"))


def test_ignored_pixels_are_255_and_classes_count_from_0(tmp_path: Path) -> None:
    content = members(count=12, values=(0, 1, 2)) | masks({0: 7, 1: 3, 2: 9})
    request = {"classes": {"3": "three", "7": "seven", "9": "nine"}, "class_map": {"nine": None}}
    _, output = converted(write_zip(tmp_path / "data.zip", content), request)
    assert set(np.unique(mask_of(output, "masks/scene_000.png"))) == {0, 1, IGNORE}
    assert read_back(output).model_dump()["dataset"]["classes"] == ["three", "seven"]


def coloured(colours: list[tuple[int, int, int]]) -> dict[str, bytes]:
    table = np.asarray(colours, np.uint8)
    found = {}
    for name, content in masks().items():
        with Image.open(io.BytesIO(content)) as mask:
            found[name] = encoded(table[np.asarray(mask)])
    return found


def test_coloured_masks_become_class_ids(tmp_path: Path) -> None:
    legend = b"sky 255 0 0\nroad 0 255 0\ncar 0 0 255\n"
    content = members(count=12, labels=None) | coloured([GREEN, RED, BLUE]) | {"labels.txt": legend}
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))
    assert set(np.unique(mask_of(output, "masks/scene_000.png"))) == {0, 1, 2}
    assert_same_after_conversion(
        write_zip(tmp_path / "unnamed.zip", members(count=12, labels=None) | coloured([GREEN, RED, BLUE]))
    )


def test_blurred_masks_become_what_they_were_meant_to_be(tmp_path: Path) -> None:
    content = members(count=12, size=(64, 96), labels=["thing"], values=(0, 1))
    for name in [name for name in content if name.startswith("masks/")]:
        with Image.open(io.BytesIO(content.pop(name))) as mask:
            content[name.replace(".png", ".jpg")] = encoded(np.asarray(mask) * 255, "JPEG", quality=90)
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))
    assert set(np.unique(mask_of(output, "masks/scene_000.png"))) <= {0, 1, IGNORE}


def labelme(size: tuple[int, int] = (24, 32), count: int = 12, *, is_size_known: bool = True) -> dict[str, bytes]:
    """Images with areas drawn in LabelMe."""
    found = {name: data for name, data in members(count=count, size=size).items() if name.startswith("images/")}
    for number in range(count):
        areas = [("cat", [[2, 2], [12 + number, 2], [12, 20]]), ("dog", [[15, 5], [30, 6], [20, 22]])]
        shapes = [{"label": name, "points": points, "shape_type": "polygon", "flags": {}} for name, points in areas]
        document = {
            "version": "5.0", "flags": {}, "shapes": shapes, "imagePath": f"scene_{number:03}.png", "imageData": None,
        }  # fmt: skip
        if is_size_known:
            document |= {"imageHeight": size[0], "imageWidth": size[1]}
        found[f"images/scene_{number:03}.json"] = json.dumps(document).encode()
    return found


@pytest.mark.parametrize("is_size_known", [True, False])
def test_drawn_areas_become_masks(tmp_path: Path, is_size_known: bool) -> None:
    content = labelme(is_size_known=is_size_known)
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))
    assert set(np.unique(mask_of(output, "masks/scene_000.png"))) == {0, 1, 2}


def test_images_keep_their_bytes_and_turned_ones_their_masks(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = encoded(np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3), "JPEG", exif=exif)
    mask = np.zeros((32, 24), np.uint8)
    mask[:8] = 1
    content = members(count=12) | {"images/scene_000.jpg": image, "masks/scene_000.png": encoded(mask)}
    content.pop("images/scene_000.png")
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))
    with zipfile.ZipFile(output) as archive:
        assert archive.read("images/scene_000.jpg") == image
    assert np.array_equal(mask_of(output, "masks/scene_000.png"), mask)


def test_masks_that_are_turned_themselves_are_written_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    mask = np.zeros((24, 32), np.uint8)
    mask[:, :8] = 1
    content = members(count=12) | {
        "images/scene_000.png": encoded(np.zeros((32, 24, 3), np.uint8)),
        "masks/scene_000.png": encoded(mask, exif=exif),
    }
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))
    assert (mask_of(output, "masks/scene_000.png")[:8] == 1).all()


def test_first_images_of_a_shuffle_are_those_that_training_takes(tmp_path: Path) -> None:
    output = assert_same_after_conversion(write_dataset(tmp_path / "data.zip", count=30), {"max_images": 7})
    assert read_back(output).model_dump()["dataset"]["pairs"] == 7


def test_names_keep_their_spelling_and_folders(tmp_path: Path) -> None:
    content = {}
    for number, (name, data) in enumerate(sorted(members(count=12).items())):
        content[name.replace("scene_", f"Größe/{'AB'[number % 2]}/IMG 猫_") if "/" in name else name] = data
    content = {name.replace("/A/", "/").replace("/B/", "/"): data for name, data in content.items()}
    output = assert_same_after_conversion(write_zip(tmp_path / "data.zip", content))
    with zipfile.ZipFile(output) as archive:
        assert "images/Größe/IMG 猫_000.png" in archive.namelist()


class Names:
    def __init__(self, names: list[str]) -> None:
        self.names = names


def placed(*entries: tuple[str, str, Split | None]) -> list[str]:
    """Places of samples, given as key, name of the image and split."""
    samples = [LabelledSample(key, number, split, MaskFile(number)) for number, (key, _, split) in enumerate(entries)]
    archive: Any = Names([name for _, name, _ in entries])
    return [place.folder + place.name for place in conversion.destinations(archive, samples)]


def test_no_two_samples_share_a_place() -> None:
    assert placed(("a", "x/A.png", None), ("a", "y/a.jpg", None), ("a_2", "a_2.png", None)) == ["A", "a_2", "a_2_2"]


def test_folders_that_are_no_side_of_the_split_do_not_become_one() -> None:
    assert placed(("training/a", "training/A.png", None)) == ["training_A"]
    assert placed(("train/a", "images/train/A.png", Split.TRAIN)) == ["train/A"]
    assert placed(("b/a", "val/b/A.png", Split.VAL)) == ["val/b/A"]
    assert placed(("val/a", "val/images/A.png", None)) == ["val/A"]


def test_names_that_are_no_text_are_written_all_the_same() -> None:
    (place,) = placed(("a\udcff", "a\udcff.png", None))
    assert place == "a?"


def test_result_says_where_it_comes_from_and_how_it_was_read(tmp_path: Path) -> None:
    report, output = converted(write_dataset(tmp_path / "data.zip", count=12))
    with zipfile.ZipFile(output) as archive:
        text = archive.read("README.txt").decode()
        assert json.loads(archive.read("segdrop.json")) == {
            "format": "paired",
            "labels_include_background": True,
            "ignore_index": 255,
        }
        assert archive.testzip() is None
    assert report.dataset is not None
    for part in ("data.zip", report.input_sha256, *report.dataset.assumptions):
        assert part in text


def test_same_input_gives_the_same_bytes(tmp_path: Path) -> None:
    archive = write_dataset(tmp_path / "data.zip", count=12)
    first = converted(archive)[1].read_bytes()
    assert converted(archive)[1].read_bytes() == first


def test_images_that_are_stored_as_they_are_get_smaller_and_others_are_left(tmp_path: Path) -> None:
    for image_format, kind in (("BMP", zipfile.ZIP_DEFLATED), ("JPEG", zipfile.ZIP_STORED)):
        archive = write_dataset(tmp_path / f"{image_format}.zip", count=12, image_format=image_format)
        output = assert_same_after_conversion(archive)
        with zipfile.ZipFile(output) as written:
            assert {i.compress_type for i in written.infolist() if i.filename.startswith("images/")} == {kind}


# what is at fault


@pytest.mark.parametrize("kind", broken.KINDS)
def test_nothing_is_written_of_a_dataset_at_fault(kind: str, tmp_path: Path) -> None:
    build, code = broken.KINDS[kind]
    build(tmp_path / "data.zip")
    report, output = converted(tmp_path / "data.zip")
    assert code in [issue.code for issue in report.issues]
    assert report.dataset is None
    assert not output.exists()


def with_bad_pairs(path: Path, **changes: bytes) -> Path:
    bad = {
        "images/scene_000.png": b"broken",
        "masks/scene_001.png": encoded(np.zeros((5, 50), np.uint8)),
        "masks/scene_002.png": b"broken",
    }
    return write_dataset(path, count=12, extra=bad | changes)


def test_bad_pairs_are_faults_unless_they_are_to_be_skipped(tmp_path: Path) -> None:
    archive = with_bad_pairs(tmp_path / "data.zip")
    report, output = converted(archive)
    assert report.dataset is None
    assert not output.exists()
    report, output = converted(archive, skip_bad=True)
    assert report.dataset is not None
    assert report.dataset.pairs == 9
    issues = {issue.code: issue for issue in report.issues}
    assert {code: issues[code].severity for code in ("image.unreadable", "pair.size_mismatch")} == dict.fromkeys(
        ("image.unreadable", "pair.size_mismatch"), Severity.WARNING
    )
    assert issues["image.unreadable"].files == ("images/scene_000.png", "masks/scene_002.png")
    with zipfile.ZipFile(output) as written:
        assert sum(name.startswith("images/") for name in written.namelist()) == 9
        text = written.read("README.txt").decode()
    for name in ("images/scene_000.png", "masks/scene_001.png", "masks/scene_002.png"):
        assert name in text
    assert read_back(output).dataset is not None
    assert (
        learned(output)["masks"]
        == learned(
            write_dataset(
                tmp_path / "good.zip",
                count=12,
                without=[f"{folder}/scene_{number:03}.png" for folder in ("images", "masks") for number in range(3)],
            )
        )["masks"]
    )


def test_damaged_members_are_skipped_too(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "data.zip", members(count=12), zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    with zipfile.ZipFile(archive) as listed:
        start = listed.getinfo("images/scene_004.png").header_offset
    content[start + 100] ^= 0xFF
    archive.write_bytes(content)
    assert converted(archive)[0].dataset is None
    report, output = converted(archive, skip_bad=True)
    assert report.dataset is not None, report.issues
    assert ("archive.corrupt", Severity.WARNING) in [(issue.code, issue.severity) for issue in report.issues]
    assert read_back(output).dataset is not None


def test_damaged_list_of_names_is_not_skipped(tmp_path: Path) -> None:
    archive = write_zip(tmp_path / "data.zip", members(count=12), zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    position = content.index(b"cat\ndog\n")
    content[position : position + 3] = b"cow"
    archive.write_bytes(content)
    report, output = converted(archive, skip_bad=True)
    assert ("archive.corrupt", Severity.FAULT) in [(issue.code, issue.severity) for issue in report.issues]
    assert not output.exists()


def test_more_than_half_is_not_skipped(tmp_path: Path) -> None:
    bad = {f"images/scene_{number:03}.png": b"broken" for number in range(7)}
    report, output = converted(write_dataset(tmp_path / "data.zip", count=12, extra=bad), skip_bad=True)
    assert report.dataset is None
    (issue,) = [issue for issue in report.issues if issue.code == "image.unreadable"]
    assert (issue.severity, issue.count) == (Severity.FAULT, 7)
    assert not output.exists()


def test_values_without_a_class_are_no_bad_files(tmp_path: Path) -> None:
    extra = {"masks/scene_000.png": encoded(np.full((24, 32), 77, np.uint8))}
    report, output = converted(write_dataset(tmp_path / "data.zip", count=12, extra=extra), skip_bad=True)
    assert "mask.unknown_value" in [issue.code for issue in report.issues]
    assert not output.exists()


def test_nothing_is_left_where_the_disk_is_full(tmp_path: Path) -> None:
    output = tmp_path / "converted" / "out.zip"
    output.parent.mkdir()
    output.symlink_to("/dev/full")
    with pytest.raises(UnavailableError) as caught:
        converted(write_dataset(tmp_path / "data.zip", count=12))
    assert caught.value.code == "disk.full"
    assert list(output.parent.iterdir()) == []


def test_nothing_is_left_where_it_is_stopped(tmp_path: Path) -> None:
    flag = StopFlag()
    archive = write_dataset(tmp_path / "data.zip", count=12)
    spec = ConvertSpec(
        **check_spec(archive, cache=False).model_dump(), output_path=tmp_path / "out.zip.part", skip_bad=False
    )
    with Archive(archive, spec.limits) as opened:
        result = full_check.check_archive(opened, spec, flag)
    flag.set()
    with Archive(archive, spec.limits) as opened, pytest.raises(StoppedError):
        conversion.write(opened, result, spec, flag)
    assert not spec.output_path.exists()


def test_progress_counts_the_pairs_that_are_written(tmp_path: Path) -> None:
    converted(write_dataset(tmp_path / "data.zip", count=12))
    progress = json.loads((tmp_path / "progress.json").read_text())
    assert (progress["stage"], progress["total"]) == ("convert", 12)
    assert 1 <= progress["done"] <= 12
