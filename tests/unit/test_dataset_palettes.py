"""Whether a palette's index or its colour is the class, and what transparency means."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.archives import encoded
from builders.exports.scenes import voc_palette
from builders.value_masks import Colour, areas, coloured, indexed, mask_codes, read_masks, said

BLACK, WHITE, ORANGE, TEAL, PINK = (0, 0, 0), (255, 255, 255), (240, 130, 20), (10, 150, 140), (230, 90, 170)
LEGEND = {"labels.txt": b"ground 0 0 0\nroof 240 130 20\nwater 10 150 140\n"}


def shuffled(ids: np.ndarray, colours: list[Colour], number: int) -> bytes:
    """The same picture, with the palette in another order for each number."""
    order = np.random.default_rng(number).permutation(len(colours))
    places = np.argsort(order).astype(np.uint8)
    return indexed(places[ids], [colours[place] for place in order])


def truth_of(kinds: int, count: int = 10) -> list[np.ndarray]:
    return [areas(number, kinds) for number in range(count)]


def same_partition(found: np.ndarray, truth: list[np.ndarray]) -> bool:
    """Whether the same pixels are of one class, whatever its number."""
    pairs = set(zip(found.ravel().tolist(), np.stack(truth).ravel().tolist(), strict=True))
    return len(pairs) == len({one for one, _ in pairs}) == len({other for _, other in pairs})


def test_palettes_that_differ_are_read_by_colour(tmp_path: Path) -> None:
    truth = truth_of(4)
    masks = [shuffled(ids, [BLACK, ORANGE, TEAL, PINK], number) for number, ids in enumerate(truth)]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None, report.issues
    assert same_partition(ids, truth)
    assert report.dataset.mask_encoding == "colour"
    assert "the palettes differ from mask to mask (index 0 is" in said(report)


def test_black_and_white_palettes_in_any_order_are_black_and_white(tmp_path: Path) -> None:
    truth = truth_of(2)
    report, ids = read_masks([shuffled(mask, [BLACK, WHITE], n) for n, mask in enumerate(truth)], tmp_path)
    assert report.dataset is not None
    assert report.dataset.classes == ["background", "foreground"]
    assert np.array_equal(ids, np.stack(truth))


@pytest.mark.parametrize("labels", [None, b"lesion\n"])
def test_white_as_index_0_is_no_background(labels: bytes | None, tmp_path: Path) -> None:
    truth = truth_of(2)
    masks = [indexed(1 - mask, [WHITE, BLACK]) for mask in truth]
    report, ids = read_masks(masks, tmp_path, extra={"labels.txt": labels} if labels else {})
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack(truth))
    assert "mask.inverted" not in mask_codes(report)
    assert "black behind another colour" in said(report)


def test_a_colour_that_the_legend_lacks_is_named_by_its_colour(tmp_path: Path) -> None:
    truth = truth_of(4)
    masks = [indexed(3 - mask, [PINK, TEAL, ORANGE, BLACK]) for mask in truth]
    report, _ = read_masks(masks, tmp_path, extra=LEGEND)
    assert report.dataset is None
    assert mask_codes(report) == {"mask.unknown_value"}
    assert "#e65aaa" in said(report)
    ignored, ids = read_masks(masks, tmp_path, {"unknown_values": "ignore"}, LEGEND)
    assert ignored.dataset is not None
    assert ignored.dataset.classes == ["ground", "roof", "water"]
    assert np.array_equal(ids, np.where(np.stack(truth) == 3, 255, np.stack(truth)))


def test_the_extra_colour_in_a_few_masks_does_not_change_how_these_are_read(tmp_path: Path) -> None:
    truth = [areas(number, 4 if number % 5 == 0 else 3) for number in range(10)]
    masks = [shuffled(mask, [BLACK, ORANGE, TEAL, PINK][: mask.max() + 1], n) for n, mask in enumerate(truth)]
    report, ids = read_masks(masks, tmp_path, {"unknown_values": "ignore"}, LEGEND)
    assert report.dataset is not None
    assert np.array_equal(ids, np.where(np.stack(truth) == 3, 255, np.stack(truth)))


def test_borders_of_pascal_voc_are_ignored_beside_a_legend_of_the_classes(tmp_path: Path) -> None:
    truth = truth_of(4)
    for mask in truth:
        mask[mask == 3] = 0
        mask[0] = 3
    report, ids = read_masks(
        [indexed(mask, [BLACK, ORANGE, TEAL, (224, 224, 192)]) for mask in truth], tmp_path, extra=LEGEND
    )
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["ground", "roof", "water"]
    assert np.array_equal(ids, np.where(np.stack(truth) == 3, 255, np.stack(truth)))
    assert "the border of objects in PASCAL VOC" in said(report)


def test_the_standard_palette_numbers_the_classes(tmp_path: Path) -> None:
    palette = voc_palette()
    colours = [tuple(palette[3 * index : 3 * index + 3]) for index in range(6)]
    truth = truth_of(6)
    report, ids = read_masks([indexed(mask, colours) for mask in truth], tmp_path)  # type: ignore[arg-type]
    assert report.dataset is not None
    assert report.dataset.mask_encoding == "index"
    assert np.array_equal(ids, np.stack(truth))
    assert "colours were read" not in said(report)
    assert mask_codes(report) == set()


@pytest.mark.parametrize("labels", [None, b"a\nb\nc\n"])
def test_equal_palettes_without_black_are_indices(labels: bytes | None, tmp_path: Path) -> None:
    truth = truth_of(3)
    masks = [indexed(mask, [WHITE, ORANGE, TEAL]) for mask in truth]
    report, ids = read_masks(masks, tmp_path, extra={"labels.txt": labels} if labels else {})
    assert report.dataset is not None
    assert report.dataset.mask_encoding == "index"
    assert np.array_equal(ids, np.stack(truth))
    assert mask_codes(report) == set()


def test_palettes_in_an_odd_order_with_names_ask_the_request(tmp_path: Path) -> None:
    truth = truth_of(3)
    masks = [indexed(2 - mask, [TEAL, ORANGE, BLACK]) for mask in truth]
    names = {"labels.txt": b"background\nroof\nwater\n"}
    report, _ = read_masks(masks, tmp_path, extra=names)
    assert report.dataset is None
    assert "mask.palette_unclear" in mask_codes(report)
    by_index = {"classes": {"0": "water", "1": "roof", "2": "background"}}
    report, ids = read_masks(masks, tmp_path, by_index, names)
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, 2 - np.stack(truth))
    by_colour = {"classes": {"#000000": "background", "#f08214": "roof", "#0a968c": "water"}}
    report, ids = read_masks(masks, tmp_path, by_colour, names)
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack(truth))


def test_palettes_beside_true_colours_are_read_by_colour(tmp_path: Path) -> None:
    truth, colours = truth_of(3), [BLACK, ORANGE, TEAL]
    masks = [
        indexed(mask, colours) if number % 2 else encoded(coloured(mask, colours)) for number, mask in enumerate(truth)
    ]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert report.dataset.num_classes == 3
    assert same_partition(ids, truth)


def test_grey_images_with_a_palette_of_greys_are_values(tmp_path: Path) -> None:
    truth = truth_of(3)
    masks = [
        encoded(Image.fromarray(mask).convert("P")) if n % 2 else indexed(mask, [BLACK, ORANGE, TEAL])
        for n, mask in enumerate(truth)
    ]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert np.array_equal(ids, np.stack(truth))


def rgba(ids: np.ndarray, colours: list[tuple[int, int, int, int]]) -> bytes:
    return encoded(coloured(ids, colours))


@pytest.mark.parametrize("colour", [WHITE, ORANGE, BLACK])
@pytest.mark.parametrize("kind", ["RGBA", "LA"])
def test_masks_of_one_colour_are_read_by_their_opacity(colour: Colour, kind: str, tmp_path: Path) -> None:
    truth = truth_of(2)
    masks = [
        encoded(Image.fromarray(coloured(mask, [(*colour, 0), (*colour, 255)]), "RGBA").convert(kind)) for mask in truth
    ]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None, report.issues
    assert report.dataset.classes == ["background", "foreground"]
    assert np.array_equal(ids, np.stack(truth))
    assert "transparen" in said(report)


def test_transparent_pixels_are_background_whatever_lies_below(tmp_path: Path) -> None:
    truth = truth_of(3)
    below = [WHITE, BLACK, PINK]
    masks = [
        rgba(mask, [(*below[n % 3], 0), (*ORANGE, 255), (*TEAL, 255)]) for n, mask in enumerate(truth)
    ]  # fmt: skip
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert report.dataset.num_classes == 3
    assert same_partition(ids, truth)
    assert "read as background" in said(report)
    legend = {"labels.txt": b"roof 240 130 20\nwater 10 150 140\n"}
    report, ids = read_masks(masks, tmp_path, extra=legend)
    assert report.dataset is not None, report.issues
    assert np.array_equal(ids, np.stack(truth))


def test_transparent_pixels_beside_a_black_class_are_ignored(tmp_path: Path) -> None:
    truth = truth_of(4)
    masks = [rgba(mask, [(*BLACK, 255), (*ORANGE, 255), (*TEAL, 255), (*WHITE, 0)]) for mask in truth]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert report.dataset.num_classes == 3
    assert np.array_equal(ids == 255, np.stack(truth) == 3)
    assert "transparent pixels are ignored" in said(report)


def test_transparent_entries_of_palettes_that_differ_are_background(tmp_path: Path) -> None:
    truth = truth_of(3)
    masks = []
    for number, mask in enumerate(truth):
        clear = number % 3  # the transparent index, white below
        colours = [ORANGE, TEAL]
        colours.insert(clear, WHITE)
        table = np.asarray([clear, *(index for index in range(3) if index != clear)], np.uint8)
        masks.append(indexed(table[mask], colours, transparency=clear))
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None, report.issues
    assert report.dataset.num_classes == 3
    assert same_partition(ids, truth)


def test_palettes_of_one_colour_with_a_transparent_entry_are_indices(tmp_path: Path) -> None:
    truth = truth_of(2)
    report, ids = read_masks([indexed(mask, [WHITE, WHITE], transparency=0) for mask in truth], tmp_path)
    assert report.dataset is not None
    assert np.array_equal(ids, np.stack(truth))


def test_opaque_alpha_channels_say_nothing(tmp_path: Path) -> None:
    truth = truth_of(3)
    masks = [rgba(mask, [(*BLACK, 255), (*ORANGE, 255), (*TEAL, 255)]) for mask in truth]
    report, ids = read_masks(masks, tmp_path)
    assert report.dataset is not None
    assert same_partition(ids, truth)
    assert "transparen" not in said(report)
