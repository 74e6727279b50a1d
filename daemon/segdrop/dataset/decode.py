"""Bytes of an image or mask to pixels: the only place where Pillow decodes what strangers sent.

Formats are an allow-list; sizes are limited before pixels are decoded; a truncated image is an error and
never completed with grey. Orientation by the EXIF tag is applied to image and mask alike, each by its own.
"""

import io
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from segdrop.dataset import similarity

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM")
#: formats whose encoder changes pixel values; WebP has both kinds and does not say which
LOSSY_FORMATS = frozenset({"JPEG"})
MAX_MASK_VALUE = 65_535
_COLOUR_MODES = frozenset({"RGB", "RGBA", "RGBX"})

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: the signature is made to show this: CR LF to LF, LF to CR LF, the eighth bit gone (PNG specification, 5.2)
_MANGLED_PNG = (b"\x89PNG\n", b"\x89PNG\r\r\n", b"\x89PNG\r\n\x1a\r\n", b"\tPNG\r\n", b"\xef\xbf\xbdPNG")
#: Pillow stretches grey PNGs of 2 and 4 bits over 0..255; these factors undo it
_PNG_GREY_STEPS = {2: 85, 4: 17}

Bytes = npt.NDArray[np.uint8]
Values = npt.NDArray[np.integer]


class DecodeError(Exception):
    """The bytes are no readable image. ``code`` is the issue's code."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image at training size, and what it was before."""

    pixels: Bytes  # (height, width, 3); none (0, 0, 3) where no size was asked for
    thumbnail: bytes  #: see ``similarity``
    size: tuple[int, int]  #: (width, height) as displayed, before resizing
    is_deep: bool  #: had 16 bits a channel


@dataclass(frozen=True, slots=True)
class DecodedMask:
    """A mask's values at full size: (height, width), uint8 or uint16; int32 0xRRGGBB where they are colours."""

    values: Values
    is_lossy: bool
    is_colour: bool


def configure(max_image_pixels: int) -> None:
    """Limit this process's decoding: larger images raise instead of warn."""
    Image.MAX_IMAGE_PIXELS = max_image_pixels
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    # Pillow says so about tags that we do not use
    warnings.filterwarnings("ignore", message=".*(EXIF|Metadata|Truncated File Read).*", category=UserWarning)


def allow(width: int, height: int) -> None:
    """``DecodeError`` for a size with more pixels than an image may have."""
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise DecodeError("image.too_large", f"{width}x{height} are more than {Image.MAX_IMAGE_PIXELS} pixels")


