"""From the bytes of an image to pixels that a model sees: upright, RGB, 8 bits a channel."""

import io
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from segdrop.codes import Code
from segdrop.dataset.masks import decode, deep_values
from segdrop.dataset.masks.deep_values import FULL_RANGE, DeepRange
from segdrop.dataset.masks.placing import View
from segdrop.dataset.masks.tiff import Tiff, TiffError, tiff, tiff_numbers
from segdrop.dataset.split import similarity

#: width and height of the glance at an image
GLANCE_SIDE = 128
_ORIENTATION = 0x0112
_ALPHA_MODES = frozenset({"RGBA", "LA", "PA"})
_NUM_CHANNELS = 3
_BYTE = 8
_BYTE_RANGE: DeepRange = (0, 255)
#: an alpha channel with so many values is no matte
_MANY_VALUES = 32


@dataclass(frozen=True, slots=True)
class ImageFacts:
    """Tells what is known of an image that was decoded, whether or not its pixels are kept."""

    thumbnail: bytes  #: see :mod:`~segdrop.dataset.split.similarity`
    size: tuple[int, int]  #: (width, height) as displayed, before resizing
    is_deep: bool  #: had more than 8 bits a channel
    orientation: int = 1  #: how it was turned, by the number of its EXIF tag; 1 is not at all
    num_bands: int = 3  #: bands without alpha, as far as more than one of them was left out; grey counts as three
    num_pages: int = 1  #: pages or frames of which the first was read
    clear_share: float = 0.0  #: of the pixels, that are more transparent than not
    glance: decode.Bytes | None = None  #: (GLANCE_SIDE, GLANCE_SIDE, 3) uint8, RGB, where it was asked for

    @property
    def view(self) -> View:
        """Returns how it is displayed."""
        return View(self.size, self.orientation)


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodedImage(ImageFacts):
    """An image with its pixels, at the size that was asked for."""

    pixels: decode.Bytes  #: (height, width, 3) uint8, RGB


def image_facts(content: bytes, deep_range: DeepRange | None = None, *, with_glance: bool = False) -> ImageFacts:
    """Returns what is known of an image, having decoded all of it. Raises DecodeError where that is not possible."""
    with decode.guarded(content):
        facts, rgb = _upright_rgb(content, deep_range)
        glance = _glance(rgb) if with_glance else None
        return replace(facts, thumbnail=similarity.thumbnail(rgb), glance=glance)


def _glance(rgb: Image.Image) -> decode.Bytes:
    """Returns a small picture, whatever the shape of the image: means of four single pixels, nearly those of all."""
    grid = rgb.resize((2 * GLANCE_SIDE, 2 * GLANCE_SIDE), Image.Resampling.NEAREST)
    return np.asarray(grid.reduce(2))


def view(content: bytes) -> View:
    """Returns how an image is displayed, from its header. Raises DecodeError where it is damaged."""
    page = tiff(content)
    if page is not None:
        size, orientation = page.size, page.orientation
    else:
        orientation = decode.orientation(content)
        with decode.guarded(content), Image.open(io.BytesIO(content), formats=decode.formats(content)) as image:
            size = image.size
    stored = View(size, orientation)
    return View(stored.stored_size, orientation)


def num_pixels(content: bytes) -> int:
    """Returns the pixels of an image that :func:`read_whole` reads, from its header. Raises DecodeError."""
    with decode.guarded(content), Image.open(io.BytesIO(content), formats=decode.further_formats(content)) as image:
        return image.width * image.height


def read_image(
    content: bytes,
    size: tuple[int, int] | None = None,
    deep_range: DeepRange | None = None,
    *,
    with_glance: bool = False,
) -> DecodedImage:
    """Returns an image as 8-bit RGB, (height, width, 3), resized bilinearly and antialiased to ``size``.

    ``size`` is (height, width); without one, the image keeps its own. Grey becomes RGB; transparency is dropped and the
    colour under it kept, as most readers do. Of more than 8 bits, ``deep_range`` says which values become black and
    white; without it the upper 8 of 16 bits are kept. Raises DecodeError where the image cannot be decoded.
    """
    with decode.guarded(content):
        facts, rgb = _upright_rgb(content, deep_range)
        pixels = np.asarray(_resized(rgb, size or rgb.size[::-1]))
        known = {field.name: getattr(facts, field.name) for field in fields(facts)}
        known |= {"thumbnail": similarity.thumbnail(rgb), "glance": _glance(rgb) if with_glance else None}
        return DecodedImage(**known, pixels=pixels)


def read_to_show(content: bytes, max_side: int, deep_range: DeepRange | None = None) -> tuple[decode.Bytes, ImageFacts]:
    """Returns an image (height, width, 3) for people, and what is known of it, without its thumbnail.

    Neither side of the picture is longer than ``max_side`` pixels; smaller images are not enlarged.
    """
    with decode.guarded(content):
        facts, rgb = _upright_rgb(content, deep_range)
        scale = min(1.0, max_side / max(rgb.size))
        width, height = (max(1, round(side * scale)) for side in rgb.size)
        return np.asarray(_resized(rgb, (height, width))), facts


def read_whole(content: bytes, deep_range: DeepRange | None = None) -> tuple[decode.Bytes, ImageFacts]:
    """Returns an image (height, width, 3) at its own size, and what is known of it, without its thumbnail.

    The pixels are those of :func:`read_image`; formats that training does not read are read as well. Raises DecodeError
    where the image cannot be decoded.
    """
    with decode.guarded(content):
        facts, rgb = _upright_rgb(content, deep_range, decode.further_formats(content))
        return np.asarray(rgb), facts


