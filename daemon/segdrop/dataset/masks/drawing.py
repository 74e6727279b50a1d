"""From shapes to pixels: areas are painted in order over value 0, the later over the earlier."""

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from segdrop.codes import Code
from segdrop.dataset.masks import decode
from segdrop.dataset.samples import Drawing
from segdrop.dataset.shapes import Bitmap, Brush, Polygon, Runs, Shape, Stretches

Values = npt.NDArray[np.uint16]
_LEAST_POINTS = 3
#: looked at together: first a few, since most runs are followed by a long one
_FEW_RUNS, _MANY_RUNS = 4, 1 << 16


def draw(drawing: Drawing, image_size: tuple[int, int]) -> Values:
    """Returns the painted values, (height, width) uint16.

    The size is the one that the annotation states, else ``image_size``, (width, height). A polygon covers the pixels
    that its outline touches or encloses (Pillow's rule, and LabelMe's). What lies outside the image is cut off. Raises
    DecodeError for a bitmap that cannot be decoded.
    """
    width, height = drawing.size or image_size
    _limit(width, height)
    values = np.zeros((height, width), np.uint16)
    scale = (width, height) if drawing.is_relative else (1, 1)
    for shape in drawing.shapes:
        _paint(values, shape, scale)
    return values


def _limit(width: int, height: int) -> None:
    """Raises DecodeError for a larger image than is allowed: an annotation may claim any size."""
    if Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS:
        raise decode.DecodeError(Code.IMAGE_TOO_LARGE, f"its annotation says {width}x{height} pixels")


def _paint(values: Values, shape: Shape, scale: tuple[int, int]) -> None:
    """Paint one shape. ``scale`` is by what its coordinates are multiplied, across and down."""
    match shape:
        case Polygon():
            _paint_polygon(values, shape, scale)
        case Runs():
            _put(values, _runs(shape), shape.left, shape.top, shape.value)
        case Stretches():
            values[_stretches(shape, values.shape)] = shape.value
        case Bitmap():
            _put(values, _bitmap(shape.content), shape.left, shape.top, shape.value)
        case Brush():
            _put(values, _brush(shape), 0, 0, shape.value)


def _put(values: Values, covered: npt.NDArray[np.bool_], left: int, top: int, value: int) -> None:
    """Paint a box of covered pixels, as far as it lies inside the image."""
    height, width = values.shape
    rows = slice(max(top, 0), min(top + covered.shape[0], height))
    columns = slice(max(left, 0), min(left + covered.shape[1], width))
    if rows.start < rows.stop and columns.start < columns.stop:
        part = covered[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]
        values[rows, columns][part] = value


def _paint_polygon(values: Values, polygon: Polygon, scale: tuple[int, int]) -> None:
    """Paint within the box around the polygon only, so that the cost is that of its area."""
    height, width = values.shape
    # fractions of the image, in single precision, come to 8.999999 where 9 is meant
    rings = [
        (np.frombuffer(ring, np.float32).reshape(-1, 2).astype(np.float64) * scale).round(3) for ring in polygon.rings
    ]
    if not rings or len(rings[0]) < _LEAST_POINTS:
        return
    low = np.floor(rings[0].min(axis=0)).astype(np.int64).clip(0, (width, height))
    high = (np.ceil(rings[0].max(axis=0)).astype(np.int64) + 1).clip(0, (width, height))
    box_width, box_height = (int(length) for length in high - low)
    if box_width <= 0 or box_height <= 0:
        return
    canvas = Image.new("1", (box_width, box_height))
    pen = ImageDraw.Draw(canvas)
    for ring, fill in zip(rings, (1, *[0] * (len(rings) - 1)), strict=True):
        if len(ring) >= _LEAST_POINTS:
            # far-off corners would cost time and memory for pixels outside the image
            points = (ring - low).clip(-2 * width - 2, 4 * width + 4 * height)
            pen.polygon([(float(x), float(y)) for x, y in points], fill=fill, outline=fill)
    _put(values, np.asarray(canvas), int(low[0]), int(low[1]), polygon.value)


def _runs(runs: Runs) -> npt.NDArray[np.bool_]:
    """Returns the pixels of run lengths, (height, width), beginning with pixels that are off."""
    _limit(runs.width, runs.height)
    total = runs.width * runs.height
    lengths = np.asarray(runs.lengths, np.int64)
    covered = np.zeros(total, np.bool_)
    starts = np.concatenate(([0], np.cumsum(lengths)))
    for start, stop in zip(starts[1:-1:2], starts[2::2], strict=True):
        covered[start:stop] = True
    shape = (runs.width, runs.height) if runs.by_columns else (runs.height, runs.width)
    return covered.reshape(shape).T if runs.by_columns else covered.reshape(shape)


