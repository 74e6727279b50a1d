"""Pictures that show whether masks fit: the image, and beside it the image in the colours of its classes.

Where masks fit the images better if they are laid in another way, that stands beside it, so that a person can compare.
Colours are those of the masks in a result (PASCAL VOC's palette); ignored pixels are hatched in grey.
"""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from segdrop.dataset import lettering
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.classes.assignment import IGNORE, ClassReading
from segdrop.dataset.interpretation import Interpretation
from segdrop.dataset.labelling import class_ids
from segdrop.dataset.masks import decode, image_reading, mask_keys, palette
from segdrop.dataset.masks.placing import View
from segdrop.dataset.misfit import Laying, laid
from segdrop.dataset.report import OVERLAY_MARK, Part
from segdrop.dataset.samples import LabelledSample, MaskFile, Split

NUM_SAMPLES = 10
MAX_SIDE = 1024
_GAP, _MARGIN, _LINE, _SWATCH = 8, 8, 22, 14
_LEAST_WIDTH = 480
#: the parts of which a doubt is about what values mean
_ABOUT_VALUES = frozenset({Part.ENCODING, Part.IGNORE})
_STRIPE = 4
_GREY = 128
_FONT_SIZE = 14
_MAX_STEM_CHARACTERS = 50

Bytes = npt.NDArray[np.uint8]


def write_samples(
    archive: Archive, interpretation: Interpretation, folder: Path, doubts: Collection[Part] = ()
) -> None:
    """Write overlays of ten pairs, or of all there are, into an existing folder; nothing where no class is known.

    Where there are ``doubts`` about pixels, another reading stands beside the one that was taken.
    """
    reading = interpretation.reading
    if reading is None:
        return
    info = PngInfo()
    info.add_text("Comment", OVERLAY_MARK.decode())
    for number, (side, position) in enumerate(chosen(interpretation), start=1):
        sample = interpretation.samples[position]
        name = archive.names[sample.image]
        try:
            pixels, ids = _pair(archive, sample, interpretation, reading)
        except (decode.DecodeError, MemberError):
            continue  # an issue of the check says so
        panels, lines = [ids], [f"{side}: {name}"]
        if interpretation.misfit is not None:
            panels += _laid_otherwise(archive, interpretation, interpretation.misfit.laying, position, ids)
            lines.append(f"middle: as read; right: if each mask is {interpretation.misfit.laying}")
        elif not _ABOUT_VALUES.isdisjoint(doubts) and isinstance(sample.truth, MaskFile):
            panels.append(_as_stored(archive, sample.truth, ids.shape))
            lines.append("middle: as read; right: the values as they are stored")
        picture = _with_legend(side_by_side(pixels, *panels), lines, ids, reading.names)
        picture.save(folder / f"{number:02}_{_safe_stem(name)}.png", pnginfo=info)


def _pair(
    archive: Archive, sample: LabelledSample, interpretation: Interpretation, reading: ClassReading
) -> tuple[Bytes, Bytes]:
    """Returns the image (height, width, 3) and its class ids (height, width), at the size that is shown."""
    deep_range = interpretation.deep.deep_range if interpretation.deep else None
    pixels, facts = image_reading.read_to_show(archive.read(sample.image), MAX_SIDE, deep_range)
    return pixels, _ids(archive, sample, interpretation, reading, pixels.shape, facts.view)


def _ids(
    archive: Archive,
    sample: LabelledSample,
    interpretation: Interpretation,
    reading: ClassReading,
    shape: tuple[int, ...],
    view: View | None = None,
) -> Bytes:
    """Returns class ids at the (height, width) of ``shape``; ``view`` is that of the image, where known."""
    keys = interpretation.labeller.read(archive.read, sample.truth, view or View((shape[1], shape[0]))).keys
    return decode.resize_nearest(class_ids(keys, reading.lookup), *shape[:2]).astype(np.uint8, copy=False)


def _as_stored(archive: Archive, truth: MaskFile, shape: tuple[int, ...]) -> Bytes:
    """Returns the values of a mask file, numbered in their order, at the (height, width) of ``shape``."""
    keys = mask_keys.read(archive.read, truth, None, ()).keys
    found, _ = mask_keys.distinct(keys)
    numbers = (np.searchsorted(found, keys) % IGNORE).astype(np.uint8)
    return decode.resize_nearest(numbers, *shape[:2]).astype(np.uint8, copy=False)


def _laid_otherwise(
    archive: Archive, interpretation: Interpretation, laying: Laying, position: int, ids: Bytes
) -> list[Bytes]:
    """Returns the class ids of a pair if its mask is laid in another way; none where that is not possible."""
    reading, other = interpretation.reading, position + laying.neighbour
    if reading is None or not 0 <= other < len(interpretation.samples):
        return []
    if laying.neighbour:
        ids = _ids(archive, interpretation.samples[other], interpretation, reading, ids.shape)
    found = laid(ids, laying, beyond=IGNORE)
    return [found] if found.shape == ids.shape else []


