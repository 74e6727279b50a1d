"""Good datasets: a ZIP from a few parameters."""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
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
    """The same content gives the same bytes, at whatever time."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, data in content.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o600 << 16
            archive.writestr(info, data, compression)
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


_UTF8 = 0x800


def write_stored(path: Path, members: Iterable[tuple[str | bytes, bytes]]) -> Path:
    """Members as they are, half a million in seconds; names given as bytes are said to be in no encoding."""
    directory, position = bytearray(), 0
    with path.open("wb") as stream:
        count = 0
        for given, data in members:
            name, flags = (given.encode(), _UTF8) if isinstance(given, str) else (given, 0)
            fields = (flags, 0, 0, 33, zlib.crc32(data), len(data), len(data), len(name), 0)
            stream.write(struct.pack("<4s5H3L2H", b"PK\3\4", 20, *fields) + name + data)
            entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *fields, 0, 0, 0, 0, position)
            directory += entry + name
            position += 30 + len(name) + len(data)
            count += 1
        stream.write(directory + _ends(count, len(directory), position))
    return path


def _ends(count: int, size: int, start: int) -> bytes:
    """The end records: both, as today's tools write them for many members."""
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, start)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, start + size, 1)
    return end64 + locator + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
