"""Datasets whose images are deeper, have more bands or pages, or are transparent: what is read, and what is said."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from builders import check, encoded, members, write_zip
from builders.archives import arrays
from builders.exports.reading import read_back
from builders.tiffs import tiff
from segdrop.codes import Code, Severity
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport

SIZE = (36, 48)


def dataset(make: Any, count: int = 6, suffix: str = "tif") -> dict[str, bytes]:
    """Pairs whose image ``make`` encodes from its (height, width, 3) of 8 bits."""
    content: dict[str, bytes] = {"labels.txt": b"cat\ndog\n"}
    for number in range(count):
        image, mask = arrays(number, SIZE, (0, 1, 2))
        content[f"images/s{number}.{suffix}"] = make(image)
        content[f"masks/s{number}.png"] = encoded(mask.astype(np.uint8))
    return content


def codes(report: CheckReport) -> dict[str, Severity]:
    return {issue.code: issue.severity for issue in report.issues if issue.code.startswith(("image.", "mask."))}


def cached(folder: Path, content: dict[str, bytes]) -> tuple[CheckReport, np.ndarray, Any]:
    report, _, _ = read_back(content, folder, SIZE)
    assert report.dataset is not None, report.issues
    with CacheReader(folder / "cache") as reader:
        return report, reader.images(range(reader.index.count)), reader.index


def originals(count: int = 6) -> np.ndarray:
    return np.stack([arrays(number, SIZE, (0, 1, 2))[0] for number in range(count)])


def grey16(image: np.ndarray) -> bytes:
    return encoded(image[..., 0].astype(np.uint16))


@pytest.mark.parametrize("factor", [12, 40])
@pytest.mark.parametrize("dtype", ["u2", "i4", "f4"])
def test_deep_images_keep_their_contrast(factor: int, dtype: str, tmp_path: Path) -> None:
    report, found, index = cached(tmp_path, dataset(lambda image: tiff(image.astype(dtype) * factor)))
    top = int(originals().max()) * factor
    assert index.deep_range == (0, top)
    assert np.abs(found.astype(int) - originals() * (255 / originals().max())).max() <= 1
    assert f"0…{top}" in " ".join(report.dataset.assumptions if report.dataset else [])
    assert not codes(report)


def test_8_bit_values_in_16_bits_are_read_as_those_of_8_bits(tmp_path: Path) -> None:
    _, found, index = cached(tmp_path, dataset(grey16, suffix="png"))
    assert index.deep_range == (0, 255)
    assert np.array_equal(found[..., 0], originals()[..., 0])


def test_the_whole_range_of_16_bits_is_read_by_its_upper_8(tmp_path: Path) -> None:
    report, found, index = cached(tmp_path, dataset(lambda image: tiff(image.astype(np.uint16) * 257)))
    assert index.deep_range == (0, 65_535)
    assert np.array_equal(found, originals())
    assert report.dataset is not None
    assert any("upper 8 bits" in text for text in report.dataset.assumptions)


def test_ordinary_images_have_no_range(tmp_path: Path) -> None:
    report, _, index = cached(tmp_path, members(size=SIZE))
    assert index.deep_range is None
    assert not codes(report)


def test_one_deep_image_among_many_is_found_and_said(tmp_path: Path) -> None:
    content = dataset(encoded, count=12, suffix="png")
    content["images/s5.png"] = grey16(arrays(5, SIZE, (0, 1, 2))[0])
    report, found, index = cached(tmp_path, content)
    assert codes(report) == {Code.IMAGE_DEPTHS_MIXED: Severity.WARNING}
    assert index.deep_range == (0, 255)
    found_there = found[index.names.index("images/s5.png"), ..., 0]
    assert np.array_equal(found_there, originals()[5, ..., 0])


def test_images_that_one_range_leaves_black_are_said(tmp_path: Path) -> None:
    content = dataset(lambda image: tiff(image.astype(np.uint16) * 200))
    content["images/s2.tif"] = tiff(arrays(2, SIZE, (0, 1, 2))[0].astype(np.uint16))
    report, _, _ = cached(tmp_path, content)
    (issue,) = [issue for issue in report.issues if issue.code == Code.IMAGE_RANGES_DIFFER]
    assert issue.files == ("images/s2.tif",)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("photometric", [1, 2])
@pytest.mark.parametrize("bands", [4, 6])
def test_bands_after_the_third_are_said(dtype: Any, photometric: int, bands: int, tmp_path: Path) -> None:
    def make(image: np.ndarray) -> bytes:
        wide = np.concatenate([image, image], axis=-1)[..., :bands].astype(dtype)
        return tiff(wide, photometric=photometric, extra=[0] * (bands - (1 if photometric == 1 else 3)))

    report, found, _ = cached(tmp_path, dataset(make))
    assert codes(report) == {Code.IMAGE_BANDS: Severity.WARNING}
    assert f"{bands} bands (channels)" in next(i.message for i in report.issues if i.code == Code.IMAGE_BANDS)
    assert np.array_equal(found, originals())


def test_a_second_band_is_said(tmp_path: Path) -> None:
    report, found, _ = cached(tmp_path, dataset(lambda image: tiff(image[..., :2], extra=[0])))
    assert codes(report) == {Code.IMAGE_BANDS: Severity.WARNING}
    assert np.array_equal(found[..., 2], originals()[..., 0])


@pytest.mark.parametrize("kind", [0, 2])
def test_near_infrared_in_the_place_of_alpha_is_a_band(kind: int, tmp_path: Path) -> None:
    def make(image: np.ndarray) -> bytes:
        infrared = np.random.default_rng(int(image[0, 0, 0])).integers(20, 230, (*SIZE, 1)).astype(np.uint8)
        return tiff(np.concatenate([image, infrared], axis=-1), extra=[kind])

    report, _, _ = cached(tmp_path, dataset(make))
    assert codes(report) == {Code.IMAGE_BANDS: Severity.WARNING}


def with_alpha(image: np.ndarray, rows: int) -> Image.Image:
    alpha = np.full((*SIZE, 1), 255, np.uint8)
    alpha[:rows] = 0
    return Image.fromarray(np.concatenate([image, alpha], axis=-1))


@pytest.mark.parametrize(("rows", "is_said"), [(0, False), (8, True)])
def test_transparent_parts_are_said_where_there_are_any(rows: int, is_said: bool, tmp_path: Path) -> None:
    report, _, _ = cached(tmp_path, dataset(lambda image: encoded(with_alpha(image, rows)), suffix="png"))
    assert codes(report) == ({Code.IMAGE_TRANSPARENT: Severity.WARNING} if is_said else {})


def frames(image: np.ndarray, image_format: str, **options: Any) -> bytes:
    first, second = Image.fromarray(image), Image.fromarray(255 - image)
    return encoded(first, image_format, save_all=True, append_images=[second], **options)


@pytest.mark.parametrize(
    ("suffix", "make"),
    [
        ("tif", lambda image: tiff(image, num_pages=5)),
        ("png", lambda image: frames(image, "PNG")),
        ("gif", lambda image: frames(image, "GIF")),
        ("webp", lambda image: frames(image, "WEBP", lossless=True)),
    ],
)
def test_pages_after_the_first_of_an_image_are_said(suffix: str, make: Any, tmp_path: Path) -> None:
    report, _, _ = cached(tmp_path, dataset(make, suffix=suffix))
    assert codes(report) == {Code.IMAGE_PAGES: Severity.WARNING}


@pytest.mark.parametrize("suffix", ["tif", "gif", "png"])
def test_stacks_of_masks_are_refused(suffix: str, tmp_path: Path) -> None:
    content = dataset(lambda image: tiff(image, num_pages=3))
    for number in range(6):
        mask = arrays(number, SIZE, (0, 1, 2))[1].astype(np.uint8)
        del content[f"masks/s{number}.png"]
        stack = tiff(mask, num_pages=3) if suffix == "tif" else frames(mask, suffix.upper())
        content[f"masks/s{number}.{suffix}"] = stack
    report = check(write_zip(tmp_path / "data.zip", content))
    assert codes(report)[Code.MASK_PAGES] is Severity.FAULT
    assert "pages (slices of a stack" in next(i.message for i in report.issues if i.code == Code.MASK_PAGES)


@pytest.mark.parametrize(("dtype", "no_data"), [("i2", -9999), ("i2", 32_767), ("u2", 65_535), ("f4", -3.4e38)])
def test_no_data_in_masks_is_named(dtype: str, no_data: float, tmp_path: Path) -> None:
    content = dataset(encoded, suffix="png")
    for number in range(6):
        mask = arrays(number, SIZE, (0, 1, 2))[1].astype(dtype)
        mask[:4] = no_data
        del content[f"masks/s{number}.png"]
        content[f"masks/s{number}.tif"] = tiff(mask, no_data=str(mask[0, 0]))
    report = check(write_zip(tmp_path / "data.zip", content))
    assert codes(report) == {Code.MASK_UNSUPPORTED_MODE: Severity.FAULT}
    assert "stands for no data" in report.issues[0].message


def test_a_number_for_no_data_that_does_not_occur_does_not_matter(tmp_path: Path) -> None:
    content = dataset(encoded, suffix="png")
    for number in range(6):
        mask = arrays(number, SIZE, (0, 1, 2))[1].astype("i2")
        del content[f"masks/s{number}.png"]
        content[f"masks/s{number}.tif"] = tiff(mask, no_data="-9999")
    assert not codes(check(write_zip(tmp_path / "data.zip", content)))


def test_overviews_of_a_geotiff_are_no_pages(tmp_path: Path) -> None:
    def make(image: np.ndarray) -> bytes:
        whole, small = Image.fromarray(image), Image.fromarray(image).reduce(2)
        return encoded(whole, "TIFF", save_all=True, append_images=[small])

    report, _, _ = cached(tmp_path, dataset(make))
    assert not codes(report)