@contextmanager
def opened(content: bytes) -> Iterator[Image.Image]:
    """The image, decoded and upright; ``DecodeError`` for whatever goes wrong meanwhile."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            image.load()
            yield image
    except DecodeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        limit = f"it has more than {Image.MAX_IMAGE_PIXELS} pixels"
        raise DecodeError(
            "image.too_large", "not enough memory" if isinstance(error, MemoryError) else limit
        ) from error
    except UnidentifiedImageError as error:
        raise _no_image(content) from error
    except Exception as error:  # hostile bytes: a decoder may raise anything
        raise DecodeError("image.unreadable", str(error)[:200] or type(error).__name__) from error


def _no_image(content: bytes) -> DecodeError:
    """What stands in place of an image."""
    if content.startswith(b"version https://git-lfs"):
        return DecodeError("image.not_fetched", "it is a Git LFS pointer")
    if content.startswith(_MANGLED_PNG):
        return DecodeError("image.text_mangled", "its PNG signature has changed line ends")
    if not content:
        return DecodeError("image.unreadable", "it is empty")
    return DecodeError("image.unreadable", "it is no image of a known format")


def read_image(content: bytes, size: tuple[int, int] | None) -> DecodedImage:
    """An image as 8-bit RGB at training size, (height, width), bilinear and antialiased.

    Grey becomes RGB; transparency is dropped, the colour under it kept, as most readers do; of 16-bit grey
    the upper 8 bits are kept. ``DecodeError`` for what cannot be decoded.
    """
    with opened(content) as image:
        ImageOps.exif_transpose(image, in_place=True)
        rgb = _to_rgb(image)
        pixels = np.empty((0, 0, 3), np.uint8) if size is None else np.asarray(_resized(rgb, size))
        return DecodedImage(pixels, similarity.thumbnail(rgb), image.size, image.mode.startswith("I"))


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    height, width = size
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BILINEAR)


def read_to_show(content: bytes, max_side: int) -> tuple[Bytes, tuple[int, int]]:
    """An image (height, width, 3) for people, at most so large, and its own (width, height) as displayed."""
    with opened(content) as image:
        ImageOps.exif_transpose(image, in_place=True)
        rgb = _to_rgb(image)
        scale = min(1.0, max_side / max(rgb.size))
        width, height = (max(1, round(side * scale)) for side in rgb.size)
        return np.asarray(_resized(rgb, (height, width))), image.size


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise DecodeError("image.unreadable", "its pixels are floating-point numbers")
    if image.mode.startswith("I"):
        deep = np.asarray(image)
        return Image.fromarray(np.clip(deep >> 8, 0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "P":
        # by way of RGBA: Pillow warns about palettes with transparency otherwise
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")


def read_mask(content: bytes, legend: Collection[int] = ()) -> DecodedMask:
    """A mask's values as they are stored: palette indices, grey levels, bits, colours.

    A palette stands for its indices; for its colours only where all that are in use are in the ``legend``.
    ``DecodeError`` for what cannot be decoded, or has fractions instead of one value a pixel.
    """
    with opened(content) as image:
        is_lossy = image.format in LOSSY_FORMATS
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode in _COLOUR_MODES:
            return DecodedMask(_packed(image), is_lossy, is_colour=True)
        values = _one_channel(image)
        if image.mode == "P" and legend and (colours := _palette_colours(image, values, legend)) is not None:
            return DecodedMask(colours[values], is_lossy, is_colour=True)
        if (step := _PNG_GREY_STEPS.get(_png_grey_bits(content))) is not None:
            values = values // step
        return DecodedMask(_narrow(values), is_lossy, is_colour=False)


def _one_channel(image: Image.Image) -> npt.NDArray[np.generic]:
    """(height, width) of the stored values, in the type that Pillow has for them."""
    if image.mode in ("L", "P", "1") or image.mode.startswith("I"):
        return np.asarray(image)
    if image.mode in ("LA", "PA", "La"):
        return np.asarray(image.getchannel(0))
    raise DecodeError("mask.unsupported_mode", f"its pixels are of the mode {image.mode}")


def _packed(image: Image.Image) -> npt.NDArray[np.int32]:
    """0xRRGGBB, (height, width); transparency is dropped. Pillow lays the bytes out: numpy takes six times as long."""
    laid_out = (image if image.mode == "RGB" else image.convert("RGB")).tobytes("raw", "BGRX")
    return np.frombuffer(laid_out, "<i4").reshape(image.size[::-1])  # the fourth byte is zero


def _palette_colours(
    image: Image.Image, values: npt.NDArray[np.generic], legend: Collection[int]
) -> npt.NDArray[np.int32] | None:
    """The palette as colours by index, if those in use are all in the legend."""
    palette = image.getpalette("RGB") or []
    table = np.zeros(256, np.int32)
    channels = np.asarray(palette, np.int32).reshape(-1, 3)
    table[: len(channels)] = channels[:, 0] << 16 | channels[:, 1] << 8 | channels[:, 2]
    used = np.flatnonzero(np.bincount(values.ravel()))
    return table if set(table[used].tolist()) <= set(legend) else None


def _narrow(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > MAX_MASK_VALUE:
        raise DecodeError("mask.unsupported_mode", f"its values are outside 0..{MAX_MASK_VALUE}")
    return values.astype(np.uint16)


def _png_grey_bits(content: bytes) -> int:
    """Bit depth of a grey PNG (PNG specification, 11.2.2 IHDR); 0 for all else."""
    if content.startswith(_PNG_SIGNATURE) and content[25:26] == b"\0":
        return content[24]
    return 0


def resize_nearest(values: Values, height: int, width: int) -> Values:
    """Mask values at another size, each the value nearest to its pixel's centre.

    Pillow's own, rounding at ties included, so that anybody with Pillow gets the same truth.
    """
    if values.shape == (height, width):
        return values
    resized = Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized).astype(values.dtype, copy=False)
