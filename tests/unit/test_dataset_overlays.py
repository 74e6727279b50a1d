"""Overlays: what a person sees of a mask is what is learned from it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFont

from builders import check, check_spec, encoded, members, write_dataset, write_zip
from builders.archives import arrays
from builders.fitting import SIDE, dataset, of_the_next, scenes
from segdrop.child_runtime import StopFlag
from segdrop.dataset import full_check, lettering, overlays
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.dataset.interpretation import Interpretation
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.report import OVERLAY_MARK, OVERLAY_MARK_WITHIN_BYTES, CheckReport
from segdrop.dataset.samples import LabelledSample, MaskFile, Split
from segdrop.dataset.split.division import Sides
from segdrop.results.templates import predict

HEIGHT, WIDTH = 24, 32


def sampled(archive: Path, request: dict[str, object] | None = None) -> tuple[CheckReport, list[Path]]:
    """The check's report, and the overlays that it left."""
    folder = archive.parent / "samples"
    folder.mkdir(exist_ok=True)
    spec = check_spec(archive, request, cache=False).model_copy(update={"samples_dir": folder})
    return full_check.check(spec, StopFlag()), sorted(folder.iterdir())


def overlay_of(paths: list[Path], number: int) -> Path:
    (found,) = [path for path in paths if path.stem.endswith(f"_{number:03}")]
    return found


