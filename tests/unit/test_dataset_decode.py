import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from builders import encoded, mask_image
from segdrop.dataset.masks import decode, image_reading


@pytest.fixture(autouse=True)
def _limits() -> None:
    decode.configure(100_000_000)


def ramp(height: int = 6, width: int = 8) -> np.ndarray:
    return np.arange(height * width, dtype=np.uint8).reshape(height, width)


@pytest.mark.parametrize("mode", ["L", "P", "LA", "I;16"])
def test_mask_values_are_those_stored(mode: str) -> None:
    assert np.array_equal(decode.read_mask(encoded(mask_image(ramp(), mode))).values, ramp())


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_colours_of_a_mask_are_packed(mode: str) -> None:
    pixels = np.array([[(1, 2, 3), (255, 0, 254)]], np.uint8)
    mask = decode.read_mask(encoded(Image.fromarray(pixels).convert(mode)))
    assert mask.is_colour
    assert mask.values.tolist() == [[0x010203, 0xFF00FE]]


def test_palette_colours_of_a_mask_are_never_read() -> None:
    content = encoded(mask_image(ramp(), "P"))
    assert not np.array_equal(np.asarray(Image.open(io.BytesIO(content)).convert("L")), ramp())
    assert np.array_equal(decode.read_mask(content).values, ramp())


@pytest.mark.parametrize(
    ("bits", "colour_type", "top"), [(1, 0, 1), (2, 0, 3), (4, 0, 15), (1, 3, 1), (2, 3, 3), (4, 3, 15)]
)
def test_narrow_png_masks_keep_their_small_values(bits: int, colour_type: int, top: int) -> None:
    values = np.array([[0, top]], np.uint8)
    content = narrow_png(values, bits, colour_type)
    assert decode.read_mask(content).values.tolist() == [[0, top]]


def narrow_png(values: np.ndarray, bits: int, colour_type: int) -> bytes:
    """A PNG of one row with so many bits a pixel: Pillow cannot write all of these."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))

    row = "".join(f"{value:0{bits}b}" for value in values[0]).ljust(8, "0")
    header = struct.pack(">2L5B", values.shape[1], 1, bits, colour_type, 0, 0, 0)
    palette = chunk(b"PLTE", bytes(range(3 * 2**bits))) if colour_type == 3 else b""
    data = zlib.compress(b"\0" + int(row, 2).to_bytes(len(row) // 8, "big"))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + palette + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def test_sixteen_bit_mask_keeps_large_values() -> None:
    values = np.array([[0, 1000], [65535, 7]], np.uint16)
    for image_format in ("PNG", "TIFF"):
        assert np.array_equal(decode.read_mask(encoded(values, image_format)).values, values)


def test_mask_of_fractions_or_negative_values_is_unsupported() -> None:
    for content in (
        encoded(np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4), "TIFF"),
        encoded(np.full((3, 4), -1, np.int32), "TIFF"),
    ):
        with pytest.raises(decode.DecodeError) as caught:
            decode.read_mask(content)
        assert caught.value.code == "mask.unsupported_mode"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_turns_image_and_mask_alike(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    mask = ramp()
    turned = decode.read_mask(encoded(mask, exif=exif)).values
    image = image_reading.read_image(encoded(np.stack([mask] * 3, axis=-1), exif=exif), turned.shape)
    assert np.array_equal(image.pixels[..., 0], turned)
    assert turned.shape == ((6, 8) if orientation < 5 else (8, 6))
    assert image.size == turned.shape[::-1]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16"])
def test_image_of_every_mode_becomes_rgb(mode: str) -> None:
    deep = Image.fromarray(ramp().astype(np.uint16) << 8)
    image = deep if mode == "I;16" else Image.fromarray(ramp()).convert(mode)
    image_format = "TIFF" if mode in ("CMYK", "YCbCr") else "PNG"
    decoded = image_reading.read_image(encoded(image, image_format), (6, 8))
    assert decoded.pixels.shape == (6, 8, 3)
    assert decoded.pixels.dtype == np.uint8
    if mode in ("L", "LA", "RGBA", "I;16"):
        assert np.array_equal(decoded.pixels[..., 1], ramp())


def test_palette_image_with_transparency_is_read_without_a_warning() -> None:
    palette = Image.fromarray(ramp()).convert("P")
    assert image_reading.read_image(encoded(palette, transparency=b"\x10\x20\x30"), (6, 8)).pixels.shape == (6, 8, 3)


@pytest.mark.parametrize(
    "content", [b"", b"x", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM" + bytes(20), b"II*\0" + bytes(30)]
)
def test_bytes_that_are_no_image_are_unreadable(content: bytes) -> None:
    for read in (decode.read_mask, lambda data: image_reading.read_image(data, (4, 4))):
        with pytest.raises(decode.DecodeError) as caught:
            read(content)
        assert caught.value.code == "image.unreadable"


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "BMP", "TIFF", "PPM"])
def test_truncated_image_is_never_completed(image_format: str) -> None:
    content = encoded(np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8), image_format)
    with pytest.raises(decode.DecodeError):
        image_reading.read_image(content[: len(content) * 2 // 3], (4, 4))


def test_formats_outside_the_list_are_not_tried() -> None:
    for image_format in ("ICO", "TGA", "PCX", "EPS"):
        with pytest.raises(decode.DecodeError, match="known format"):
            image_reading.read_image(encoded(np.zeros((16, 16, 3), np.uint8), image_format), (4, 4))


def test_oversized_image_is_refused_from_its_header() -> None:
    decode.configure(1000)
    with pytest.raises(decode.DecodeError) as caught:
        image_reading.read_image(encoded(np.zeros((40, 40, 3), np.uint8)), (4, 4))
    assert caught.value.code == "image.too_large"


@pytest.mark.parametrize("size", [(3, 5), (6, 8), (20, 31), (1, 1)])
def test_nearest_is_pillows_nearest(size: tuple[int, int]) -> None:
    height, width = size
    expected = Image.fromarray(ramp()).resize((width, height), Image.Resampling.NEAREST)
    assert np.array_equal(decode.resize_nearest(ramp(), height, width), np.asarray(expected))


def test_image_can_be_read_at_its_own_size_without_a_change_of_any_pixel() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    decoded = image_reading.read_image(encoded(image))
    assert np.array_equal(decoded.pixels, image)
    assert decoded.size == (7, 5)


@pytest.mark.parametrize("size", [None, (4, 9)])
def test_what_is_known_of_an_image_is_the_same_with_and_without_its_pixels(size: tuple[int, int] | None) -> None:
    content = encoded(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8))
    facts, decoded = image_reading.image_facts(content), image_reading.read_image(content, size)
    assert (facts.size, facts.thumbnail, facts.is_deep) == (decoded.size, decoded.thumbnail, decoded.is_deep)
