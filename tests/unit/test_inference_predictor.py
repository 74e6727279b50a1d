"""Predictions have the image's size, are those of the plain computation and of predict.py, and have no seams."""

import math
from collections.abc import Iterator

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from builders.networks import TinyModel, tiny_network
from builders.segmenters import ToySegmenter, by_colour, item
from segdrop.architectures import MEAN, STD
from segdrop.codes import Code
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.errors import DataError, Issue
from segdrop.inference import decision, predictor
from segdrop.inference.prediction import Prediction
from segdrop.inference.predictor import Predictor
from segdrop.modeling.normalize import to_input
from segdrop.results.templates import predict


def predicted(segmenter: ToySegmenter, *items: Item, **options: object) -> list[Prediction]:
    return list(Predictor(segmenter, **options).predictions(items))


def assert_alike(found: Prediction, expected: Prediction) -> None:
    np.testing.assert_array_equal(found.class_ids, expected.class_ids)
    assert np.abs(found.confidence.astype(int) - expected.confidence).max() <= 1  # where rounding falls
    assert found.doubt == pytest.approx(expected.doubt, abs=1e-5)
    assert found.descriptor == pytest.approx(expected.descriptor, abs=2e-4)


@pytest.mark.parametrize("band_bytes", [1, 5000, 1 << 22])
@pytest.mark.parametrize(("height", "width"), [(13, 29), (64, 64), (200, 31), (1, 1)])
def test_bands_give_what_all_planes_at_once_give(
    monkeypatch: pytest.MonkeyPatch, band_bytes: int, height: int, width: int
) -> None:
    monkeypatch.setattr(decision, "_BAND_BYTES", band_bytes)
    segmenter = ToySegmenter(by_colour(5, stride=8), 5, input_size=(48, 64))
    given = item(height, width, is_smooth=False)
    (found,) = predicted(segmenter, given)
    scaled = np.asarray(Image.fromarray(given.image).resize((64, 48), Image.Resampling.BILINEAR))
    logits = segmenter.logits(scaled[None])
    probabilities = functional.interpolate(logits, size=(height, width), mode="bilinear")[0].softmax(0)
    highest, class_ids = probabilities.max(0)
    entropy = -(probabilities * probabilities.log()).sum(0).mean() / math.log(5)
    assert (found.class_ids.dtype, found.confidence.dtype) == (np.uint16, np.uint8)
    np.testing.assert_array_equal(found.class_ids, class_ids)
    assert np.abs(found.confidence - (highest.numpy() * 255)).max() <= 0.5 + 1e-3
    assert found.doubt == pytest.approx(float(entropy), abs=1e-5)


def test_bands_are_the_rows_of_torchs_interpolation() -> None:
    logits = torch.randn(3, 17, 9, generator=torch.Generator().manual_seed(0)) * 9
    expected = functional.interpolate(logits[None], size=(100, 50), mode="bilinear")[0]
    views = decision.Views.of([logits], 100, 50)
    for begin, end in ((0, 100), (0, 1), (41, 58), (99, 100)):
        for kept in (views, views.only(begin, end)):
            (found,) = kept.band(begin, end, slice(3, 40))
            torch.testing.assert_close(found, expected[:, begin:end, 3:40], rtol=0, atol=1e-5)
    assert views.only(41, 58).logits[0].shape[1] < 6


@pytest.fixture
def trained_network() -> TinyModel:
    torch.manual_seed(0)
    return TinyModel(tiny_network(4)).eval()


def test_class_ids_are_those_of_predict_py(trained_network: TinyModel) -> None:
    side, given = 64, item(150, 97)
    script = predict.Predictor(
        network=trained_network.network,
        classes=list("abcd"),
        image_size=(side, side),
        scale=torch.tensor([1 / (255 * deviation) for deviation in STD]),
        offset=torch.tensor([-middle / deviation for middle, deviation in zip(MEAN, STD, strict=True)]),
        bf16=False,
        deep_range=None,
        device=torch.device("cpu"),
    )
    expected = script.class_ids(Image.fromarray(given.image))
    segmenter = ToySegmenter(lambda _: None, 4, input_size=(side, side))
    segmenter.logits = lambda images: trained_network.forward_heads(to_input(images))[0]
    (found,) = predicted(segmenter, given)
    assert len(np.unique(expected)) > 1
    np.testing.assert_array_equal(found.class_ids, expected)


@pytest.mark.parametrize("tile", [64, 96, 200])
@pytest.mark.parametrize(("height", "width"), [(300, 210), (64, 300), (65, 20), (193, 193)])
def test_tiles_give_what_the_whole_image_gives_to_its_borders(tile: int, height: int, width: int) -> None:
    given = item(height, width)
    (whole,) = predicted(ToySegmenter(by_colour(6), 6, side_multiple=16), given, tile=None)
    segmenter = ToySegmenter(by_colour(6), 6, side_multiple=16)
    (tiled,) = predicted(segmenter, given, tile=tile)
    assert max(height, width) <= tile or sum(shape[0] for shape in segmenter.batches) > 1
    np.testing.assert_array_equal(tiled.class_ids, whole.class_ids)
    assert_alike(tiled, whole)


