"""Good datasets: a ZIP from a few parameters."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

EXTENSIONS = {"PNG": "png", "JPEG": "jpg", "BMP": "bmp", "TIFF": "tif", "WEBP": "webp", "GIF": "gif", "PPM": "ppm"}


def encoded(image: Image.Image | np.ndarray, image_format: str = "PNG", **options: object) -> bytes:
    """The bytes of an image file."""
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, image_format, **options)
    return stream.getvalue()


def mask_image(values: np.ndarray, mode: str = "L") -> Image.Image:
    """Mask values (height, width) as an image whose stored values are these."""
    if mode == "I;16":
        return Image.fromarray(values.astype(np.uint16))
    if mode == "1":
        return Image.fromarray(values.astype(bool))
    grey = Image.fromarray(values.astype(np.uint8))
    if mode == "P":
        palette = grey.convert("P")
        palette.putdata(list(values.ravel().tolist()))
        # colours that have nothing to do with the indices: whoever reads colours reads nonsense
        palette.putpalette([(37 * i + 11) % 256 for i in range(768)])
        return palette
    return Image.merge(mode, [grey] * len(mode)) if mode in ("RGB", "RGBA") else grey.convert(mode)


def arrays(number: int, size: tuple[int, int], values: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """One pair, (height, width, 3) and (height, width): vertical stripes of all values, coloured by value."""
    height, width = size
    stripes = (np.arange(width) * len(values) // width + number) % len(values)
    mask = np.tile(np.asarray(values, np.uint16)[stripes], (height, 1))
    rng = np.random.default_rng(number)
    colours = np.random.default_rng(99).integers(0, 200, (len(values), 3))
    # light and shade of its own: otherwise every third picture would be a copy of the first
    shade = rng.integers(-60, 60, (4, 4, 1))[np.arange(height) * 4 // height][:, np.arange(width) * 4 // width]
    image = colours[np.tile(stripes, (height, 1))] + shade + rng.integers(0, 30, (height, width, 3))
    return image.clip(0, 255).astype(np.uint8), mask


def members(
    count: int = 6,
    size: tuple[int, int] = (24, 32),
    values: Sequence[int] = (0, 1, 2),
    labels: Sequence[str] | None = ("cat", "dog"),
    mask_mode: str = "L",
    image_format: str = "PNG",
    layout: str = "plain",
) -> dict[str, bytes]:
    """Names and bytes. ``layout``: plain, wrapped, outside, inside (train and val folders), or test beside them."""
    found: dict[str, bytes] = {}
    for number in range(count):
        image, mask = arrays(number, size, values)
        for folder, content, extension in (
            ("images", encoded(image, image_format), EXTENSIONS[image_format]),
            ("masks", encoded(mask_image(mask, mask_mode)), "png"),
        ):
            found[_path(layout, folder, number, count) + f"scene_{number:03}.{extension}"] = content
    if labels is not None:
        found["data/labels.txt" if layout == "wrapped" else "labels.txt"] = "\n".join(labels).encode() + b"\n"
    return found


def _path(layout: str, folder: str, number: int, count: int) -> str:
    side = "val" if 3 * number >= 2 * count else "train"
    if layout == "with_test":
        side = ("train", "valid", "test")[number % 3]
    if layout in ("outside", "with_test"):
        return f"{side}/{folder}/"
    return {"plain": f"{folder}/", "wrapped": f"data/{folder}/", "inside": f"{folder}/{side}/"}[layout]


def write_zip(path: Path, content: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return path


def write_dataset(
    path: Path,
    *,
    extra: Mapping[str, bytes] | None = None,
    without: Sequence[str] = (),
    **parameters: object,
) -> Path:
    """A dataset of :func:`members`, with ``extra`` files put in (or over), and some left out."""
    content = members(**parameters) | dict(extra or {})
    return write_zip(path, {name: data for name, data in content.items() if name not in without})