def _upright_rgb(
    content: bytes, deep_range: DeepRange | None, formats: tuple[str, ...] | None = None
) -> tuple[ImageFacts, Image.Image]:
    """Returns what is known of an image but its thumbnail, and the image in 8-bit RGB, turned as its EXIF tag says."""
    page = tiff(content)
    if (numbers := deep_numbers(content, page)) is not None:
        rgb = _deep_rgb(numbers, deep_range)
        orientation = page.orientation if page else decode.orientation(content)
        return ImageFacts(b"", rgb.size, is_deep=True, orientation=orientation, **_left_out(page)), rgb
    try:
        with decode.opened(content, formats) as image:
            return _ordinary(image, page)
    except decode.DecodeError as error:
        if page is None or error.code is not Code.IMAGE_UNREADABLE:
            raise
        rgb = _by_bands(content, page)
        return ImageFacts(b"", rgb.size, is_deep=False, orientation=page.orientation, **_left_out(page)), rgb


def deep_numbers(content: bytes, page: Tiff | None = None) -> npt.NDArray[Any] | None:
    """Returns the values of an image with more than 8 bits, or None for another. Raises DecodeError."""
    page = page or tiff(content)
    if page is not None:
        decode.allow(*page.size)
    with decode.guarded(content):
        try:
            return deep_values.deep_values(content)
        except TiffError as error:
            raise _not_read(page, error) from error


def _deep_rgb(numbers: npt.NDArray[Any], deep_range: DeepRange | None) -> Image.Image:
    """Returns values with more than 8 bits as a picture. Raises DecodeError for fractions of an unknown range."""
    if deep_range is None and numbers.dtype.kind == "f":
        raise decode.DecodeError(Code.IMAGE_UNREADABLE, "its pixels are floating-point numbers of an unknown range")
    return deep_values.deep_image(numbers, deep_range or FULL_RANGE)


def _by_bands(content: bytes, page: Tiff) -> Image.Image:
    """Returns the first bands of a TIFF that Pillow does not know. Raises DecodeError where we do not either."""
    if not page.is_plain or page.bits != _BYTE:
        raise _not_read(page, "that is not read")
    with decode.guarded(content):
        try:
            values = deep_values.turned(tiff_numbers(content, page), page.orientation)
        except TiffError as error:
            raise _not_read(page, error) from error
    return deep_values.deep_image(values, _BYTE_RANGE)


def _not_read(page: Tiff | None, reason: object) -> decode.DecodeError:
    """Returns the error for a TIFF whose numbers cannot be had."""
    form = f"it has {page.num_samples} bands of {page.bits} bits, and " if page else ""
    return decode.DecodeError(
        Code.IMAGE_UNREADABLE, f"{form}{reason}: export it as RGB with 8 or 16 bits, uncompressed"
    )


def _left_out(page: Tiff | None) -> dict[str, Any]:
    """Returns what of a TIFF is not read, as fields of ImageFacts."""
    if page is None:
        return {}
    return {"num_bands": page.num_bands if page.is_plain else _NUM_CHANNELS, "num_pages": page.num_pages}


def _ordinary(image: Image.Image, page: Tiff | None) -> tuple[ImageFacts, Image.Image]:
    """Returns what is known of a decoded image of 8 bits, and its pixels, upright."""
    left_out = _left_out(page)
    if image.format in decode.ANIMATED and getattr(image, "is_animated", False):
        left_out["num_pages"] = getattr(image, "n_frames", 1)
    orientation = page.orientation if page else image.getexif().get(_ORIENTATION, 1)
    ImageOps.exif_transpose(image, in_place=True)
    clear_share, is_band = _transparency(image)
    if is_band:
        left_out["num_bands"] = _NUM_CHANNELS + 1
    rgb = _to_rgb(image)
    return ImageFacts(b"", image.size, is_deep=False, orientation=orientation, clear_share=clear_share, **left_out), rgb


def _transparency(image: Image.Image) -> tuple[float, bool]:
    """Returns the share of pixels that are more transparent than not, and whether the alpha channel is
    rather a fourth band: it has many values, and few are quite clear or quite opaque.
    """
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode not in _ALPHA_MODES:
        return 0.0, False
    counts = np.asarray(image.getchannel("A").histogram())
    total = int(counts.sum())
    if np.count_nonzero(counts) >= _MANY_VALUES and int(counts[1:255].sum()) > total / 2:
        return 0.0, True
    return int(counts[:128].sum()) / total, False


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Returns the image at (height, width)."""
    height, width = size
    return image if image.size == (width, height) else image.resize((width, height), Image.Resampling.BILINEAR)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Returns an image of 8 bits as RGB."""
    if image.mode == "RGB":
        return image
    if image.mode == "F":
        raise decode.DecodeError(Code.IMAGE_UNREADABLE, "its pixels are floating-point numbers")
    if image.mode.startswith("I"):
        return deep_values.deep_image(np.asarray(image)[..., None], FULL_RANGE)
    if image.mode == "P":
        # by way of RGBA: Pillow warns about palettes with transparency otherwise
        return image.convert("RGBA").convert("RGB")
    return image.convert("RGB")