def test_tiles_of_a_model_with_a_stride_give_what_the_whole_image_gives() -> None:
    given = item(320, 256)  # whole strides: at its borders, the whole image is interpolated as a tile is
    (whole,) = predicted(ToySegmenter(by_colour(4, stride=8), 4, side_multiple=8), given, tile=None)
    (tiled,) = predicted(ToySegmenter(by_colour(4, stride=8), 4, side_multiple=8), given, tile=64)
    np.testing.assert_array_equal(tiled.class_ids, whole.class_ids)
    assert_alike(tiled, whole)


def test_tiles_of_a_model_of_one_size_are_the_scale_that_is_asked_for() -> None:
    """Tiles of the input's own size are not scaled: fine stripes survive, which the whole image scaled would blur."""
    image = np.zeros((256, 256, 3), np.uint8)
    image[:, ::2] = 255
    stripes = Item(0, "stripes.png", "stripes", image)

    def bright(pixels: Tensor) -> Tensor:
        return torch.stack([pixels[:, 0] - 0.5, 0.5 - pixels[:, 0]], 1)

    (tiled,) = predicted(ToySegmenter(bright, 2, input_size=(64, 64)), stripes, tile=64)
    np.testing.assert_array_equal(tiled.class_ids, np.tile([0, 1], (256, 128)))
    (whole,) = predicted(ToySegmenter(bright, 2, input_size=(64, 64)), stripes)
    assert (whole.class_ids != tiled.class_ids).any()


def test_where_neighbouring_tiles_disagree_one_fades_into_the_other_without_a_step() -> None:
    """The class depends on which tile sees a pixel: the confidence is as smooth as the window, and drops nowhere."""

    def by_mean(pixels: Tensor) -> Tensor:
        level = (pixels.mean((1, 2, 3)) - 0.5) * 12
        return torch.stack([level, -level], 1)[:, :, None, None].expand(-1, -1, *pixels.shape[2:])

    image = np.zeros((64, 112, 3), np.uint8)
    image[:, 56:] = 255
    (found,) = predicted(ToySegmenter(by_mean, 2), Item(0, "a", "a", image), tile=64)
    of_white = np.where(found.class_ids == 0, found.confidence, 255 - found.confidence)[32].astype(int)
    assert of_white[0] < 40
    assert of_white[-1] > 215
    assert np.diff(of_white).min() >= 0
    assert np.diff(of_white).max() < 60


def test_of_large_images_only_the_ends_of_a_line_of_tiles_are_held(monkeypatch: pytest.MonkeyPatch) -> None:
    held_bytes = []
    forget = predictor._forget

    def noting(held: dict[tuple[int, int], decision.Views], *place: object) -> None:
        forget(held, *place)
        held_bytes.append(sum(view.nbytes for views in held.values() for view in views.logits))

    monkeypatch.setattr(predictor, "_forget", noting)
    predicted(ToySegmenter(by_colour(3), 3), item(400, 300), tile=64)
    whole_line = 64 * 300 * 3 * 4
    assert len(held_bytes) > 20
    assert max(held_bytes) < whole_line
    assert held_bytes[-1] == 0


def test_the_mirror_image_counts_as_much_as_the_image() -> None:
    """A model that takes the left half for one class and the right one for the other knows nothing, after that."""

    def by_side(pixels: Tensor) -> Tensor:
        side = torch.linspace(4, -4, pixels.shape[3]).expand(pixels.shape[0], *pixels.shape[2:])
        return torch.stack([side, -side], 1)

    (plain,) = predicted(ToySegmenter(by_side, 2), item(20, 40))
    (mirrored,) = predicted(ToySegmenter(by_side, 2), item(20, 40), tta="flip")
    assert plain.doubt < 0.4
    assert mirrored.doubt == pytest.approx(1, abs=1e-3)
    assert set(np.unique(mirrored.confidence)) <= {127, 128}


def test_a_model_that_takes_mirror_images_for_mirrored_says_the_same_with_them() -> None:
    for options in ({}, {"tile": 64}):
        segmenter = ToySegmenter(by_colour(4), 4, side_multiple=16)
        (plain,), (mirrored,) = (predicted(segmenter, item(100, 130), tta=tta, **options) for tta in ("none", "flip"))
        np.testing.assert_array_equal(mirrored.class_ids, plain.class_ids)
        assert_alike(mirrored, plain)