def halves(path: Path, width: int = WIDTH, height: int = HEIGHT) -> tuple[np.ndarray, np.ndarray]:
    """The image, and the image in the colours of its classes."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"))
    start = width + overlays._GAP
    return pixels[:height, :width], pixels[:height, start : start + width]


def test_ten_pairs_of_all_sides_are_shown(tmp_path: Path) -> None:
    _, paths = sampled(write_dataset(tmp_path / "data.zip", count=30, layout="with_test"))
    assert [path.name[:3] for path in paths] == [f"{number:02}_" for number in range(1, 11)]
    positions = [int(path.stem[-3:]) for path in paths]
    assert {number: [p % 3 for p in positions].count(number) for number in range(3)} == {0: 4, 1: 3, 2: 3}


def test_image_is_shown_as_it_is_and_beside_it_half_in_the_colours_of_results(tmp_path: Path) -> None:
    _, paths = sampled(write_dataset(tmp_path / "data.zip", values=(0, 1, 2)))
    for path in paths:
        image, mask = arrays(int(path.stem[-3:]), (HEIGHT, WIDTH), (0, 1, 2))
        colours = np.asarray(predict.voc_palette(), np.uint16).reshape(256, 3)[mask]
        left, right = halves(path)
        assert np.array_equal(left, image)
        assert np.array_equal(right, (image + colours) // 2)


def test_masks_that_fit_better_when_turned_are_shown_in_both_ways(tmp_path: Path) -> None:
    pairs = [(image, mask[::-1, ::-1]) for image, mask in scenes(12)]
    _, paths = sampled(dataset(tmp_path, pairs))
    for path in paths:
        image, mask = pairs[int(path.stem[-4:])]
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))
        colours = np.asarray(predict.voc_palette(), np.uint16).reshape(256, 3)
        start = SIDE + overlays._GAP
        assert np.array_equal(pixels[:SIDE, start : start + SIDE], (image + colours[mask]) // 2)
        assert np.array_equal(pixels[:SIDE, 2 * start : 2 * start + SIDE], (image + colours[mask[::-1, ::-1]]) // 2)


def test_masks_of_the_next_image_are_shown_beside_their_own_but_at_the_ends(tmp_path: Path) -> None:
    pairs = scenes(12)
    _, paths = sampled(dataset(tmp_path, of_the_next(pairs)))
    for path in paths:
        number = int(path.stem[-4:])
        with Image.open(path) as picture:
            pixels = np.asarray(picture.convert("RGB"))[:SIDE, 2 * (SIDE + overlays._GAP) :][:, :SIDE]
        colours = np.asarray(predict.voc_palette(), np.uint16).reshape(256, 3)
        fits = (pairs[number][0] + colours[pairs[number][1]]) // 2
        assert np.array_equal(pixels, fits if number else np.full_like(pixels, 255))


def test_ignored_pixels_are_hatched_in_grey() -> None:
    image = np.full((32, 32, 3), 200, np.uint8)
    ids = np.zeros((32, 32), np.uint8)
    ids[:, 16:] = IGNORE
    right = np.asarray(overlays.side_by_side(image, ids))[:, 32 + overlays._GAP :]
    assert (right[:, :16] == 100).all()
    shades, counts = np.unique(right[:, 16:], return_counts=True)
    assert shades.tolist() == [164, 200]
    assert counts.min() > 0.4 * counts.sum()


def test_classes_in_the_legend_are_those_in_the_mask(tmp_path: Path) -> None:
    assert overlays._entries(np.array([[0, 2], [2, IGNORE]], np.uint8), ["ground", "cat", "dog"]) == [
        (0, "0 ground 25.0%"),
        (2, "2 dog 50.0%"),
        (IGNORE, "ignored 25.0%"),
    ]
    _, paths = sampled(write_dataset(tmp_path / "data.zip", values=(0, 1, 2)))
    with Image.open(paths[0]) as picture:
        legend = np.asarray(picture.convert("RGB"))[HEIGHT:].reshape(-1, 3).tolist()
    for colour in ([0, 0, 0], [128, 0, 0], [0, 128, 0]):
        assert legend.count(colour) > 50
    assert [0, 0, 128] not in legend  # class 4 is not there


def test_a_legend_goes_on_in_the_next_line() -> None:
    assert overlays._places([100, 100, 100, 900], 300) == [(8, 0), (108, 0), (8, 1), (8, 2)]


@pytest.mark.parametrize("without_freetype", [False, True])
def test_names_of_any_script_do_no_harm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without_freetype: bool
) -> None:
    if without_freetype:
        bitmap = ImageFont.load_default_imagefont()
        monkeypatch.setattr(lettering, "font", lambda size: bitmap)
    content = members(labels=["狗", "größe ünïted"])
    content = {name.replace("scene", "снимок 猫"): data for name, data in content.items()}
    report, paths = sampled(write_zip(tmp_path / "data.zip", content))
    assert report.dataset is not None
    assert sorted(path.name[3:] for path in paths) == [f"снимок_猫_{number:03}.png" for number in range(6)]


def test_large_images_are_made_smaller_and_small_ones_left_alone(tmp_path: Path) -> None:
    large = (
        encoded(np.zeros((300, 2048, 3), np.uint8)),
        encoded(np.tile(np.arange(2048) // 1024, (300, 1)).astype(np.uint8)),
    )
    extra = {"images/scene_000.png": large[0], "masks/scene_000.png": large[1]}
    _, paths = sampled(write_dataset(tmp_path / "data.zip", extra=extra))
    left, right = halves(overlay_of(paths, 0), 1024, 150)
    assert (right[:, 512:] == (64, 0, 0)).all()
    assert (right[:, :512] == 0).all()
    assert (left == 0).all()


def test_images_and_masks_are_shown_upright(tmp_path: Path) -> None:
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:, :8] = 250  # a bar on the left, which is at the top once turned
    mask = np.zeros((WIDTH, HEIGHT), np.uint8)
    mask[:8] = 1
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    extra = {
        "images/scene_000.png": encoded(image, exif=exif),
        "masks/scene_000.png": encoded(mask),
    }
    _, paths = sampled(write_dataset(tmp_path / "data.zip", extra=extra))
    left, right = halves(overlay_of(paths, 0), HEIGHT, WIDTH)
    assert (left[:8] == 250).all()
    assert (right[:8] == ((250 + 128) // 2, 125, 125)).all()
    assert (right[8:] == 0).all()


def test_masks_of_another_size_are_laid_over_the_image(tmp_path: Path) -> None:
    mask = np.zeros((HEIGHT // 2, WIDTH // 2), np.uint8)
    mask[:, 8:] = 1
    _, paths = sampled(write_dataset(tmp_path / "data.zip", extra={"masks/scene_000.png": encoded(mask)}))
    left, right = halves(overlay_of(paths, 0))
    assert np.array_equal(right[:, 16:, 1], left[:, 16:, 1] // 2)
    assert not np.array_equal(right[:, 16:, 0], left[:, 16:, 0] // 2)


def test_pairs_are_shown_also_where_some_are_at_fault(tmp_path: Path) -> None:
    unknown = np.full((HEIGHT, WIDTH), 77, np.uint8)
    extra = {"images/scene_000.png": b"broken", "masks/scene_001.png": encoded(unknown)}
    report, paths = sampled(write_dataset(tmp_path / "data.zip", extra=extra))
    assert report.dataset is None
    assert [path.name[3:] for path in paths] == [f"scene_{number:03}.png" for number in range(1, 6)]
    left, right = halves(overlay_of(paths, 1))
    assert (right == left).all(axis=-1).sum() > 0.4 * HEIGHT * WIDTH  # hatched: no class


def test_nothing_is_shown_where_no_class_is_known(tmp_path: Path) -> None:
    report, paths = sampled(write_dataset(tmp_path / "data.zip"), {"class_map": {"nothing": "else"}})
    assert report.dataset is None
    assert paths == []


def test_overlays_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    _, paths = sampled(write_dataset(tmp_path / "data.zip"))
    assert paths
    assert all(OVERLAY_MARK in path.read_bytes()[:OVERLAY_MARK_WITHIN_BYTES] for path in paths)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("images/a.jpg", "a"),
        ("x/../..hidden?*.png", "..hidden__"),
        ("images/.png", "image"),
        (f"{'ab' * 99}.png", "ab" * 25),
    ],
)
def test_file_names_are_safe(name: str, stem: str) -> None:
    assert overlays._safe_stem(name) == stem


def interpretation(num_train: int, num_val: int, num_test: int, *, is_split: bool = True) -> Interpretation:
    splits = [Split.TRAIN] * num_train + [Split.VAL] * num_val + [Split.TEST] * num_test
    samples = [LabelledSample(str(i), i, split if is_split else None, MaskFile(i)) for i, split in enumerate(splits)]
    positions = list(range(len(samples)))
    sides = Sides(
        positions[:num_train],
        positions[num_train : num_train + num_val],
        positions[num_train + num_val :],
        is_given=True,
        assumptions=[],
    )
    return Interpretation(samples, Labeller(), frozenset(), sides=sides if is_split else None)


@pytest.mark.parametrize(
    ("counts", "shown"),
    [((40, 10, 10), (4, 3, 3)), ((100, 1, 0), (9, 1, 0)), ((2, 1, 0), (2, 1, 0)), ((50, 50, 0), (5, 5, 0))],
)
def test_sides_are_shown_evenly(counts: tuple[int, int, int], shown: tuple[int, int, int]) -> None:
    found = overlays.chosen(interpretation(*counts))
    assert tuple(sum(side == name for side, _ in found) for name in ("train", "val", "test")) == shown
    assert len(set(found)) == len(found)


def test_samples_come_from_the_whole_of_a_dataset_without_a_split() -> None:
    found = overlays.chosen(interpretation(80, 20, 0, is_split=False))
    assert found == [("pairs", position) for position in range(0, 100, 10)]


def test_pairs_at_fault_are_not_shown() -> None:
    known = interpretation(8, 2, 0, is_split=False)
    known.bad = frozenset({0, 5})
    assert [position for _, position in overlays.chosen(known)] == [1, 2, 3, 4, 6, 7, 8, 9]


def test_report_is_the_same_with_samples_and_without(tmp_path: Path) -> None:
    archive = write_dataset(tmp_path / "data.zip")
    report, _ = sampled(archive)
    measured = {"seconds": 0.0, "peak_rss_bytes": 0}
    assert report.model_copy(update=measured) == check(archive, cache=False).model_copy(update=measured)


def test_values_as_they_are_stored_stand_beside_a_doubtful_reading(tmp_path: Path) -> None:
    """Masks of 0 and 1 among masks of 0 and 255."""
    content = members(count=8, values=(0, 255))
    for number in (0, 1, 2):
        _, mask = arrays(number, (HEIGHT, WIDTH), (0, 1))
        content[f"masks/scene_{number:03}.png"] = encoded(mask)
    report, paths = sampled(write_zip(tmp_path / "data.zip", content))
    assert "mask.mixed_scales" in {issue.code for issue in report.issues}
    for path in paths:
        with Image.open(path) as picture:
            assert picture.height > HEIGHT + 2 * overlays._LINE
            panels = np.asarray(picture.convert("RGB"))[:HEIGHT]
        step = WIDTH + overlays._GAP
        assert np.array_equal(panels[:, step : step + WIDTH], panels[:, 2 * step : 2 * step + WIDTH])


def test_sure_readings_stand_alone(tmp_path: Path) -> None:
    _, paths = sampled(write_dataset(tmp_path / "data.zip", labels=["background", "cat", "dog"]))
    for path in paths:
        with Image.open(path) as picture:
            beyond = np.asarray(picture.convert("RGB"))[:HEIGHT, 2 * WIDTH + overlays._GAP :]
        assert beyond.min() == 255
