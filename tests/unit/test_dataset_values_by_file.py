"""Values that mean one thing in one mask and another in all masks together."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.archives import encoded
from builders.value_masks import areas, coloured, mask_codes, read_masks, said


def binary(number: int, value: int) -> bytes:
    return encoded(areas(number, 2) * np.uint8(value))


@pytest.mark.parametrize("seconds", [(1, 255), (128, 255), (1, 254, 255)])
@pytest.mark.parametrize("labels", [None, b"lesion\n", b"background\nlesion\n"])
def test_masks_of_two_values_are_read_each_by_its_own(
    seconds: tuple[int, ...], labels: bytes | None, tmp_path: Path
) -> None:
    masks = [binary(number, seconds[number % len(seconds)]) for number in range(12)]
    report, ids = read_masks(masks, tmp_path, extra={"labels.txt": labels} if labels else None)
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack([areas(number, 2) for number in range(12)]))
    assert mask_codes(report) == {"mask.mixed_scales"}


@pytest.mark.parametrize("labels", [None, b"background\nroad\nroof\n"])
def test_masks_of_stretched_greys_are_the_same_classes(labels: bytes | None, tmp_path: Path) -> None:
    truth = [areas(number, 3) for number in range(10)]
    masks = [encoded(mask * np.uint8((1, 120)[number % 2])) for number, mask in enumerate(truth)]
    report, ids = read_masks(masks, tmp_path, extra={"labels.txt": labels} if labels else None)
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack(truth))
    assert mask_codes(report) == {"mask.mixed_scales"}


def test_bits_and_bytes_are_read_alike(tmp_path: Path) -> None:
    masks = [
        encoded(Image.fromarray(areas(number, 2) > 0)) if number % 2 else binary(number, 255) for number in range(10)
    ]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert np.array_equal(ids, np.stack([areas(number, 2) for number in range(10)]))


def test_values_in_one_mask_together_are_no_two_scales(tmp_path: Path) -> None:
    table = np.asarray([0, 1, 255], np.uint8)
    report, ids = read_masks([encoded(table[areas(number, 3)]) for number in range(10)], tmp_path)
    assert report.dataset is not None
    assert report.dataset.ignore_index == 255
    assert mask_codes(report) == set()
    assert set(np.unique(ids)) == {0, 1, 255}


def test_the_request_decides_between_two_scales_and_an_ignored_value(tmp_path: Path) -> None:
    masks = [binary(number, (1, 255)[number % 2]) for number in range(10)]
    report, ids = read_masks(masks, tmp_path, {"ignore_index": 255})
    assert report.dataset is not None
    assert (ids == 255).any()
    assert "mask.mixed_scales" not in mask_codes(report)


def test_one_class_an_image_is_not_taken_for_two_scales(tmp_path: Path) -> None:
    report, _ = read_masks([binary(number, 1 + number % 3) for number in range(12)], tmp_path)
    assert report.dataset is not None
    assert report.dataset.num_classes == 4
    assert mask_codes(report) == set()


@pytest.mark.parametrize("top", [1, 255])
def test_a_stray_pixel_does_not_change_what_the_others_mean(top: int, tmp_path: Path) -> None:
    truth = [areas(number, 2) * np.uint8(top) for number in range(24)]
    truth[5][40, 40] = 9
    report, ids = read_masks([encoded(mask) for mask in truth], tmp_path)
    assert report.dataset is not None
    assert report.dataset.classes == ["background", "foreground"]
    assert mask_codes(report) == {"mask.stray_values"}
    assert "9 (1 pixels in 1 masks)" in said(report)
    assert (ids == 255).sum() == 1
    assert (ids == 1).sum() == sum((mask == top).sum() for mask in truth)


def test_a_stray_pixel_among_few_masks_does_not_make_255_ignored(tmp_path: Path) -> None:
    truth = [areas(number, 2) * np.uint8(255) for number in range(6)]
    truth[2][50, 50] = 5
    report, ids = read_masks([encoded(mask) for mask in truth], tmp_path)
    assert report.dataset is not None
    assert (ids == 1).sum() == sum((mask == 255).sum() for mask in truth)
    assert mask_codes(report) == {"mask.stray_values"}


def test_an_ignored_value_that_is_far_more_than_the_object_is_doubted(tmp_path: Path) -> None:
    truth = [areas(number, 2) * np.uint8(255) for number in range(10)]
    for mask in truth:
        mask[50, 50:53] = 5
    report, _ = read_masks([encoded(mask) for mask in truth], tmp_path)
    assert "mask.mostly_ignored" in mask_codes(report)


def test_a_rare_class_that_has_a_name_is_not_stray(tmp_path: Path) -> None:
    truth = [areas(number, 2) for number in range(24)]
    truth[5][40, 40] = 2
    labels = {"labels.txt": b"background\ncar\nbird\n"}
    report, ids = read_masks([encoded(mask) for mask in truth], tmp_path, extra=labels)
    assert report.dataset is not None
    assert report.dataset.num_classes == 3
    assert (ids == 2).sum() == 1
    assert mask_codes(report) == set()


@pytest.mark.parametrize("most", [4, 7, 14])
@pytest.mark.parametrize("labels", [None, b"cell\n"])
def test_numbers_of_objects_are_one_class(most: int, labels: bytes | None, tmp_path: Path) -> None:
    truth = [areas(number, 2 + number % most) for number in range(16)]
    report, ids = read_masks(
        [encoded(mask) for mask in truth], tmp_path, extra={"labels.txt": labels} if labels else {}
    )
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack(truth).clip(0, 1))
    assert "instance" in said(report)


def test_numbers_that_no_other_mask_has_are_objects(tmp_path: Path) -> None:
    truth = [np.where(areas(n, 4) > 0, areas(n, 4).astype(np.uint16) + 10 * n, 0) for n in range(10)]
    report, ids = read_masks([encoded(mask.astype(np.uint16)) for mask in truth], tmp_path)
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, (np.stack(truth) > 0).astype(np.uint8))
    assert "mask.instance_ids" in mask_codes(report)


def test_more_objects_than_there_can_be_classes_are_one_class(tmp_path: Path) -> None:
    truth = []
    for number in range(8):
        mask = np.zeros((64, 64), np.uint16)
        cells = np.arange(1, 290 + number).reshape(-1)
        rows, columns = np.divmod(cells - 1, 21)
        for row, column, cell in zip(rows, columns, cells, strict=True):
            mask[3 * row + 1 : 3 * row + 3, 3 * column + 1 : 3 * column + 3] = cell
        truth.append(mask)
    report, ids = read_masks([encoded(mask) for mask in truth], tmp_path)
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["background", "foreground"]
    assert np.array_equal(ids, np.stack(truth).clip(0, 1).astype(np.uint8))
    assert mask_codes(report) == {"mask.instance_ids"}


def test_objects_in_colours_of_their_own_are_one_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    truth = [areas(number, 4) for number in range(8)]
    masks = [encoded(np.concatenate([[[0, 0, 0]], rng.integers(70, 255, (3, 3))]).astype(np.uint8)[m]) for m in truth]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack(truth).clip(0, 1))
    assert "mask.instance_ids" in mask_codes(report)


def test_many_values_without_a_name_are_never_to_be_ignored(tmp_path: Path) -> None:
    masks = [encoded(areas(number, 12)) for number in range(6)]
    report, _ = read_masks(masks, tmp_path, extra={"labels.txt": b"background\ncar\nbus\n"})
    assert mask_codes(report) == {"mask.unknown_value"}
    assert "instance ids" in said(report)
    assert "`ignore`" not in said(report)


def test_few_numbers_of_objects_are_a_doubt(tmp_path: Path) -> None:
    report, _ = read_masks([encoded(areas(number, 2 + number % 3)) for number in range(12)], tmp_path)
    assert report.dataset is not None
    assert report.dataset.num_classes == 4
    assert '"class_map": {"class_1": "object", "class_2": "object", "class_3": "object"}' in said(report)


def test_the_request_decides_between_objects_and_classes(tmp_path: Path) -> None:
    masks = [encoded(areas(number, 2 + number % 5)) for number in range(15)]
    classes = {str(value): f"c{value}" for value in range(6)}
    report, ids = read_masks(masks, tmp_path, {"classes": classes})
    assert report.dataset is not None
    assert report.dataset.num_classes == 6
    assert mask_codes(report) == set()
    assert set(np.unique(ids)) == set(range(6))


def test_classes_that_come_and_go_are_no_objects(tmp_path: Path) -> None:
    kinds = [{1, 2}, {2, 3}, {1, 3, 4}, {4}, {1, 2, 3, 4}, {5, 1}]
    masks = []
    for number in range(18):
        mask = areas(number, 6)
        mask[~np.isin(mask, list(kinds[number % 6]))] = 0
        masks.append(encoded(mask))
    report, _ = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert report.dataset.num_classes == 6
    assert mask_codes(report) == set()


@pytest.mark.parametrize("channel", [0, 1, 2])
@pytest.mark.parametrize("numbers", [(0, 1, 2), (0, 4, 5, 23), (0, 1)])
def test_numbers_in_one_channel_are_the_classes(channel: int, numbers: tuple[int, ...], tmp_path: Path) -> None:
    colours = np.zeros((len(numbers), 3), np.uint8)
    colours[:, channel] = numbers
    truth = [areas(number, len(numbers)) for number in range(12)]
    report, ids = read_masks([encoded(coloured(mask, colours)) for mask in truth], tmp_path)
    assert report.dataset is not None, report.issues
    assert report.dataset.mask_values == list(numbers)
    assert np.array_equal(ids, np.stack(truth))
    assert f"the {('red', 'green', 'blue')[channel]} channel" in said(report)


def test_names_in_order_go_with_numbers_in_one_channel(tmp_path: Path) -> None:
    colours = [(value, 0, 0) for value in (0, 1, 2, 3)]
    truth = [areas(number, 4) for number in range(12)]
    names = b"Unlabeled\nRoad\nSign\nBus\n"
    masks = [encoded(coloured(mask, colours)) for mask in truth]
    report, ids = read_masks(masks, tmp_path, {"labels_include_background": True}, {"labels.txt": names})
    assert report.dataset is not None
    assert report.dataset.classes == ["Road", "Sign", "Bus"]
    assert np.array_equal(ids, np.stack(truth).astype(np.int16) - 1 & 0xFF)


@pytest.mark.parametrize("colours", [[(0, 0, 0), (128, 0, 0), (192, 0, 0)], [(0, 0, 0), (255, 0, 0)]])
def test_shades_of_red_that_people_choose_are_colours(colours: list[tuple[int, int, int]], tmp_path: Path) -> None:
    truth = [areas(number, len(colours)) for number in range(10)]
    report, _ = read_masks([encoded(coloured(mask, colours)) for mask in truth], tmp_path)
    assert report.dataset is not None
    assert report.dataset.mask_encoding == "colour"


def test_an_ignored_value_that_covers_most_of_all_is_doubted(tmp_path: Path) -> None:
    table = np.asarray([255, 0, 1, 2], np.uint8)
    masks = [encoded(table[areas(number, 4)]) for number in range(10)]
    report, _ = read_masks(masks, tmp_path)
    assert "mask.mostly_ignored" in mask_codes(report)
    asked, _ = read_masks(masks, tmp_path, {"ignore_index": 255})
    assert "mask.mostly_ignored" not in mask_codes(asked)


@pytest.mark.parametrize("dtype", [np.float32, np.int32, np.uint16])
def test_whole_numbers_in_wide_types_are_read(dtype: type, tmp_path: Path) -> None:
    truth = [areas(number, 4) for number in range(10)]
    report, ids = read_masks([encoded(mask.astype(dtype), "TIFF") for mask in truth], tmp_path, extension="tif")
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack(truth))


def test_decimal_numbers_are_refused_in_words(tmp_path: Path) -> None:
    masks = [encoded(areas(number, 3) / np.float32(2), "TIFF") for number in range(10)]
    report, _ = read_masks(masks, tmp_path, extension="tif")
    assert report.dataset is None
    assert "decimal numbers" in said(report)