def test_images_come_back_in_order_and_those_of_one_size_are_batched() -> None:
    shapes = [(32, 32), (48, 32), (32, 32), (32, 32), (48, 32), (32, 32)]
    items = [item(*shape, index) for index, shape in enumerate(shapes)]
    segmenter = ToySegmenter(by_colour(3), 3, side_multiple=16)
    found = predicted(segmenter, *items)
    assert [prediction.item for prediction in found] == items
    assert segmenter.batches == [(4, 32, 32, 3), (2, 48, 32, 3)]
    for prediction, alone in zip(found, (predicted(segmenter, given)[0] for given in items), strict=True):
        assert_alike(prediction, alone)


def test_images_of_all_sizes_are_one_batch_of_a_model_of_one_size() -> None:
    segmenter = ToySegmenter(by_colour(3), 3, input_size=(32, 32))
    predicted(segmenter, *(item(20 + index, 40, index) for index in range(9)))
    assert segmenter.batches == [(8, 32, 32, 3), (1, 32, 32, 3)]


def test_batches_are_bounded_in_bytes() -> None:
    segmenter = ToySegmenter(by_colour(2), 2)
    predicted(segmenter, *(item(800, 800, index) for index in range(3)))
    assert segmenter.batches == [(1, 800, 800, 3)] * 3


def test_no_more_images_are_taken_than_are_predicted_together() -> None:
    taken = []

    def items() -> Iterator[Item]:
        for index in range(40):
            taken.append(index)
            yield item(16, 16, index)

    predictions = Predictor(ToySegmenter(by_colour(2), 2)).predictions(items())
    next(predictions)
    assert len(taken) == 8


def test_what_is_skipped_comes_back_in_its_place() -> None:
    skipped = SkippedItem(1, "b.jpg", Issue.of(Code.IMAGE_UNREADABLE, "broken"))
    given = [item(16, 16, 0), skipped, item(16, 16, 2)]
    found = list(Predictor(ToySegmenter(by_colour(2), 2)).predictions(given))
    assert [getattr(result, "item", result) for result in found] == given


def test_logits_that_are_equal_to_a_softmax_are_told_apart() -> None:
    def nearly_equal(pixels: Tensor) -> Tensor:
        level = torch.zeros(len(pixels), *pixels.shape[2:])
        return torch.stack([level, level + 1e-9, level], 1)

    (found,) = predicted(ToySegmenter(nearly_equal, 3), item(8, 8))
    assert set(np.unique(found.class_ids)) == {1}


def test_class_ids_beyond_255_are_kept() -> None:
    def last(pixels: Tensor) -> Tensor:
        return torch.arange(300.0)[None, :, None, None].expand(len(pixels), -1, *pixels.shape[2:])

    (found,) = predicted(ToySegmenter(last, 300), item(4, 4))
    assert set(np.unique(found.class_ids)) == {299}
    assert len(found.descriptor) == 44


def test_minus_infinity_is_a_probability_of_zero() -> None:
    def masked(pixels: Tensor) -> Tensor:
        level = torch.zeros(len(pixels), *pixels.shape[2:])
        return torch.stack([level, torch.full_like(level, -torch.inf)], 1)

    for tta in ("none", "flip"):
        (found,) = predicted(ToySegmenter(masked, 2), item(8, 8), tta=tta)
        assert set(np.unique(found.confidence)) == {255}
        assert found.doubt == 0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_outputs_that_are_no_numbers_are_refused(value: float) -> None:
    def broken(pixels: Tensor) -> Tensor:
        logits = torch.zeros(len(pixels), 2, *pixels.shape[2:])
        logits[0, 1, 0, 0] = value
        return logits

    with pytest.raises(DataError) as raised:
        predicted(ToySegmenter(broken, 2), item(8, 8))
    assert [issue.code for issue in raised.value.issues] == [Code.INFERENCE_NOT_FINITE]


def test_a_model_of_one_class_has_no_doubt() -> None:
    (found,) = predicted(ToySegmenter(by_colour(1), 1), item(8, 8))
    assert found.doubt == 0
    assert set(np.unique(found.confidence)) == {255}


def distance(a: Prediction, b: Prediction) -> float:
    return math.dist(a.descriptor, b.descriptor)


@pytest.mark.parametrize("num_classes", [3, 40])
def test_images_alike_are_near_to_each_other(num_classes: int) -> None:
    first, other = item(60, 80, 1), item(60, 80, 2)
    noise = np.random.default_rng(0).integers(-3, 4, first.image.shape)
    similar = Item(3, "c", "c", np.clip(first.image + noise, 0, 255).astype(np.uint8))
    segmenter = ToySegmenter(by_colour(num_classes), num_classes)
    a, b, c = predicted(segmenter, first, similar, other)
    assert distance(a, b) < 0.2 * distance(a, c)
    assert len(a.descriptor) == min(4 * num_classes, 32) + 12
