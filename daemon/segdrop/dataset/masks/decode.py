"""From the bytes of a mask to values, and what images and masks share: here alone Pillow opens untrusted bytes.

Formats are an allow-list; sizes are limited before pixels are decoded; a truncated image is an error and never
completed with grey. Orientation by the EXIF tag is applied to image and mask alike, each by its own.
"""

import io
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from segdrop.codes import Code
from segdrop.dataset.masks import heic, pixel_values
from segdrop.dataset.masks.stored import OPAQUE, TRANSPARENT, AlphaUse, Decoding, FileFacts, PaletteUse
from segdrop.dataset.masks.tiff import tiff

FORMATS = ("PNG", "JPEG", "BMP", "DIB", "TIFF", "WEBP", "GIF", "PPM")
#: formats that are read where nothing is learnt from them: (offset, first bytes, name). TGA is told by its end
#: (Truevision TGA, version 2.0): without that, anything might be one.
_FURTHER_FORMATS = (
    *((4, b"ftyp" + brand, "AVIF") for brand in (b"avif", b"avis")),
    *((0, start, "JPEG2000") for start in (b"\x00\x00\x00\x0cjP  \r\n\x87\n", b"\xff\x4f\xff\x51")),
    (0, b"qoif", "QOI"),
    (0, b"\x01\xda", "SGI"),
    *((0, b"\n" + version + b"\x01", "PCX") for version in (b"\0", b"\2", b"\3", b"\5")),
)
_TGA_MARK, _TGA_FOOTER_BYTES = b"TRUEVISION-XFILE", 18
#: formats whose encoder changes pixel values; WebP has both kinds and does not say which
LOSSY_FORMATS = frozenset({"JPEG", heic.FORMAT})
#: formats that can hold several frames
ANIMATED = frozenset({"GIF", "PNG", "WEBP"})
MAX_MASK_VALUE = 65_535
_COLOUR_MODES = frozenset({"RGB", "RGBA", "RGBX"})
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA"})
_AS_STORED = Decoding()

