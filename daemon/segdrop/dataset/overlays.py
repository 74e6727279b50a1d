"""Pictures by which a person sees whether masks fit: the image, beside it the image in the colours of the classes.

Colours are those of the masks in a result (PASCAL VOC); ignored pixels are hatched in grey.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from segdrop.dataset import decode
from segdrop.dataset.classes import IGNORE, ClassReading
from segdrop.dataset.labelling import Labeller, class_ids
from segdrop.dataset.report import OVERLAY_MARK
from segdrop.dataset.samples import Sample, Split
from segdrop.dataset.source import Archive, MemberError
from segdrop.dataset.understanding import Understanding

NUM_SAMPLES = 10
MAX_SIDE = 1024
_GAP, _MARGIN, _LINE, _SWATCH = 8, 8, 22, 14
_LEAST_WIDTH = 480
_STRIPE = 4
_GREY = 128
_FONT_SIZE = 14
_MAX_STEM_CHARACTERS = 50

Bytes = npt.NDArray[np.uint8]


def write_samples(archive: Archive, understanding: Understanding, folder: Path) -> None:
    """Write overlays of ten pairs, or of all there are, into an existing folder; nothing where no class is known."""
    reading = understanding.reading
    if reading is None:
        return
    info = PngInfo()
    info.add_text("Comment", OVERLAY_MARK.decode())
    for number, (side, position) in enumerate(chosen(understanding), start=1):
        sample = understanding.samples[position]
        name = archive.names[sample.image]
        try:
            pixels, ids = _pair(archive, sample, understanding.labeller, reading)
        except (decode.DecodeError, MemberError):
            continue  # an issue of the check says so
        picture = _with_legend(side_by_side(pixels, ids), f"{side}: {name}", ids, reading.names)
        picture.save(folder / f"{number:02}_{_safe_stem(name)}.png", pnginfo=info)


def _pair(archive: Archive, sample: Sample, labeller: Labeller, reading: ClassReading) -> tuple[Bytes, Bytes]:
    """The image (height, width, 3) and its class ids (height, width), at the size that is shown."""
    pixels, size = decode.read_to_show(archive.read(sample.image), MAX_SIDE)
    keys = labeller.read(archive.read, sample.truth, size).keys
    ids = decode.resize_nearest(class_ids(keys, reading.lookup), *pixels.shape[:2])
    return pixels, ids.astype(np.uint8, copy=False)


def chosen(understanding: Understanding) -> list[tuple[str, int]]:
    """Up to ten samples as (side, position): as many of each side as possible, spread evenly over each."""
    sides = understanding.sides
    if sides is not None:
        by_side = {"train": sides.train, "val": sides.val, "test": sides.test}
    else:
        by_side = {name: [] for name in (*Split, "pairs")}
        for position, sample in enumerate(understanding.samples):
            if position not in understanding.bad:
                by_side[sample.split or "pairs"].append(position)
    counts = dict.fromkeys(by_side, 0)
    for _ in range(NUM_SAMPLES):
        free = [side for side in by_side if counts[side] < len(by_side[side])]
        if free:
            counts[min(free, key=lambda side: counts[side])] += 1
    return [
        (side, positions[number * len(positions) // counts[side]])
        for side, positions in by_side.items()
        for number in range(counts[side])
    ]


def side_by_side(pixels: Bytes, ids: Bytes) -> Image.Image:
    """The image (height, width, 3) and beside it the same, half in the colours of its class ids (height, width)."""
    height, width = ids.shape
    colours = palette()[ids]
    rows, columns = np.mgrid[0:height, 0:width]
    is_plain = (ids == IGNORE) & ((rows + columns) // _STRIPE % 2 == 0)
    colours[ids == IGNORE] = _GREY
    mixed = (pixels.astype(np.uint16) + colours) // 2
    overlay = np.where(is_plain[..., None], pixels, mixed).astype(np.uint8)
    gap = np.full((height, _GAP, 3), 255, np.uint8)
    return Image.fromarray(np.concatenate([pixels, gap, overlay], axis=1))


def palette() -> Bytes:
    """(256, 3): the colours of PASCAL VOC, the bits of an id dealt out to red, green and blue in turn."""
    ids = np.arange(256)
    channels = [sum((ids >> (3 * step + channel) & 1) << (7 - step) for step in range(3)) for channel in range(3)]
    return np.stack(channels, axis=-1).astype(np.uint8)


def _with_legend(picture: Image.Image, title: str, ids: Bytes, names: Sequence[str]) -> Image.Image:
    """The picture with a line that says what it is, and the classes that are in it."""
    font = _font()
    width = max(picture.width, _LEAST_WIDTH)
    entries = _entries(ids, names)
    places = _places([_SWATCH + 3 * _MARGIN + round(font.getlength(text)) for _, text in entries], width)
    num_lines = 2 + places[-1][1]
    canvas = Image.new("RGB", (width, picture.height + _LINE * num_lines + _MARGIN), "white")
    canvas.paste(picture, (0, 0))
    pen = ImageDraw.Draw(canvas)
    pen.text((_MARGIN, picture.height + 4), _drawable(title), fill="black", font=font)
    for (class_id, text), (left, line) in zip(entries, places, strict=True):
        top = picture.height + (line + 1) * _LINE + 4
        canvas.paste(_swatch(class_id), (left, top))
        pen.rectangle((left, top, left + _SWATCH, top + _SWATCH), outline="black")
        pen.text((left + _SWATCH + _MARGIN * 3 // 4, top), text, fill="black", font=font)
    return canvas


def _entries(ids: Bytes, names: Sequence[str]) -> list[tuple[int, str]]:
    """The classes in a mask, ignored pixels at the end, with what is written beside their colours."""
    counts = np.bincount(ids.ravel(), minlength=256)
    found = [class_id for class_id, count in enumerate(counts) if count]
    what = {class_id: f"{class_id} {_drawable(names[class_id])}" for class_id in found if class_id != IGNORE}
    return [(class_id, f"{what.get(class_id, 'ignored')} {counts[class_id] / ids.size:.1%}") for class_id in found]


def _places(lengths: Sequence[int], width: int) -> list[tuple[int, int]]:
    """(left, line) of each entry of a legend: as many on a line as fit."""
    places: list[tuple[int, int]] = []
    left, line = _MARGIN, 0
    for length in lengths:
        if left > _MARGIN and left + length > width:
            left, line = _MARGIN, line + 1
        places.append((left, line))
        left += length
    return places


def _swatch(class_id: int) -> Image.Image:
    """A class's colour as it is in the palette; ignored pixels as they are hatched, over white."""
    ids = np.full((_SWATCH, _SWATCH), class_id, np.uint8)
    if class_id != IGNORE:
        return Image.fromarray(palette()[ids])
    hatched = side_by_side(np.full((_SWATCH, _SWATCH, 3), 255, np.uint8), ids)
    return hatched.crop((_SWATCH + _GAP, 0, 2 * _SWATCH + _GAP, _SWATCH))


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    try:
        return ImageFont.load_default(_FONT_SIZE)
    except ImportError:  # Pillow without FreeType
        return ImageFont.load_default()


def _drawable(text: str) -> str:
    """Text for Pillow's built-in fonts: they have Latin letters, and one of them fails on any other."""
    return "".join(c if c.isprintable() else "?" for c in text.encode("latin-1", "replace").decode("latin-1"))


def _safe_stem(name: str) -> str:
    """The name of a file without its folder and extension, such that it is one everywhere."""
    stem = name.rpartition("/")[2].rpartition(".")[0] or "image"
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem[:_MAX_STEM_CHARACTERS])
