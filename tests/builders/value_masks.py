"""Small datasets whose masks are given one by one, for oddities of values, palettes and transparency."""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from builders.archives import encoded, write_zip
from builders.specs import check
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport

SIDE = 64
Colour = tuple[int, int, int]


def areas(number: int, kinds: int = 3) -> np.ndarray:
    """(SIDE, SIDE) of the values 0 to kinds - 1: a background, and a square for each of the others."""
    ids = np.zeros((SIDE, SIDE), np.uint8)
    for kind in range(1, kinds):
        row, column = 14 * ((kind - 1) // 4), 15 * ((kind - 1) % 4)
        ids[row + 2 : row + 9 + number % 4, column + 1 : column + 10 + number % 3] = kind
    return ids


def indexed(ids: np.ndarray, colours: Sequence[Colour], **options: object) -> bytes:
    """A PNG with this palette."""
    image = Image.fromarray(ids.astype(np.uint8), "P")
    image.putpalette([channel for colour in colours for channel in colour])
    return encoded(image, **options)


def coloured(ids: np.ndarray, colours: Sequence[Sequence[int]]) -> np.ndarray:
    """(height, width, channels) with the colour of each value."""
    return np.asarray(colours, np.uint8)[ids]


def jpeg_and_back(pixels: np.ndarray, quality: int) -> bytes:
    """A PNG of what a JPEG makes of the pixels."""
    with Image.open(io.BytesIO(encoded(pixels, "JPEG", quality=quality))) as image:
        return encoded(np.asarray(image))


def read_masks(
    masks: Sequence[bytes],
    folder: Path,
    request: Mapping[str, object] | None = None,
    extra: Mapping[str, bytes] | None = None,
    extension: str = "png",
) -> tuple[CheckReport, np.ndarray]:
    """The report on pairs with these masks, and class ids (number, SIDE, SIDE) if they were accepted."""
    content = dict(extra or {})
    for number, mask in enumerate(masks):
        noise = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3))
        content[f"images/{number:02}.png"] = encoded(noise.astype(np.uint8))
        content[f"masks/{number:02}.{extension}"] = mask
    report = check(write_zip(folder / "data.zip", content), {"image_size": SIDE, **(request or {})})
    if report.dataset is None:
        return report, np.empty(0)
    with CacheReader(folder / "cache") as reader:
        return report, reader.masks(range(len(masks)))


def mask_codes(report: CheckReport) -> set[str]:
    """The codes of issues that concern masks."""
    return {str(issue.code) for issue in report.issues if issue.code.startswith("mask.")}


def said(report: CheckReport) -> str:
    """All that a report says."""
    data = report.dataset or report.understood
    parts = [*(data.assumptions if data is not None else [])]
    return "\n".join([*parts, *(f"{issue.message} {issue.fix}" for issue in report.issues)])