_ORIENTATION = 0x0112
_MOST_BYTE = 255
_PNG_TURNERS = (b"eXIf", b"exif", b"XML:com.adobe.xmp")
_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
#: the signature is made to show this: CR LF to LF, LF to CR LF, the eighth bit gone (PNG specification, 5.2)
_MANGLED_PNG = (b"\x89PNG\n", b"\x89PNG\r\r\n", b"\x89PNG\r\n\x1a\r\n", b"\tPNG\r\n", b"\xef\xbf\xbdPNG")
#: what stands in place of images under their names: (offset, first bytes, kind)
_OTHER_KINDS = (
    *((4, b"ftyp" + brand, "a HEIC photograph") for brand in (b"heic", b"heix", b"mif1", b"msf1", b"hevc")),
    (4, b"ftypavif", "an AVIF image"),
    (4, b"ftypcrx ", "a raw photograph"),
    (4, b"ftyp", "a video"),
    (128, b"DICM", "a DICOM image"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image"),
    (0, b"8BPS", "a Photoshop drawing"),
    (0, b"%PDF", "a PDF document"),
    (0, b"PK\x03\x04", "a ZIP archive"),
    (0, b"<svg", "an SVG drawing"),
    *((0, start, "a web page") for start in (b"<!DOCTYPE html", b"<!doctype html", b"<html")),
)
#: Pillow stretches grey PNGs of 2 and 4 bits over 0..255; these factors undo it
_PNG_GREY_STEPS = {2: 85, 4: 17}

Bytes = npt.NDArray[np.uint8]
Values = npt.NDArray[np.integer]


class DecodeError(Exception):
    """The bytes are no readable image. ``code`` is the issue's code."""

    def __init__(self, code: Code, reason: str) -> None:
        super().__init__(reason)
        self.code = code


@dataclass(frozen=True, slots=True)
class DecodedMask:
    """The values of a mask at full size: (height, width), uint8 or uint16, or int32 0xRRGGBB where they are colours."""

    values: Values
    is_lossy: bool
    is_colour: bool
    facts: FileFacts | None = None
    transparent: npt.NDArray[np.bool_] | None = None  #: pixels to be read as such, where that is asked for


def configure(max_image_pixels: int) -> None:
    """Limit the decoding of this process: larger images raise instead of warn."""
    Image.MAX_IMAGE_PIXELS = max_image_pixels
    warnings.filterwarnings("error", category=Image.DecompressionBombWarning)
    # Pillow says so about tags that we do not use
    warnings.filterwarnings("ignore", message=".*(EXIF|Metadata|Truncated File Read).*", category=UserWarning)


def allow(width: int, height: int) -> None:
    """Raises DecodeError for a size with more pixels than an image may have."""
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise DecodeError(Code.IMAGE_TOO_LARGE, f"{width}x{height} are more than {Image.MAX_IMAGE_PIXELS} pixels")


def orientation(content: bytes) -> int:
    """Returns the EXIF orientation of an image from its header, 1 where it has none."""
    if content.startswith(_PNG_SIGNATURE) and not any(word in content for word in _PNG_TURNERS):
        return 1  # Pillow decodes a PNG to find its tags
    with guarded(content), Image.open(io.BytesIO(content), formats=formats(content)) as image:
        return int(image.getexif().get(_ORIENTATION, 1))


def formats(content: bytes) -> tuple[str, ...]:
    """Returns the formats that these bytes may be of."""
    return (heic.FORMAT,) if heic.is_heic(content) and heic.is_installed() else FORMATS


def further_formats(content: bytes) -> tuple[str, ...]:
    """Returns the formats that these bytes may be of, also those that are read where nothing is learnt from them."""
    found = next((name for place, start, name in _FURTHER_FORMATS if content[place:].startswith(start)), None)
    if found is None and content[-_TGA_FOOTER_BYTES:].startswith(_TGA_MARK):
        found = "TGA"
    return (found,) if found is not None and _is_known(found) else formats(content)


def _is_known(name: str) -> bool:
    """Whether Pillow reads a format, which depends on its version and on how it was built."""
    Image.init()
    return name in Image.OPEN


@contextmanager
def opened(content: bytes, allowed: tuple[str, ...] | None = None) -> Iterator[Image.Image]:
    """Yields the decoded image, of one of the ``allowed`` formats, by default of those of training.

    Raises DecodeError for whatever goes wrong meanwhile.
    """
    with guarded(content), Image.open(io.BytesIO(content), formats=allowed or formats(content)) as image:
        image.load()
        yield image


@contextmanager
def guarded(content: bytes) -> Iterator[None]:
    """Turns whatever goes wrong while these bytes are decoded into a DecodeError."""
    try:
        yield
    except DecodeError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning, MemoryError) as error:
        limit = f"it has more than {Image.MAX_IMAGE_PIXELS} pixels"
        raise DecodeError(
            Code.IMAGE_TOO_LARGE, "not enough memory" if isinstance(error, MemoryError) else limit
        ) from error
    except UnidentifiedImageError as error:
        raise _no_image(content) from error
    except Exception as error:  # hostile bytes: a decoder may raise anything
        raise DecodeError(Code.IMAGE_UNREADABLE, str(error)[:200] or type(error).__name__) from error


def _no_image(content: bytes) -> DecodeError:
    """Returns the error that says what stands in place of an image."""
    if content.startswith(b"version https://git-lfs"):
        return DecodeError(Code.IMAGE_NOT_FETCHED, "it is a Git LFS pointer")
    if content.startswith(_MANGLED_PNG):
        return DecodeError(Code.IMAGE_TEXT_MANGLED, "its PNG signature has changed line ends")
    if not content:
        return DecodeError(Code.IMAGE_UNREADABLE, "it is empty")
    if heic.is_heic(content):
        return DecodeError(Code.IMAGE_UNREADABLE, heic.MISSING)
    kind = next((kind for place, magic, kind in _OTHER_KINDS if content[place:].startswith(magic)), None)
    found = f"it is {kind}, whatever its name says" if kind else "it is no image of a known format"
    return DecodeError(Code.IMAGE_UNREADABLE, found)


