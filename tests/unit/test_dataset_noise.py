"""Traces of JPEG and smoothing in lossless masks, and exact values near to each other that are none."""

from pathlib import Path

import numpy as np
import pytest

from builders.archives import encoded
from builders.value_masks import SIDE, areas, coloured, jpeg_and_back, mask_codes, read_masks, said


def big(number: int, kinds: int) -> np.ndarray:
    """Areas as large as those of photographs are beside the 8x8 blocks of a JPEG."""
    ids = np.zeros((SIDE, SIDE), np.uint8)
    for kind in range(1, kinds):
        ids[6 + number % 5 : 58, 26 * (kind - 1) + 6 : 26 * (kind - 1) + 26] = kind
    return ids


def noisy(ids: np.ndarray, levels: list[int], width: int, seed: int) -> bytes:
    """Values that stray by up to ``width`` beside the edges of areas."""
    rng = np.random.default_rng(seed)
    pixels = np.asarray(levels, np.int16)[ids]
    edge = np.zeros(ids.shape, np.bool_)
    edge[1:] |= ids[1:] != ids[:-1]
    edge[:, 1:] |= ids[:, 1:] != ids[:, :-1]
    stray = rng.integers(-width, width + 1, ids.shape)
    return encoded(np.where(edge, pixels + stray, pixels).clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("quality", [60, 80, 92])
@pytest.mark.parametrize("labels", [None, b"tumour\n", b"background\ntumour\n"])
def test_black_and_white_masks_that_were_jpeg_are_brought_back(
    quality: int, labels: bytes | None, tmp_path: Path
) -> None:
    truth = [big(number, 2) for number in range(10)]
    masks = [jpeg_and_back(mask * np.uint8(255), quality) for mask in truth]
    report, ids = read_masks(masks, tmp_path, extra={"labels.txt": labels} if labels else {})
    assert report.dataset is not None, report.issues
    assert report.dataset.num_classes == 2
    assert mask_codes(report) == {"mask.snapped"}
    certain = ids != 255
    assert certain.mean() > 0.97
    assert np.array_equal(ids[certain], np.stack(truth)[certain])


@pytest.mark.parametrize(
    ("levels", "width"), [([0, 255], 1), ([0, 255], 2), ([0, 255], 8), ([0, 127, 254], 2), ([0, 128, 255], 9)]
)
def test_noise_around_levels_is_brought_back(levels: list[int], width: int, tmp_path: Path) -> None:
    truth = [big(number, len(levels)) for number in range(10)]
    report, ids = read_masks([noisy(mask, levels, width, n) for n, mask in enumerate(truth)], tmp_path)
    assert report.dataset is not None, report.issues
    assert report.dataset.num_classes == len(levels)
    assert mask_codes(report) == {"mask.snapped"}
    assert np.array_equal(ids, np.stack(truth))


def test_noise_is_refused_as_such_where_the_names_do_not_fit(tmp_path: Path) -> None:
    masks = [jpeg_and_back(big(number, 2) * np.uint8(255), 85) for number in range(10)]
    report, _ = read_masks(masks, tmp_path, extra={"labels.txt": b"a\nb\nc\nd\n"})
    assert report.dataset is None
    assert mask_codes(report) == {"mask.lossy"}
    assert "JPEG" in said(report)
    assert "`ignore`" not in said(report)


@pytest.mark.parametrize("values", [range(12), [0, 1, 2, 3, 4, 5, 6, 7, 8, 40, 41, 42], [*range(10), 254, 255]])
def test_exact_values_near_to_each_other_are_classes(values: range | list[int], tmp_path: Path) -> None:
    table = np.asarray(values, np.uint8)
    truth = [areas(number, len(table)) for number in range(10)]
    report, ids = read_masks([encoded(table[mask]) for mask in truth], tmp_path, {"ignore_index": None})
    assert report.dataset is not None, report.issues
    assert report.dataset.num_classes == len(table)
    assert np.array_equal(ids, np.stack(truth))


def test_exact_colours_near_to_each_other_are_classes(tmp_path: Path) -> None:
    colours = [(20, 30 + 3 * kind, 200 - 2 * kind) for kind in range(12)] + [(250, 10, 10)]
    truth = [areas(number, 13) for number in range(10)]
    report, _ = read_masks([encoded(coloured(mask, colours)) for mask in truth], tmp_path)
    assert report.dataset is not None
    assert report.dataset.num_classes == 13
    assert "mask.snapped" not in mask_codes(report)


def test_numbers_in_one_channel_that_are_near_to_each_other_are_classes(tmp_path: Path) -> None:
    numbers = [0, 1, 2, 3, 5, 6, 11, 12, 13, 30]
    truth = [areas(number, len(numbers)) for number in range(10)]
    masks = [encoded(coloured(mask, [(0, value, 0) for value in numbers])) for mask in truth]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert report.dataset.mask_values == numbers
    assert np.array_equal(ids, np.stack(truth))


def test_numbers_in_one_channel_are_not_taken_for_a_legends_black(tmp_path: Path) -> None:
    truth = [areas(number, 4) for number in range(10)]
    legend = {"labels.txt": b"ground 0 0 0\nroof 240 130 20\nwater 10 150 140\ntree 9 9 90\n"}
    report, ids = read_masks([encoded(coloured(m, [(k, 0, 0) for k in range(4)])) for m in truth], tmp_path, {}, legend)
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["ground", "roof", "water", "tree"]
    assert np.array_equal(ids, np.stack(truth))
