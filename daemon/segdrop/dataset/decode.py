"""Bytes of an image or mask to pixels: the only place where Pillow decodes what strangers sent.

Formats are an allow-list; sizes are limited before pixels are decoded; a truncated image is an error and
never completed with grey. Orientation by the EXIF tag is applied to image and mask alike, each by its own.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM")
#: formats whose encoder changes pixel values; WebP has both kinds and does not say which
LOSSY_FORMATS = frozenset({"JPEG"})
MAX_MASK_VALUE = 65_535

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: Pillow stretches grey PNGs of 2 and 4 bits over 0..255; these factors undo it
_PNG_GREY_STEPS = {2: 85, 4: 17}

Bytes = npt.NDArray[np.uint8]


class DecodeError(Exception):
    """The bytes are no readable image. ``code`` is the issue's code."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class DecodedImage:
    """An image at training size, and what it was before."""

    pixels: Bytes  # (height, width, 3)
    size: tuple[int, int]  #: (width, height) as displayed, before resizing
    is_deep: bool  #: had 16 bits a channel


@dataclass(frozen=True, slots=True)
class DecodedMask:
    """A mask's values at full size."""

    values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16]  # (height, width)
    is_lossy: bool


def configure(max_image_pixels: int) -> None:
    """Limit this process's decoding: larger images raise instead of warn."""
    Image.MAX_IMAGE_PIXELS = max_image_pixels
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    # Pillow says so about tags that we do not use
    warnings.filterwarnings("ignore", message=".*(EXIF|Metadata|Truncated File Read).*", category=UserWarning)


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
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
        raise DecodeError("image.unreadable", "it is no image of a known format") from error
    except Exception as error:  # hostile bytes: a decoder may raise anything
        raise DecodeError("image.unreadable", str(error)[:200] or type(error).__name__) from error


def read_image(content: bytes, height: int, width: int) -> DecodedImage:
    """An image as 8-bit RGB at training size (bilinear, antialiased).

    Grey becomes RGB; transparency is dropped, the colour under it kept, as most readers do; of 16-bit grey
    the upper 8 bits are kept. ``DecodeError`` for what cannot be decoded.
    """
    with _opened(content) as opened:
        upright = ImageOps.exif_transpose(opened)
        is_deep = upright.mode.startswith("I")
        rgb = _to_rgb(upright)
        resized = rgb if rgb.size == (width, height) else rgb.resize((width, height), Image.Resampling.BILINEAR)
        return DecodedImage(np.asarray(resized), upright.size, is_deep)


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


def read_mask(content: bytes) -> DecodedMask:
    """A mask's values as they are stored: palette indices, never colours; grey levels; bits.

    ``DecodeError`` for what cannot be decoded, or has colours or fractions instead of one value a pixel.
    """
    with _opened(content) as opened:
        is_lossy = opened.format in LOSSY_FORMATS
        upright = ImageOps.exif_transpose(opened)
        values = _one_channel(upright)
        if (step := _PNG_GREY_STEPS.get(_png_grey_bits(content))) is not None:
            values = values // step
        return DecodedMask(_narrow(values), is_lossy)


def _one_channel(image: Image.Image) -> npt.NDArray[np.generic]:
    """(height, width) of the stored values, in the type that Pillow has for them."""
    if image.mode in ("L", "P", "1") or image.mode.startswith("I"):
        return np.asarray(image)
    if image.mode in ("LA", "PA", "La"):
        return np.asarray(image.getchannel(0))
    if image.mode in ("RGB", "RGBA", "RGBX"):
        red, green, blue = (np.asarray(image.getchannel(channel)) for channel in range(3))
        if np.array_equal(red, green) and np.array_equal(red, blue):
            return red
        raise DecodeError("mask.unsupported_mode", "it has colours (RGB) instead of class values")
    raise DecodeError("mask.unsupported_mode", f"its pixels are of the mode {image.mode}")


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


def resize_nearest(
    values: npt.NDArray[np.uint8] | npt.NDArray[np.uint16], height: int, width: int
) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Mask values at another size, each the value nearest to its pixel's centre.

    Pillow's own, rounding at ties included, so that anybody with Pillow gets the same truth.
    """
    if values.shape == (height, width):
        return values
    return _narrow(np.asarray(Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST)))