def read_mask(content: bytes, legend: Collection[int] = (), decoding: Decoding = _AS_STORED) -> DecodedMask:
    """Returns a mask's values as they are stored: palette indices, grey levels, bits or colours.

    A palette stands for its indices, and for its colours where ``decoding`` says so or all that are in use are in the
    ``legend``. Raises DecodeError where the mask cannot be decoded, or has fractions instead of one value a pixel.
    """
    with opened(content) as image:
        _refuse_pages(content, image)
        is_lossy = image.format in LOSSY_FORMATS
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "P":
            return _indexed(image, legend, decoding, is_lossy=is_lossy)
        is_colour = image.mode in _COLOUR_MODES
        values: Values = pixel_values.packed(image) if is_colour else _grey(image, content)
        if image.mode not in _ALPHA_MODES:
            return DecodedMask(_opacity(values, decoding), is_lossy, is_colour and decoding.alpha is not AlphaUse.VALUE)
        return _with_alpha(image, values, decoding, is_lossy=is_lossy)


def _grey(image: Image.Image, content: bytes) -> Values:
    """Returns the values of a mask of one channel."""
    values = _one_channel(image)
    step = _PNG_GREY_STEPS.get(_png_grey_bits(content))
    return _narrow(values if step is None else values // step)


def _opacity(values: Values, decoding: Decoding) -> Values:
    """Returns the values of an opaque mask, or its opacity where that is what counts."""
    return np.full(values.shape, 255, np.uint8) if decoding.alpha is AlphaUse.VALUE else values


def _with_alpha(image: Image.Image, values: Values, decoding: Decoding, *, is_lossy: bool) -> DecodedMask:
    """Returns a mask that has an alpha channel."""
    is_colour = image.mode in _COLOUR_MODES
    channel = image.getchannel("A")
    if channel.getextrema() == (255, 255):
        return DecodedMask(_opacity(values, decoding), is_lossy, is_colour and decoding.alpha is not AlphaUse.VALUE)
    alpha = np.asarray(channel)
    if decoding.alpha is AlphaUse.VALUE:
        return DecodedMask(alpha, is_lossy, is_colour=False)
    is_clear = alpha < OPAQUE
    facts = FileFacts(opaque=pixel_values.some(values[~is_clear]), transparent=pixel_values.some(values[is_clear]))
    return DecodedMask(values, is_lossy, is_colour, facts, None if decoding.alpha is AlphaUse.DROPPED else is_clear)


def _indexed(image: Image.Image, legend: Collection[int], decoding: Decoding, *, is_lossy: bool) -> DecodedMask:
    """Returns a mask with a palette."""
    indices = np.asarray(image)
    colours, is_clear = pixel_values.palette(image)
    used = [index for index, count in enumerate(image.histogram()[:256]) if count]
    shown = {index: TRANSPARENT if is_clear[index] else int(colours[index]) for index in used}
    facts = FileFacts(shown)
    if clear := frozenset(int(colours[index]) for index in used if is_clear[index]):
        facts = replace(facts, opaque=frozenset(shown.values()) - {TRANSPARENT}, transparent=clear)
    if decoding.alpha is AlphaUse.VALUE:
        return DecodedMask(np.where(is_clear, 0, 255).astype(np.uint8)[indices], is_lossy, is_colour=False)
    by_legend = decoding.palettes is PaletteUse.LEGEND and bool(legend)
    if decoding.palettes is PaletteUse.COLOUR or (by_legend and {int(colours[index]) for index in used} <= set(legend)):
        outside = is_clear[indices] if decoding.alpha is not AlphaUse.DROPPED else None
        facts = replace(facts, is_by_colour=True)
        return DecodedMask(colours[indices], is_lossy, is_colour=True, facts=facts, transparent=outside)
    return DecodedMask(indices, is_lossy, is_colour=False, facts=facts)


def _refuse_pages(content: bytes, image: Image.Image) -> None:
    """Raises DecodeError for a stack of masks: which of them belongs to the image is not known."""
    page = tiff(content)
    if page is not None and page.no_data is not None:
        _refuse_no_data(page.no_data, image)
    num_pages = page.num_pages if page else getattr(image, "n_frames", 1) if image.format in ANIMATED else 1
    if num_pages > 1:
        raise DecodeError(Code.MASK_PAGES, f"it holds {num_pages} pages (slices of a stack, or frames)")


def _refuse_no_data(no_data: float, image: Image.Image) -> None:
    """Raises DecodeError for a mask with pixels of a number that stands for no data and is too large for a class, or
    no number.
    """
    is_small = 0 <= no_data <= _MOST_BYTE
    if is_small or not (image.mode.startswith("I") or image.mode == "F"):
        return
    values = np.asarray(image)
    if np.any(values == no_data) or (np.isnan(no_data) and np.isnan(values).any()):
        command = f"gdalwarp -srcnodata {no_data:g} -dstnodata 255 -ot Byte IN.tif OUT.tif"
        reason = f"its value {no_data:g} stands for no data (GDAL_NODATA): write 255, which is ignored ({command})"
        raise DecodeError(Code.MASK_UNSUPPORTED_MODE, reason)


def _one_channel(image: Image.Image) -> npt.NDArray[np.generic]:
    """Returns the stored values, (height, width), in the type that Pillow has for them."""
    if image.mode in ("L", "P", "1") or image.mode.startswith("I"):
        return np.asarray(image)
    if image.mode == "F":
        return _whole(np.asarray(image))
    if image.mode in ("LA", "PA", "La"):
        return np.asarray(image.getchannel(0))
    raise DecodeError(Code.MASK_UNSUPPORTED_MODE, f"its pixels are of the mode {image.mode}")


def _whole(values: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    """Returns whole numbers that are stored as 32-bit floats. Raises DecodeError where one is no whole number."""
    numbers = values.astype(np.float64)
    odd = numbers[~(np.isfinite(numbers) & (numbers == np.rint(numbers)))]
    if odd.size:
        reason = f"its pixels are decimal numbers (floats) and not whole ones, such as {float(odd[0]):g}"
        raise DecodeError(Code.MASK_UNSUPPORTED_MODE, reason)
    if np.abs(numbers).max(initial=0) > MAX_MASK_VALUE:
        raise DecodeError(Code.MASK_UNSUPPORTED_MODE, f"its values are outside 0..{MAX_MASK_VALUE}")
    return numbers.astype(np.int64)


def _narrow(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8] | npt.NDArray[np.uint16]:
    """Returns values in the smallest type that holds them. Raises DecodeError for values that no mask has."""
    if values.dtype == np.uint8:
        return values.astype(np.uint8, copy=False)
    if values.dtype == np.bool_:
        return values.astype(np.uint8)
    if values.dtype.kind not in "iu" or values.min() < 0 or values.max() > MAX_MASK_VALUE:
        raise DecodeError(Code.MASK_UNSUPPORTED_MODE, f"its values are outside 0..{MAX_MASK_VALUE}")
    return values.astype(np.uint16)


def _png_grey_bits(content: bytes) -> int:
    """Returns the bit depth of a grey PNG (PNG specification, 11.2.2 IHDR), and 0 for all else."""
    if content.startswith(_PNG_SIGNATURE) and content[25:26] == b"\0":
        return content[24]
    return 0


def resize_nearest(values: Values, height: int, width: int) -> Values:
    """Returns mask values at another size, each the value nearest to its pixel's centre.

    The rule is Pillow's own, rounding at ties included, so that anybody with Pillow gets the same truth.
    """
    if values.shape == (height, width):
        return values
    resized = Image.fromarray(values).resize((width, height), Image.Resampling.NEAREST)
    return np.asarray(resized).astype(values.dtype, copy=False)
