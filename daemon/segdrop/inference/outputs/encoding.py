"""Arrays as the bytes of PNG and JPEG files."""

import io
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from segdrop.dataset.samples import extension
from segdrop.results.templates.sources import SOFTWARE

_MOST_BYTE_VALUES = 256
#: Runs of equal bytes are looked for, nothing else. Measured on masks, their colours and photographs, it is as fast as
#: zlib's level 1, and the files are those of level 6, which takes two to four times as long.
_COMPRESSION = {"compress_type": zlib.Z_RLE}
#: Extensions of pictures that were stored without loss: theirs are, too.
_LOSSLESS = frozenset({"png", "bmp", "dib", "gif", "tif", "tiff", "ppm", "pgm", "pbm", "pnm"})
#: libjpeg's limit (``JPEG_MAX_DIMENSION``)
_MAX_JPEG_SIDE = 65_500


def _marked() -> PngInfo:
    """Returns what stands in every PNG that says something about an image: by it predict.py, which writes the same,
    knows pictures that are not to be predicted again.
    """
    info = PngInfo()
    info.add_text("Software", SOFTWARE)
    return info


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:  # noqa: ANN401  (Pillow's options)
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def mask_png(class_ids: npt.NDArray[np.uint16], palette: npt.NDArray[np.uint8]) -> bytes:
    """Returns class ids (H, W) as a PNG with a palette (256, 3), or as 16-bit grey where one does not fit a byte."""
    if palette.shape[0] > _MOST_BYTE_VALUES:
        return _saved(Image.fromarray(class_ids), "PNG", pnginfo=_marked(), **_COMPRESSION)
    image = Image.fromarray(class_ids.astype(np.uint8))
    image.putpalette(palette.tobytes())
    return _saved(image, "PNG", pnginfo=_marked(), **_COMPRESSION)


def flat_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Returns a drawn picture, (H, W, 3) or grey (H, W), as a PNG that is known to be ours."""
    return _saved(Image.fromarray(pixels), "PNG", pnginfo=_marked(), **_COMPRESSION)


def picture_suffix(name: str, height: int, width: int) -> str:
    """Returns how a picture of an image is stored: ``.png`` where the image itself was without loss, else ``.jpg``.

    A JPEG of a drawing or a microscope's image would blur what its owner took care to keep; a PNG of a photograph that
    was a JPEG is ten times its size, to keep that JPEG's noise. What is too large for a JPEG is a PNG, too.
    """
    is_lossless = extension(name) in _LOSSLESS or max(height, width) > _MAX_JPEG_SIDE
    return ".png" if is_lossless else ".jpg"


def picture(pixels: npt.NDArray[np.uint8], suffix: str, *, quality: int, is_ours: bool) -> bytes:
    """Returns a picture (H, W, 3) as the file that ``suffix`` says; ``is_ours`` marks it as no image to predict.

    A JPEG keeps the colours of every pixel (4:4:4): at half their resolution thin coloured lines fade.
    """
    image = Image.fromarray(pixels)
    if suffix == ".png":
        return _saved(image, "PNG", pnginfo=_marked() if is_ours else None, **_COMPRESSION)
    comment = {"comment": SOFTWARE} if is_ours else {}
    return _saved(image, "JPEG", quality=quality, subsampling=0, **comment)