def _stretches(shape: Stretches, size: tuple[int, ...]) -> npt.NDArray[np.bool_]:
    """Returns the pixels of runs that are counted over the whole image. Raises DecodeError for those beyond it."""
    height, width = size
    covered = np.zeros(height * width, np.bool_)
    for start, length in zip(shape.starts, shape.lengths, strict=True):
        if start + length > covered.size:
            message = f"its run lengths reach pixel {start + length}, and the image has {covered.size} pixels"
            raise decode.DecodeError(Code.ANNOTATION_INVALID, message)
        covered[start : start + length] = True
    return covered.reshape(width, height).T if shape.by_columns else covered.reshape(height, width)


def _bitmap(content: bytes) -> npt.NDArray[np.bool_]:
    """Returns which pixels of a small image file are set."""
    with decode.opened(content) as image:
        if "A" in image.getbands():
            covered = np.asarray(np.asarray(image.getchannel("A")) > 0)
            drawn = np.asarray(np.asarray(image.convert("RGB")).any(-1), np.bool_)
            # where nothing is transparent, black is what is not drawn, unless there is nothing but black
            return drawn if covered.all() and drawn.any() else covered
        pixels = np.asarray(image.convert("RGB") if image.mode == "P" else image)
        return np.asarray(pixels.reshape(*image.size[::-1], -1).any(-1), np.bool_)


def _brush(brush: Brush) -> npt.NDArray[np.bool_]:
    """Returns where the alpha channel of Label Studio's code is not zero.

    Source: label-studio-converter, ``brush.py``, ``decode_rle``.
    """
    _limit(brush.width, brush.height)
    total = brush.width * brush.height * 4
    alpha = _BitReader(brush.code).image(total)[3::4]
    return alpha.reshape(brush.height, brush.width)


class _BitReader:
    """Reads numbers of any width from bytes."""

    def __init__(self, code: bytes) -> None:
        self._code = code
        self._bits = np.unpackbits(np.frombuffer(code, np.uint8))
        self._position = 0

    def number(self, width: int) -> int:
        """Returns the next number of so many bits."""
        start, stop = self._position, self._position + width
        if stop > len(self._bits):
            raise decode.DecodeError(Code.ANNOTATION_INVALID, "a brush stroke ends early")
        self._position = stop
        last = -(-stop // 8)
        return int.from_bytes(self._code[start // 8 : last], "big") >> (8 * last - stop) & ((1 << width) - 1)

    def any_set(self, width: int, count: int) -> npt.NDArray[np.bool_]:
        """Returns for each of ``count`` numbers whether it is not zero, all at once: most of a
        stroke's edge is such.
        """
        stop = self._position + width * count
        if stop > len(self._bits):
            raise decode.DecodeError(Code.ANNOTATION_INVALID, "a brush stroke ends early")
        numbers = self._bits[self._position : stop].reshape(count, width)
        self._position = stop
        return np.asarray(numbers.any(axis=1), np.bool_)

    def image(self, wanted: int) -> npt.NDArray[np.bool_]:
        """Returns which of ``wanted`` values are not zero: a header, then runs, each of one value repeated or of as
        many.
        """
        total, word = self.number(32), self.number(5) + 1
        widths = [self.number(4) + 1 for _ in range(4)]
        if total != wanted:
            raise decode.DecodeError(Code.ANNOTATION_INVALID, f"a brush stroke has {total} values, the image {wanted}")
        values = np.zeros(total, np.bool_)
        filled = 0
        while filled < total:
            short = self._short_runs(widths[0], word, total - filled)
            values[filled : filled + len(short)] = short
            filled += len(short)
            if filled < total:
                is_repeated = self.number(1)
                count = min(self.number(widths[self.number(2)]) + 1, total - filled)
                values[filled : filled + count] = self.number(word) > 0 if is_repeated else self.any_set(word, count)
                filled += count
        return values

    def _short_runs(self, width: int, word: int, wanted: int) -> npt.NDArray[np.bool_]:
        """Returns the values, ``wanted`` at most, of all runs from here on that are as long in bits as the shortest.

        Such a run has choice 0 of the widths, and one value: repeated, or alone. A stroke can have millions of them.
        """
        length = 3 + width + word
        found = [np.zeros(0, np.bool_)]
        num_tried = _FEW_RUNS
        while True:
            num_tried = min(num_tried, (len(self._bits) - self._position) // length)
            runs = self._bits[self._position : self._position + num_tried * length].reshape(-1, length)
            counts = runs[:, 3 : 3 + width] @ (1 << np.arange(width)[::-1]) + 1
            is_other = runs[:, 1] | runs[:, 2] | ((runs[:, 0] == 0) & (counts > 1))
            # the run that has the last value wanted is the last, too
            is_other |= np.concatenate(([0], counts.cumsum()[:-1])) >= wanted
            num_short = int(is_other.argmax()) if is_other.any() else num_tried
            found.append(np.repeat(runs[:num_short, 3 + width :].any(axis=1), counts[:num_short])[:wanted])
            wanted -= len(found[-1])
            self._position += num_short * length
            if num_short < num_tried or not num_tried:
                return np.concatenate(found)
            num_tried = min(8 * num_tried, _MANY_RUNS)