def chosen(interpretation: Interpretation) -> list[tuple[str, int]]:
    """Returns up to ten samples as (side, position): as many of each side as possible, spread evenly over each."""
    sides = interpretation.sides
    if sides is not None:
        by_side = {"train": sides.train, "val": sides.val, "test": sides.test}
    else:
        by_side = {name: [] for name in (*Split, "pairs")}
        for position, sample in enumerate(interpretation.samples):
            if position not in interpretation.bad:
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


def side_by_side(pixels: Bytes, *readings: Bytes) -> Image.Image:
    """Returns the image (height, width, 3), and beside it for each reading the same, half in the colours of its class
    ids (height, width).
    """
    gap = np.full((len(pixels), _GAP, 3), 255, np.uint8)
    panels = [pixels]
    for ids in readings:
        panels += [gap, _coloured(pixels, ids)]
    return Image.fromarray(np.concatenate(panels, axis=1))


def _coloured(pixels: Bytes, ids: Bytes) -> Bytes:
    """Returns an image half in the colours of its class ids."""
    height, width = ids.shape
    colours = palette.colours()[ids]
    rows, columns = np.mgrid[0:height, 0:width]
    is_plain = (ids == IGNORE) & ((rows + columns) // _STRIPE % 2 == 0)
    colours[ids == IGNORE] = _GREY
    mixed = (pixels.astype(np.uint16) + colours) // 2
    return np.where(is_plain[..., None], pixels, mixed).astype(np.uint8)


def _with_legend(picture: Image.Image, lines: Sequence[str], ids: Bytes, names: Sequence[str]) -> Image.Image:
    """Returns the picture with lines that say what it is, and a legend of the classes in it."""
    font = lettering.font(_FONT_SIZE)
    width = max(picture.width, _LEAST_WIDTH)
    entries = _entries(ids, names)
    places = _places([_SWATCH + 3 * _MARGIN + round(font.getlength(text)) for _, text in entries], width)
    num_lines = len(lines) + 1 + places[-1][1]
    canvas = Image.new("RGB", (width, picture.height + _LINE * num_lines + _MARGIN), "white")
    canvas.paste(picture, (0, 0))
    pen = ImageDraw.Draw(canvas)
    for number, text in enumerate(lines):
        pen.text((_MARGIN, picture.height + number * _LINE + 4), lettering.drawable(text), fill="black", font=font)
    for (class_id, text), (left, line) in zip(entries, places, strict=True):
        top = picture.height + (line + len(lines)) * _LINE + 4
        canvas.paste(_swatch(class_id), (left, top))
        pen.rectangle((left, top, left + _SWATCH, top + _SWATCH), outline="black")
        pen.text((left + _SWATCH + _MARGIN * 3 // 4, top), text, fill="black", font=font)
    return canvas


def _entries(ids: Bytes, names: Sequence[str]) -> list[tuple[int, str]]:
    """Returns the classes in a mask, ignored pixels last, with the text that stands beside their colours."""
    counts = np.bincount(ids.ravel(), minlength=256)
    found = [class_id for class_id, count in enumerate(counts) if count]
    what = {class_id: f"{class_id} {lettering.drawable(names[class_id])}" for class_id in found if class_id != IGNORE}
    return [(class_id, f"{what.get(class_id, 'ignored')} {counts[class_id] / ids.size:.1%}") for class_id in found]


def _places(lengths: Sequence[int], width: int) -> list[tuple[int, int]]:
    """Returns (left, line) of each entry of a legend, with as many on a line as fit."""
    places: list[tuple[int, int]] = []
    left, line = _MARGIN, 0
    for length in lengths:
        if left > _MARGIN and left + length > width:
            left, line = _MARGIN, line + 1
        places.append((left, line))
        left += length
    return places


def _swatch(class_id: int) -> Image.Image:
    """Returns a square of a class's colour; that of ignored pixels is hatched, over white."""
    ids = np.full((_SWATCH, _SWATCH), class_id, np.uint8)
    if class_id != IGNORE:
        return Image.fromarray(palette.colours()[ids])
    hatched = side_by_side(np.full((_SWATCH, _SWATCH, 3), 255, np.uint8), ids)
    return hatched.crop((_SWATCH + _GAP, 0, 2 * _SWATCH + _GAP, _SWATCH))


def _safe_stem(name: str) -> str:
    """Returns a file's name without its folder and extension, such that every system accepts it."""
    stem = name.rpartition("/")[2].rpartition(".")[0] or "image"
    return "".join(c if c.isalnum() or c in "-_." else "_" for c in stem[:_MAX_STEM_CHARACTERS])
