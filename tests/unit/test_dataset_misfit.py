"""Masks that do not lie on the edges of their images: found where they are turned, moved or of another, only there."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders import check
from builders.fitting import SIDE, dataset, of_the_next, scenes
from segdrop.codes import Code
from segdrop.dataset import misfit
from segdrop.dataset.masks import edges
from segdrop.dataset.masks.image_reading import GLANCE_SIDE
from segdrop.dataset.misfit import Laying, Turn
from segdrop.dataset.report import CheckReport

UNDONE = {Turn.LEFT: Turn.RIGHT, Turn.RIGHT: Turn.LEFT}


def warned(report: CheckReport) -> list[str]:
    assert report.dataset is not None, report.issues
    return [issue.message for issue in report.issues if issue.code is Code.MASK_MISFIT]


@pytest.mark.parametrize("turn", [turn for turn in Turn if turn is not Turn.NONE])
def test_turned_masks_are_seen_and_said_to_be_turned(tmp_path: Path, turn: Turn) -> None:
    pairs = [(image, misfit.laid(mask, Laying(turn), 0)) for image, mask in scenes(20)]
    (message,) = warned(check(dataset(tmp_path, pairs)))
    assert message.endswith(f"if each mask is {UNDONE.get(turn, turn).value}")


def test_message_counts_the_pairs_whose_borders_lie_on_edges(tmp_path: Path) -> None:
    pairs = [(image, mask[::-1]) for image, mask in scenes(20)]
    report = check(dataset(tmp_path, pairs))
    (issue,) = [issue for issue in report.issues if issue.code is Code.MASK_MISFIT]
    assert "in 0 of 20 pairs that were compared, and in 20 if" in issue.message
    assert "turn the masks" in issue.fix
    assert "--samples" in issue.fix


def test_masks_of_the_next_image_are_seen(tmp_path: Path) -> None:
    (message,) = warned(check(dataset(tmp_path, of_the_next(scenes(20)))))
    assert "taken from the previous image" in message


def test_masks_of_the_next_image_are_seen_where_a_part_of_the_pairs_is_compared(tmp_path: Path) -> None:
    (message,) = warned(check(dataset(tmp_path, of_the_next(scenes(150)))))
    assert "taken from the previous image" in message


@pytest.mark.parametrize(
    ("move", "words"), [((0, 12), "9 % to the left"), ((-16, 0), "12 % down"), ((8, -8), "6 % up and 6 % to the right")]
)
def test_moved_masks_are_seen(tmp_path: Path, move: tuple[int, int], words: str) -> None:
    pairs = [(image, misfit.laid(mask, Laying(move=move), 0)) for image, mask in scenes(30)]
    (message,) = warned(check(dataset(tmp_path, pairs)))
    assert message.endswith(f"moved by {words}")


def test_masks_that_fit_are_not_doubted(tmp_path: Path) -> None:
    assert not warned(check(dataset(tmp_path, scenes(30))))


def test_few_pairs_are_no_ground_for_doubt(tmp_path: Path) -> None:
    assert not warned(check(dataset(tmp_path, [(image, mask[::-1]) for image, mask in scenes(5)])))


def noise(rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 256, (SIDE, SIDE, 3)).astype(np.uint8)


def smooth(rng: np.random.Generator) -> np.ndarray:
    small = Image.fromarray(rng.integers(0, 256, (5, 5, 3)).astype(np.uint8))
    return np.asarray(small.resize((SIDE, SIDE), Image.Resampling.BILINEAR))


def plain(rng: np.random.Generator) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), rng.integers(256), np.uint8)


def framed(rng: np.random.Generator) -> np.ndarray:
    """A picture of its own in a frame that all share, which has stronger edges than any picture."""
    image = smooth(rng) // 4 + 90
    image[:12] = image[:, :6] = 255
    return image


@pytest.mark.parametrize("kind", [noise, smooth, plain, framed])
def test_images_without_edges_at_the_borders_are_no_ground_for_doubt(
    tmp_path: Path, kind: Callable[[np.random.Generator], np.ndarray]
) -> None:
    pairs = [(kind(np.random.default_rng(number)), mask) for number, (_, mask) in enumerate(scenes(40))]
    assert not warned(check(dataset(tmp_path, pairs)))


def test_a_camera_that_stands_still_is_no_ground_for_doubt(tmp_path: Path) -> None:
    (place, areas), *_ = scenes(1)
    rng = np.random.default_rng(5)
    pairs = [(np.clip(place + rng.integers(-9, 9, place.shape), 0, 255).astype(np.uint8), areas) for _ in range(20)]
    assert not warned(check(dataset(tmp_path, pairs)))


def test_contrast_and_exposure_do_not_matter() -> None:
    view = scenes(1)[0][0].repeat(2, axis=0).repeat(2, axis=1)
    dark = (view // 8 * 2).astype(np.uint8)
    bright = (view // 8 * 6 + 20).astype(np.uint8)
    assert np.array_equal(edges._ranks(dark), edges._ranks(bright))


def test_masks_without_borders_are_left_out() -> None:
    view = np.zeros((GLANCE_SIDE, GLANCE_SIDE, 3), np.uint8)
    assert edges.measured(0, view, np.zeros((30, 40), np.uint8), (40, 30)) is None


@pytest.mark.parametrize("count", [2, 8, 39, 40, 41, 42, 100, 12_345])
def test_pairs_that_are_compared_are_spread_evenly_and_few(count: int) -> None:
    positions = misfit.looked_at(count)
    assert len(positions) == min(count, misfit.MOST_PAIRS)
    assert len(set(positions)) == len(positions)
    assert positions[0] == 0
    assert positions[-1] == count - 1
    assert max(b - a for a, b in itertools.pairwise(positions)) <= max(1, -(-count // 19))


def test_values_that_are_laid_back_are_those_that_were() -> None:
    values = np.arange(12).reshape(3, 4)
    for turn in Turn:
        there = misfit.laid(values, Laying(turn), -1)
        assert np.array_equal(misfit.laid(there, Laying(UNDONE.get(turn, turn)), -1), values)
    moved = misfit.laid(np.arange(16).reshape(4, 4), Laying(move=(GLANCE_SIDE // 4, -GLANCE_SIDE // 4)), -1)
    assert moved.tolist() == [[-1] * 4, [1, 2, 3, -1], [5, 6, 7, -1], [9, 10, 11, -1]]
