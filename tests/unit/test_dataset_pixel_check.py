import json
from pathlib import Path

import numpy as np
import pytest

from builders import broken, check, encoded, mask_image, members, write_dataset, write_zip
from segdrop.codes import Severity
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport
from segdrop.errors import Issue


def faults(report: CheckReport) -> list[Issue]:
    return [issue for issue in report.issues if issue.severity is Severity.FAULT]


@pytest.mark.parametrize("kind", broken.KINDS)
def test_broken_zip_is_answered_with_its_code_and_leaves_no_cache(kind: str, tmp_path: Path) -> None:
    build, code = broken.KINDS[kind]
    path = tmp_path / "data.zip"
    build(path)
    report = check(path)
    assert code in [issue.code for issue in faults(report)], report.issues
    assert report.dataset is None
    assert len(report.input_sha256) == 64
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "RGB", "LA", "RGBA"])
def test_mask_values_are_read_alike_from_every_mode(mode: str, tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", mask_mode=mode))
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["background", "cat", "dog"]
    assert report.dataset.mask_values == [0, 1, 2]
    with CacheReader(tmp_path / "cache") as reader:
        assert set(np.unique(reader.masks(range(6)))) == {0, 1, 2}


def test_one_bit_masks_are_binary(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", mask_mode="1", values=(0, 1), labels=["thing"]))
    assert report.dataset is not None
    assert report.dataset.classes == ["background", "thing"]
    assert report.dataset.mask_encoding == "binary"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "GIF", "PPM"])
