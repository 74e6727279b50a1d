"""What predictions look like: masks, colours, overlays and the rest, as files that others read."""

import io
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from builders.predictions import prediction, setting, written
from segdrop.inference.outputs import catalog, encoding
from segdrop.inference.outputs.pictures import Pictures, boundaries
from segdrop.inference.outputs.protocol import Setting
from segdrop.results.templates.sources import is_prediction
from segdrop.spec import InputKind


def files(setting: Setting) -> set[str]:
    return {path.relative_to(setting.folder).as_posix() for path in setting.folder.rglob("*") if path.is_file()}


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def write(setting: Setting, names: list[str], *predictions: object, kind: InputKind = InputKind.ARCHIVE) -> None:
    written(catalog.build(names, setting, kind), predictions or [prediction()])


def test_every_output_of_images_has_a_file_of_its_own_by_the_stem(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    write(job, ["masks", "colour", "overlay", "confidence", "json", "originals"], prediction(), prediction(1, "b.jpg"))
    assert files(job) == {
        *(f"{kind}/folder/stem{i}.png" for kind in ("masks", "colour", "confidence") for i in (0, 1)),
        *("overlay/folder/stem0.png", "overlay/folder/stem1.jpg", "json/folder/stem0.json", "json/folder/stem1.json"),
        *("originals/folder/stem0.png", "originals/folder/stem1.jpg"),
        *("legend.json", "legend.png", "summary.csv", "review.csv", "review.html"),
    }


def test_masks_hold_class_ids_and_a_palette_to_look_at(tmp_path: Path) -> None:
    job = setting(tmp_path / "out", background=0)
    given = prediction()
    write(job, ["masks", "colour"], given)
    with Image.open(job.folder / "masks/folder/stem0.png") as mask:
        assert mask.mode == "P"
        assert (np.asarray(mask) == given.class_ids).all()
        seen = np.asarray(mask.convert("RGB"))
    assert (seen == np.array(job.colours)[given.class_ids]).all()
    assert (pixels(job.folder / "colour/folder/stem0.png") == seen).all()


@pytest.mark.parametrize(("count", "mode", "ignored"), [(255, "P", 255), (256, "I;16", 65_535)])
def test_beyond_255_classes_masks_have_16_bits_and_what_is_left_out_is_no_class(
    tmp_path: Path, count: int, mode: str, ignored: int
) -> None:
    job = setting(tmp_path / "out", [f"class {number}" for number in range(count)])
    ids = np.array([[0, count - 1], [ignored, 1]], np.uint16)
    write(job, ["masks", "colour"], prediction(size=(2, 2), class_ids=ids))
    with Image.open(job.folder / "masks/folder/stem0.png") as mask:
        assert mask.mode == mode
        assert (np.asarray(mask) == ids).all()
        if mode == "P":
            assert mask.convert("RGB").getpixel((0, 1)) == (224, 224, 192)
    assert tuple(pixels(job.folder / "colour/folder/stem0.png")[1, 0]) == (224, 224, 192)


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_predict_py_does_not_predict_the_pictures_of_a_result_again(tmp_path: Path, name: str) -> None:
    job = setting(tmp_path / "out")
    write(job, ["masks", "colour", "overlay", "confidence", "originals"], prediction(0, name))
    known = {path for path in job.folder.rglob("stem0.*") if is_prediction(path, partial(path.open, "rb"))}
    assert {path.relative_to(job.folder).parts[0] for path in known} == {"masks", "colour", "overlay", "confidence"}


def test_originals_are_the_pixels_that_were_predicted(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    given = prediction(0, "scan.TIFF")
    write(job, ["originals", "confidence"], given)
    assert (pixels(job.folder / "originals/folder/stem0.png") == given.item.image).all()
    assert (pixels(job.folder / "confidence/folder/stem0.png") == given.confidence).all()


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_overlay_mixes_colours_into_areas_and_draws_their_boundaries_unmixed(tmp_path: Path, alpha: float) -> None:
    job = setting(tmp_path / "out", ["road", "cat", "dog"], overlay_alpha=alpha)
    given = prediction()
    overlay = Pictures(job).overlay(given).astype(int)
    colours = np.array(job.colours)[given.class_ids]
    is_line = boundaries(given.class_ids, 1)
    expected = given.item.image * (1 - alpha) + colours * alpha
    assert np.abs(overlay - expected)[~is_line].max() <= 1
    assert (overlay == colours)[is_line].all()
    assert is_line.any()
    assert not is_line.all()


def test_overlay_leaves_the_background_and_what_is_left_out_as_they_are(tmp_path: Path) -> None:
    job = setting(tmp_path / "out", background=0)
    ids = np.array([[0, 0, 1, 255]] * 3, np.uint16)
    given = prediction(size=(3, 4), class_ids=ids)
    overlay = Pictures(job).overlay(given)
    assert (overlay == given.item.image)[ids != 1].all()
    assert (overlay[ids == 1] == job.colours[1]).all()


def test_large_images_are_blended_in_bands_with_the_same_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job, given = setting(tmp_path / "out"), prediction(size=(50, 40))
    whole = Pictures(job).overlay(given)
    monkeypatch.setattr("segdrop.inference.outputs.pictures._BAND_PIXELS", 130)
    assert (Pictures(job).overlay(given) == whole).all()


def test_pictures_of_the_prediction_before_are_not_taken_for_this_one(tmp_path: Path) -> None:
    pictures = Pictures(setting(tmp_path / "out"))
    first, second = prediction(0), prediction(1)
    assert not (pictures.overlay(first) == pictures.overlay(second)).all()


def test_boundaries_are_as_wide_as_asked_on_both_sides() -> None:
    ids = np.zeros((1, 9), np.uint16)
    ids[:, 5:] = 1
    assert np.flatnonzero(boundaries(ids, 1)).tolist() == [4, 5]
    assert np.flatnonzero(boundaries(ids, 2)).tolist() == [3, 4, 5, 6]
    assert np.flatnonzero(boundaries(ids.T, 2)).tolist() == [3, 4, 5, 6]
    assert not boundaries(np.zeros((1, 1), np.uint16), 3).any()


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("a.png", ".png"), ("a.TIF", ".png"), ("a.jpg", ".jpg"), ("a.webp", ".jpg"), ("frame_000001", ".jpg")],
)
def test_pictures_of_what_was_without_loss_are_without_loss(name: str, suffix: str) -> None:
    assert encoding.picture_suffix(name, 10, 10) == suffix


def test_picture_that_is_too_large_for_a_jpeg_is_a_png() -> None:
    assert encoding.picture_suffix("a.jpg", 70_000, 4) == ".png"
    content = encoding.picture(np.zeros((70_000, 4, 3), np.uint8), ".png", quality=90, is_ours=True)
    assert Image.open(io.BytesIO(content)).size == (4, 70_000)


def test_writing_an_image_again_gives_the_same_files(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    names = ["masks", "colour", "overlay", "confidence", "json", "originals"]
    write(job, names, prediction())
    before = {name: (job.folder / name).read_bytes() for name in files(job)}
    write(job, names, prediction())
    assert {name: (job.folder / name).read_bytes() for name in files(job)} == before


def test_frames_of_a_video_come_with_their_masks_and_colours(tmp_path: Path) -> None:
    job = setting(tmp_path / "out")
    write(job, ["frames"], prediction(0, "frame_000000", seconds=0.0), kind=InputKind.VIDEO)
    assert {name for name in files(job) if "/" in name} == {
        "frames/images/folder/stem0.jpg",
        "frames/masks/folder/stem0.png",
        "frames/colour/folder/stem0.png",
    }
