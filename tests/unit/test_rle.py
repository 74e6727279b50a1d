"""Run lengths of COCO against pycocotools, the tool that defines them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools import mask as oracle

from segdrop.dataset.masks import drawing, rle
from segdrop.dataset.samples import Drawing

MASKS = st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(0, 2**32 - 1), st.floats(0, 1))


def made(height: int, width: int, seed: int, share: float) -> np.ndarray:
    return (np.random.default_rng(seed).random((height, width)) < share).astype(np.uint8)


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_packed_runs_draw_the_mask_that_pycocotools_packed(parameters: tuple[int, int, int, float]) -> None:
    mask = made(*parameters)
    packed = oracle.encode(np.asfortranarray(mask))
    runs = rle.runs(1, packed["size"], packed["counts"].decode())
    assert np.array_equal(drawing.draw(Drawing(0, (runs,)), mask.shape[::-1]), mask)
    assert rle.covered(runs) == oracle.area(packed)


def test_long_runs_and_growing_ones_survive() -> None:
    mask = np.zeros((3000, 2000), np.uint8)
    mask[17:2500, 3:1900] = 1
    mask[100:200, 50:60] = 0
    packed = oracle.encode(np.asfortranarray(mask))
    lengths = rle.unpacked(packed["counts"].decode())
    assert sum(lengths) == mask.size
    assert sum(lengths[1::2]) == mask.sum()


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools' own
def test_plain_runs_are_read_as_pycocotools_reads_them() -> None:
    plain = {"size": [4, 3], "counts": [2, 3, 4, 1, 2]}
    drawn = drawing.draw(Drawing(0, (rle.runs(1, plain["size"], plain["counts"]),)), (3, 4))
    assert np.array_equal(drawn, oracle.decode(oracle.frPyObjects(plain, 4, 3)))


@pytest.mark.parametrize(
    ("size", "counts"),
    [
        ([4, 3], [2, 3]),
        ([4, 3], [12.0]),
        ([4, 3], [-1, 13]),
        ([4, 3], [2**32]),
        ([4, 3], ["12"]),
        ([4, 3], [True, None]),
        ([4, 3], {"a": 1}),
        ([4, 3], None),
        ([4, 3], "="),
        ([4, 3], "é"),
        ([4, 3], "\ud800"),
        ([4, 3], "o"),
        ([4, 3], "ooooooooooooo0"),
        ([4, 3], "M"),
        ([4], [12]),
        ([0, 3], []),
        ([True, 12], [12]),
        ([4.0, 3], [12]),
        ("43", [12]),
        (None, [12]),
    ],
)
def test_what_is_no_run_length_code_is_refused(size: object, counts: object) -> None:
    with pytest.raises(ValueError, match="its"):
        rle.runs(1, size, counts)


@settings(max_examples=100, deadline=None)
@given(st.text(max_size=40), st.lists(st.integers(-5, 50), max_size=5))
def test_any_text_is_runs_or_refused(code: str, plain: list[int]) -> None:
    for counts in (code, plain):
        try:
            runs = rle.runs(1, [5, 4], counts)
        except ValueError:
            continue
        assert sum(runs.lengths) == 20