def test_images_of_every_listed_format_are_read(image_format: str, tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", image_format=image_format))
    assert report.dataset is not None, report.issues


def test_faults_of_all_kinds_are_reported_together(tmp_path: Path) -> None:
    path = write_dataset(
        tmp_path / "data.zip",
        count=8,
        extra={
            "images/scene_000.png": b"broken",
            "masks/scene_001.png": encoded(np.zeros((5, 5), np.uint8)),
            "masks/scene_002.png": encoded(np.full((24, 32), 77, np.uint8)),
        },
        without=["masks/scene_003.png"],
    )
    report = check(path, {"levl": 3})
    assert {issue.code for issue in report.issues} >= {
        "image.unreadable", "pair.size_mismatch", "pair.missing_mask", "request.unknown_key",
    }  # fmt: skip
    codes = {issue.code for issue in check(path).issues}
    assert "mask.unknown_value" in codes
    assert "image.unreadable" in codes


def test_equal_faults_are_one_issue_with_a_count_and_at_most_twenty_names(tmp_path: Path) -> None:
    bad = {f"images/scene_{i:03}.png": b"broken" for i in range(25)}
    report = check(write_dataset(tmp_path / "data.zip", count=30, extra=bad))
    (issue,) = [issue for issue in report.issues if issue.code == "image.unreadable"]
    assert issue.count == 25
    assert len(issue.files) == 20


def test_all_damaged_members_are_one_issue(tmp_path: Path) -> None:
    path = tmp_path / "data.zip"
    broken.bad_crc(path)
    report = check(path)
    assert [issue.code for issue in faults(report)].count("archive.corrupt") == 1


def test_unknown_value_names_values_pixels_and_files(tmp_path: Path) -> None:
    bad = np.zeros((24, 32), np.uint8)
    bad[0, :5] = 42
    report = check(write_dataset(tmp_path / "data.zip", extra={"masks/scene_004.png": encoded(bad)}))
    (issue,) = faults(report)
    assert "42 (5 pixels)" in issue.message
    assert issue.files == ("masks/scene_004.png",)


def test_unknown_values_are_ignored_on_request(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", values=(0, 1, 2, 9)), {"unknown_values": "ignore"})
    assert report.dataset is not None
    assert any("value 9 has no class" in line for line in report.dataset.assumptions)
    with CacheReader(tmp_path / "cache") as reader:
        assert 255 in reader.masks([0])


def test_unpaired_files_are_left_out_while_half_of_the_files_pair_up(tmp_path: Path) -> None:
    # 2 pairs and 4 lonely images: 4 of 8 files
    path = write_dataset(tmp_path / "data.zip", count=6, without=[f"masks/scene_{i:03}.png" for i in range(4)])
    report = check(path)
    assert report.dataset is not None, report.issues
    assert report.dataset.pairs == 2
    path = write_dataset(tmp_path / "data.zip", count=7, without=[f"masks/scene_{i:03}.png" for i in range(5)])
    assert check(path).dataset is None


@pytest.mark.parametrize(("layout", "sides"), [("plain", (7, 2, 0)), ("wrapped", (7, 2, 0)), ("outside", (6, 3, 0)),
                                               ("inside", (6, 3, 0)), ("with_test", (3, 3, 3))])  # fmt: skip
def test_given_split_is_kept_and_a_missing_one_made(layout: str, sides: tuple[int, int, int], tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", count=9, layout=layout))
    assert report.dataset is not None, report.issues
    assert (report.dataset.train, report.dataset.val, report.dataset.test) == sides
    assert report.dataset.split == ("made" if sides == (7, 2, 0) else "given")


def test_request_in_the_zip_yields_to_the_sidecar_key_by_key(tmp_path: Path) -> None:
    embedded = {"segdrop.json": json.dumps({"level": 1, "seed": 5}).encode()}
    report = check(write_dataset(tmp_path / "data.zip", extra=embedded), {"level": 2})
    assert report.request is not None
    assert (report.request.level, report.request.seed, report.request.image_size) == (2, 5, (32, 32))


def test_request_and_labels_beside_a_wrapper_folder_are_found(tmp_path: Path) -> None:
    content = members(layout="wrapped", labels=None)
    content |= {"segdrop.json": b'{"seed": 7}', "labels.txt": b"cat\ndog\n", "README.md": b"hello"}
    report = check(write_zip(tmp_path / "data.zip", content))
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["background", "cat", "dog"]
    assert report.request is not None
    assert report.request.seed == 7


def test_weights_that_are_not_there_are_a_fault(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data.zip")
    for name in ("mine.pth", "../data.zip"):
        assert [issue.code for issue in faults(check(path, {"pretrained": name}))] == ["request.weights_not_found"]
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "mine.pth").write_bytes(b"x")
    assert check(path, {"pretrained": "mine.pth"}).dataset is not None


def test_more_pixels_than_allowed_are_refused_without_decoding(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip"), max_image_pixels=100)
    assert {issue.code for issue in faults(report)} == {"image.too_large"}


@pytest.mark.parametrize(
    "caps",
    [{"max_archive_bytes": 100}, {"max_entries": 3}, {"max_member_bytes": 50}, {"max_extracted_bytes": 500}],
)
def test_caps_of_the_archive_are_enforced(caps: dict[str, int], tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip"), **caps)
    assert "archive.too_large" in [issue.code for issue in faults(report)]


def test_max_images_takes_that_many_pairs_and_keeps_both_given_sides(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", count=30, layout="outside"), {"max_images": 2})
    assert report.dataset is not None
    assert (report.dataset.train, report.dataset.val) == (1, 1)


def test_class_without_a_pixel_stays_and_is_noted(tmp_path: Path) -> None:
    report = check(write_dataset(tmp_path / "data.zip", labels=["background", "cat", "dog", "emu"]))
    assert report.dataset is not None
    assert report.dataset.classes[-1] == "emu"
    assert report.dataset.class_pixels[-1] == 0
    assert "classes.absent" in [issue.code for issue in report.issues]


def test_side_without_a_labelled_pixel_is_a_fault(tmp_path: Path) -> None:
    content = members(layout="outside")
    blank = encoded(mask_image(np.full((24, 32), 255)))
    content |= {name: blank for name in content if name.startswith("val/masks/")}
    report = check(write_zip(tmp_path / "data.zip", content))
    assert [issue.code for issue in faults(report)] == ["mask.all_ignored"]


def test_check_without_a_cache_says_the_same(tmp_path: Path) -> None:
    path = write_dataset(tmp_path / "data.zip")
    with_cache, without = check(path), check(path, cache=False)
    assert with_cache.dataset == without.dataset


def test_same_pixels_and_split_in_whatever_order_the_zip_has_them(tmp_path: Path) -> None:
    content = members(count=12)
    reports, caches = [], []
    for number, order in enumerate((content, dict(reversed(content.items())))):
        folder = tmp_path / str(number)
        folder.mkdir()
        reports.append(check(write_zip(folder / "data.zip", order)).dataset)
        with CacheReader(folder / "cache") as reader:
            caches.append((reader.index, reader.images(range(12)).tobytes(), reader.masks(range(12)).tobytes()))
    assert reports[0] == reports[1]
    assert caches[0] == caches[1]
