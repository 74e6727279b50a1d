"""Windows cover an image, overlap, and share each pixel among them without a seam."""

import numpy as np
import pytest

from segdrop.inference.tiling import LARGEST_WHOLE_SIDE, Axis, Plan, plan
from segdrop.request import ImageSize

LENGTHS = (1, 63, 64, 65, 90, 127, 128, 129, 200, 511, 1000, 1023)


def axes(length: int) -> list[Axis]:
    return [plan(length, length, 64, None, multiple).rows for multiple in (1, 8, 16, 32)] + [
        plan(length, length, 64, ImageSize(32, 32), 1).rows
    ]


@pytest.mark.parametrize("length", LENGTHS)
def test_each_pixel_is_decided_once_with_weights_that_add_up_to_one(length: int) -> None:
    for axis in axes(length):
        said = np.zeros(length)
        for window in range(len(axis.starts)):
            for stretch in axis.stretches(window):
                assert {share.window for share in stretch.shares} <= {window - 1, window}
                for share in stretch.shares:
                    first = axis.starts[share.window]
                    assert first <= stretch.begin < stretch.end <= first + axis.side
                    said[stretch.begin : stretch.end] += 1 if share.weights is None else share.weights
        np.testing.assert_allclose(said, 1, rtol=1e-6)


@pytest.mark.parametrize("length", LENGTHS)
def test_windows_cover_the_image_with_overlaps_of_a_quarter_and_begin_on_the_models_grid(length: int) -> None:
    for multiple, axis in zip((1, 8, 16), axes(length), strict=False):
        assert axis.starts[0] == 0
        assert length <= axis.starts[-1] + axis.side < length + multiple
        assert all(start % multiple == 0 for start in axis.starts)
        steps = np.diff(axis.starts)
        assert np.all(steps > 0)
        assert np.all(axis.side - steps >= axis.side / 4)


def test_a_window_fades_over_an_eighth_of_its_side_and_not_at_its_own_end() -> None:
    axis = plan(100, 100, 64, None, 1).rows
    fade = axis.fade(1)
    assert (axis.starts, fade.end - fade.begin) == ((0, 36), 8)
    assert fade.begin > axis.starts[1]
    assert fade.end < axis.starts[0] + axis.side


def sides(planned: Plan) -> tuple[int, int]:
    return len(planned.rows.starts), len(planned.columns.starts)


@pytest.mark.parametrize("tile", ["auto", None])
def test_a_model_of_one_size_sees_the_whole_image_as_in_training(tile: str | None) -> None:
    planned = plan(3000, 4000, tile, ImageSize(256, 256), 16)
    assert sides(planned) == (1, 1)
    assert planned.input_size == (256, 256)


def test_a_model_of_any_size_sees_tiles_of_a_large_image_alone() -> None:
    assert sides(plan(LARGEST_WHOLE_SIDE, LARGEST_WHOLE_SIDE, "auto", None, 32)) == (1, 1)
    planned = plan(600, LARGEST_WHOLE_SIDE + 1, "auto", None, 32)
    assert sides(planned) == (1, 2)
    assert planned.input_size == (608, LARGEST_WHOLE_SIDE)


def test_no_image_is_tiled_where_the_request_says_never() -> None:
    planned = plan(3000, 4001, None, None, 32)
    assert sides(planned) == (1, 1)
    assert planned.input_size == (3008, 4032)


def test_tiles_of_a_model_of_one_size_have_its_shape() -> None:
    planned = plan(2000, 2000, 512, ImageSize(128, 256), 16)
    assert (planned.rows.side, planned.columns.side) == (256, 512)
    assert planned.input_size == (128, 256)


def test_an_image_within_one_tile_is_seen_as_in_training() -> None:
    planned = plan(100, 200, 512, ImageSize(256, 256), 16)
    assert (planned.rows.side, planned.columns.side) == (100, 200)


def test_windows_beyond_the_image_show_its_mirror_image() -> None:
    image = np.arange(3 * 5 * 3, dtype=np.uint8).reshape(3, 5, 3)
    (window,) = plan(3, 5, "auto", None, 4).windows(image)
    assert window.shape == (4, 8, 3)
    np.testing.assert_array_equal(window[:3, :5], image)
    np.testing.assert_array_equal(window[3, :5], image[1])
    np.testing.assert_array_equal(window[:3, 5:], image[:, 3:0:-1])


def test_the_smallest_image_fills_a_window() -> None:
    (window,) = plan(1, 1, "auto", None, 32).windows(np.full((1, 1, 3), 7, np.uint8))
    np.testing.assert_array_equal(window, np.full((32, 32, 3), 7))
