"""Images with more than 8 bits: their values as stored, and the 8 bits that they become."""

import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from builders import encoded
from builders.tiffs import tiff
from segdrop.dataset import deep_survey
from segdrop.dataset.masks import decode, deep_values, image_reading


@pytest.fixture(autouse=True)
def _limits() -> None:
    decode.configure(100_000_000)


def values(bands: int, dtype: str = "u2", seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 4000, (37, 53, bands)).astype(dtype)


def png16(pixels: np.ndarray, kind: int) -> bytes:
    """A PNG of 16 bits a channel, of a colour type; Pillow writes grey ones only."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + name + data + struct.pack(">L", zlib.crc32(name + data))

    height, width = pixels.shape[:2]
    header = struct.pack(">2L5B", width, height, 16, kind, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("kind", "bands"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_all_bits_of_a_png_are_had(kind: int, bands: int) -> None:
    pixels = values(bands)
    found = deep_values.deep_values(png16(pixels, kind))
    assert np.array_equal(found, pixels[..., : 3 if bands >= 3 else 1])


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [1, 8, 5, 32773])
@pytest.mark.parametrize(
    "form",
    [{}, {"is_planar": True}, {"tile": (16, 32)}, {"strip_rows": 5}, {"tile": (16, 16), "is_planar": True}],
    ids=str,
)
@pytest.mark.parametrize("bands", [1, 2, 3, 4, 7])
def test_all_bits_of_a_tiff_are_had(order: str, compression: int, form: dict[str, object], bands: int) -> None:
    pixels = values(bands)
    extra = [0] * (bands - 3 if bands >= 3 else bands - 1)
    content = tiff(pixels, order=order, compression=compression, extra=extra, **form)
    found = deep_values.deep_values(content)
    assert np.array_equal(found, pixels[..., : 3 if bands >= 3 else 1])


@pytest.mark.parametrize(
    ("dtype", "predictor"),
    [
        *((dtype, 1) for dtype in ("u2", "i2", "u4", "i4", "f4", "f8", "f2")),
        *((dtype, 2) for dtype in ("u2", "i2", "u4", "i4")),
        *((dtype, 3) for dtype in ("f4", "f8", "f2")),
    ],
)
@pytest.mark.parametrize("order", "<>")
def test_every_type_of_number_is_had(dtype: str, predictor: int, order: str) -> None:
    pixels = values(3, dtype)
    content = tiff(pixels, order=order, compression=8, predictor=predictor)
    found = deep_values.deep_values(content)
    assert found is not None
    assert found.dtype == pixels.dtype
    assert np.array_equal(found, pixels)


@pytest.mark.parametrize("photometric", [1, 2])
def test_eight_bits_in_bands_that_pillow_does_not_know_are_read(photometric: int) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (20, 30, 4)).astype(np.uint8)
    extra = [0] * (3 if photometric == 1 else 1)
    decoded = image_reading.read_image(tiff(pixels, photometric=photometric, extra=extra))
    assert np.array_equal(decoded.pixels, pixels[..., :3])
    assert decoded.num_bands == 4
    assert not decoded.is_deep


def test_bands_that_cannot_be_read_are_named() -> None:
    pixels = np.zeros((8, 8, 5), np.uint8)
    content = tiff(pixels, extra=[0] * 4, photometric=1).replace(
        struct.pack("<HHLL", 259, 3, 1, 1), struct.pack("<HHLL", 259, 3, 1, 34712)
    )
    with pytest.raises(decode.DecodeError, match=r"5 bands of 8 bits.*export it as RGB"):
        image_reading.read_image(content)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_arrays_are_turned_as_pillow_turns_images(orientation: int) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (5, 7, 3)).astype(np.uint8)
    image = Image.fromarray(pixels)
    image.getexif()[0x0112] = orientation
    assert np.array_equal(deep_values.turned(pixels, orientation), np.asarray(ImageOps.exif_transpose(image)))


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("bands", [1, 3])
def test_deep_tiffs_are_turned_as_they_say(orientation: int, bands: int) -> None:
    pixels = values(bands)
    found = deep_values.deep_values(tiff(pixels, orientation=orientation))
    assert np.array_equal(found, deep_values.turned(pixels, orientation))


def test_without_a_range_the_upper_8_bits_remain() -> None:
    deep = (np.arange(64 * 64) * 16).astype(np.uint16).reshape(64, 64)
    pixels = image_reading.read_image(encoded(deep)).pixels
    assert np.array_equal(pixels[..., 0], deep >> 8)


@pytest.mark.parametrize("dtype", ["u2", "i4", "f4", "u4"])
def test_values_of_8_bits_in_more_stay_as_they_are(dtype: str) -> None:
    pixels = np.arange(256).reshape(16, 16, 1).astype(dtype)
    assert np.array_equal(deep_values.to_bytes(pixels, (0, 255))[..., 0], np.arange(256).reshape(16, 16))


def test_no_data_is_black_and_out_of_the_range() -> None:
    pixels = values(1, "i2") + 500
    pixels[:5] = -9999
    found = deep_values.deep_values(tiff(pixels, no_data="-9999"))
    assert found is not None
    assert found.min() >= 500
    fractions = pixels.astype(np.float32)
    found = deep_values.deep_values(tiff(fractions, no_data="-9999.0"))
    assert found is not None
    assert np.isnan(found[:5]).all()
    assert not deep_values.to_bytes(found, (0, 5000))[:5].any()


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 3060, (0, 3060)),
        (3, 4000, (0, 4000)),
        (0, 200, (0, 255)),
        (0, 60_000, (0, 65_535)),
        (1000, 4000, (0, 4000)),
        (7000, 9000, (7000, 9000)),
        (180, 250, (0, 255)),
        (-1000, 3000, (-1000, 3000)),
    ],
)
def test_range_is_that_of_the_values(low: int, high: int, expected: tuple[int, int]) -> None:
    found = deep_survey.chosen(np.linspace(low, high, 10_001).round(), is_whole=True)
    assert found == expected


@pytest.mark.parametrize(("high", "expected"), [(0.9, (0, 1)), (240.0, (0, 255)), (0.2, (0, 0.2)), (9.0, (0, 9))])
def test_range_of_fractions(high: float, expected: tuple[float, float]) -> None:
    assert deep_survey.chosen(np.linspace(0, high, 10_001), is_whole=False) == pytest.approx(expected)


def test_a_hot_pixel_does_not_darken_all_others() -> None:
    pixels = np.append(np.linspace(0, 800, 10_000).round(), 65_535)
    assert deep_survey.chosen(pixels, is_whole=True) == pytest.approx((0, 800), abs=2)


def test_one_value_has_a_range() -> None:
    assert deep_survey.chosen(np.zeros(5), is_whole=True) == (0, 1)
