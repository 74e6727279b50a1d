"""Regions are exact, their outlines nearly so by both rules of drawing, and both cost what the borders cost."""

import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image, ImageDraw
from pycocotools import mask as coco_masks

from builders.prelabels import blobs, ious, scenes
from segdrop.inference.outputs import run_lengths
from segdrop.inference.outputs.regions import Region, find_regions

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

EVERY_CLASS = range(10)
Drawn = Callable[[np.ndarray, tuple[int, ...]], np.ndarray]
SMALL = arrays.arrays(
    np.uint16, st.tuples(st.integers(1, 14), st.integers(1, 14)), elements=st.integers(0, 3), fill=st.integers(0, 1)
)


def regions(ids: np.ndarray, annotated: range = EVERY_CLASS, **more: int) -> list[Region]:
    return find_regions(ids.astype(np.uint16), np.full(ids.shape, 51, np.uint8), annotated, **more)


def covered(region: Region, size: tuple[int, ...]) -> np.ndarray:
    found = np.zeros(size, bool)
    found[region.top : region.top + region.height, region.left : region.left + region.width] = region.mask()
    return found


def by_centre(outline: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    return coco_masks.decode(coco_masks.frPyObjects([outline.reshape(-1).tolist()], *size))[..., 0].astype(bool)


def by_touch(outline: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    canvas = Image.new("L", size[::-1])
    ImageDraw.Draw(canvas).polygon(outline.reshape(-1).tolist(), fill=1, outline=1)
    return np.asarray(canvas) > 0


def test_pixels_connected_over_sides_are_a_region_and_over_corners_are_not() -> None:
    ids = np.array([[1, 0, 1, 1], [0, 1, 0, 1], [1, 1, 1, 0]])
    found = sorted((region.class_id, region.num_pixels) for region in regions(ids))
    assert found == [(0, 1), (0, 1), (0, 1), (0, 1), (1, 1), (1, 3), (1, 4)]


@settings(max_examples=60, deadline=None)
@given(SMALL)
def test_masks_of_regions_are_the_image(ids: np.ndarray) -> None:
    found = np.full(ids.shape, 99)
    for region in regions(ids):
        pixels = covered(region, ids.shape)
        assert (found[pixels] == 99).all()
        assert pixels.sum() == region.num_pixels
        found[pixels] = region.class_id
    assert np.array_equal(found, ids)


@settings(max_examples=60, deadline=None)
@given(SMALL)
def test_outlines_of_small_regions_are_exact_by_both_rules(ids: np.ndarray) -> None:
    for region in regions(ids):
        for drawn in (by_centre, by_touch):
            assert np.array_equal(drawn(region.cut_outline(), ids.shape), covered(region, ids.shape))


@settings(max_examples=60, deadline=None)
@given(SMALL)
def test_painting_outlines_in_order_fills_every_hole_in_which_no_background_shows(ids: np.ndarray) -> None:
    found = np.zeros(ids.shape)
    for region in regions(ids, range(1, 10)):
        outline = region.cut_outline() if region.shows_background else region.outline
        found[by_touch(outline, ids.shape)] = region.class_id
    assert np.array_equal(found, ids)


@pytest.mark.parametrize("drawn", [by_centre, by_touch])
@pytest.mark.parametrize("seed", range(4))
def test_large_regions_have_fewer_points_and_nearly_the_same_pixels(drawn: Drawn, seed: int) -> None:
    ids = blobs(seed, (180, 260), cell=60)
    found = np.full(ids.shape, 99)
    num_points = 0
    for region in regions(ids):
        outline = region.cut_outline()
        num_points += len(outline)
        found[drawn(outline, ids.shape)] = region.class_id
    assert min(ious(found, ids).values()) >= 0.995
    steps = sum(int((a[1:] != a[:-1]).sum()) for a in (ids, ids.T))  # sides of pixels between classes
    assert num_points < 0.8 * steps


def test_circle_has_far_fewer_points_than_steps() -> None:
    rows, columns = np.mgrid[:300, :300]
    ids = ((rows - 150.3) ** 2 + (columns - 149.6) ** 2 < 100**2).astype(np.uint16)
    (circle,) = regions(ids, range(1, 2))
    assert len(circle.outline) < 120  # of 468 corners
    assert ious(by_centre(circle.outline, ids.shape), ids)[1] > 0.996


def test_rectangle_has_four_points_at_its_corners() -> None:
    ids = np.zeros((50, 90), np.uint16)
    ids[10:40, 20:80] = 1
    (region,) = regions(ids, range(1, 2))
    assert sorted(map(tuple, region.outline.round().tolist())) == [(20, 10), (20, 40), (80, 10), (80, 40)]
    assert (region.left, region.top, region.width, region.height) == (20, 10, 60, 30)
    assert region.confidence == 0.2


@pytest.mark.parametrize("most", [0, 3])
def test_many_small_regions_are_united_by_class_and_lose_no_pixel(most: int) -> None:
    for ids in scenes().values():
        found = regions(ids, most_regions=most)
        united = [region for region in found if region.is_united]
        assert len(found) - len(united) <= most
        assert len({region.class_id for region in united}) == len(united)
        image = np.full(ids.shape, 99)
        for region in found:
            image[covered(region, ids.shape)] = region.class_id
        assert np.array_equal(image, ids)


def test_noise_without_end_is_not_outlined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segdrop.inference.outputs.regions.MOST_RUNS", 100)
    ids = np.random.default_rng(0).integers(0, 3, (40, 50))
    found = regions(ids, range(1, 3))
    assert [(region.class_id, region.is_united) for region in found] == [(1, True), (2, True)]
    assert all(np.array_equal(covered(region, ids.shape), ids == region.class_id) for region in found)


def test_time_grows_with_the_number_of_borders_and_not_faster() -> None:
    """Four times the noise is four times the work, give or take what else the machine does."""

    def seconds(side: int) -> float:
        ids = np.zeros((side, side), np.uint16)
        ids[np.random.default_rng(0).random(ids.shape) < 0.05] = 1
        begin = time.process_time()
        regions(ids, range(1, 2))
        return time.process_time() - begin

    seconds(64)
    assert seconds(640) < 12 * min(seconds(320) for _ in range(2))


@settings(max_examples=60, deadline=None)
@given(arrays.arrays(np.bool_, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_run_lengths_are_those_of_pycocotools(mask: np.ndarray) -> None:
    theirs = coco_masks.encode(np.asfortranarray(mask.astype(np.uint8)))
    ours = run_lengths.lengths(np.flatnonzero(mask.T), mask.size)
    assert run_lengths.packed(ours) == theirs["counts"].decode()


def test_long_run_lengths_are_packed_as_by_pycocotools() -> None:
    mask = np.zeros((3000, 2000), np.uint8)
    mask[100:2900, 7:1500], mask[5, 1990:] = 1, 1
    theirs = coco_masks.encode(np.asfortranarray(mask))
    assert run_lengths.packed(run_lengths.lengths(np.flatnonzero(mask.T), mask.size)) == theirs["counts"].decode()
