"""The check of a ZIP, and what Pillow needs merely to decode the same images and masks on the same cores."""

import io
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from builders import check, encoded, write_zip

SIDE = 640


def pairs(count: int, mask_mode: str) -> dict[str, bytes]:
    """JPEG photographs (noise over areas, so that they are as large as photographs are) and PNG masks."""
    members = {"labels.txt": b"background\nsquare\ndisc\nbar\n"}
    rows, columns = np.mgrid[:SIDE, :SIDE]
    for number in range(count):
        random = np.random.default_rng(number)
        ids = np.zeros((SIDE, SIDE), np.uint8)
        for _ in range(8):
            y, x, radius = random.integers(0, SIDE, 3)
            ids[(rows - y) ** 2 + (columns - x) ** 2 < (radius // 5) ** 2] = random.integers(0, 4)
        photo = random.integers(0, 200, (4, 3))[ids] + random.integers(0, 24, (SIDE, SIDE, 3))
        colours = np.asarray([(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0)], np.uint8)
        members[f"images/{number:05}.jpg"] = encoded(photo.astype(np.uint8), "JPEG", quality=88)
        members[f"masks/{number:05}.png"] = encoded(ids if mask_mode == "L" else colours[ids])
    return members


def both(folder: Path, count: int, mask_mode: str, cores: int = 2) -> tuple[Callable[[], None], Callable[[], None]]:
    """Ours, and mere decoding."""
    path = folder / f"{mask_mode}.zip"
    write_zip(path, pairs(count, mask_mode), zipfile.ZIP_STORED)
    with zipfile.ZipFile(path) as archive:
        files = [archive.read(name) for name in archive.namelist() if not name.endswith(".txt")]

    def ours() -> None:
        assert check(path, cache=False).dataset is not None

    def reference() -> None:
        with ThreadPoolExecutor(cores) as pool:
            for _ in pool.map(_decode, files):
                pass

    return ours, reference


def _decode(content: bytes) -> None:
    Image.open(io.BytesIO(content)).load()
