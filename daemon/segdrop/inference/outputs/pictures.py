"""What a prediction looks like: class ids as colours, and over the image."""

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from segdrop.dataset.classes.official_colours import IGNORED
from segdrop.dataset.classes.remapping import ignored_id
from segdrop.dataset.masks import palette
from segdrop.inference.outputs import encoding
from segdrop.inference.outputs.protocol import Setting
from segdrop.inference.prediction import Prediction

Bytes = npt.NDArray[np.uint8]
ClassIds = npt.NDArray[np.uint16]
Made = TypeVar("Made")
_NUM_IDS = 1 << 16
#: Weights of colours are in parts of it.
_WHOLE = 256
#: Boundaries are a pixel wide for so many pixels of the longer side.
_PIXELS_A_LINE = 600
#: Rows are blended so many pixels at a time, so that a large photograph does not fill the memory with 16-bit numbers.
_BAND_PIXELS = 1 << 20


class Pictures:
    """Pictures of predictions in the colours of a job.

    Several outputs show the same: a picture is made once and kept until the next prediction. They may ask from several
    threads; at worst it is then made twice.
    """

    def __init__(self, setting: Setting) -> None:
        self._colours = np.tile(np.array(IGNORED, np.uint8), (_NUM_IDS, 1))
        self._colours[: len(setting.colours)] = setting.colours
        self._palette = _palette(self._colours, len(setting.classes))
        weights = np.zeros(_NUM_IDS, np.uint16)
        weights[: len(setting.classes)] = round(setting.overlay_alpha * _WHOLE)
        self._is_drawn = np.zeros(_NUM_IDS, bool)
        self._is_drawn[: len(setting.classes)] = True
        if setting.background is not None:
            weights[setting.background] = 0
            self._is_drawn[setting.background] = False
        self._image_weights = _WHOLE - weights
        self._tints = self._colours * weights[:, None]
        self._kept: dict[str, tuple[Prediction, Any]] = {}

    def mask_png(self, prediction: Prediction) -> bytes:
        """Returns the class ids as a PNG: with a palette, or as 16-bit grey beyond 255 classes.

        Pixels that are left out have the value that :func:`~segdrop.dataset.classes.remapping.ignored_id` tells.
        """
        return self._once("mask", prediction, lambda p: encoding.mask_png(p.class_ids, self._palette))

    def colour(self, prediction: Prediction) -> Bytes:
        """Returns the colours of the classes, (H, W, 3)."""
        return self._once("colour", prediction, lambda p: np.take(self._colours, p.class_ids, axis=0))

    def overlay(self, prediction: Prediction) -> Bytes:
        """Returns the image with its classes over it, (H, W, 3): see :meth:`blended`."""
        return self._once("overlay", prediction, lambda p: self.blended(p.item.image, p.class_ids))

    def blended(self, image: Bytes, class_ids: ClassIds) -> Bytes:
        """Returns an image (H, W, 3) mixed with the colours of its classes, whose boundaries are drawn unmixed.

        So an area is told from its neighbour whatever the image below, and with ``overlay_alpha`` 0 the outlines
        remain. The background, where one is known, and pixels that are left out stay as they are.
        """
        line_width = max(1, round(max(class_ids.shape) / _PIXELS_A_LINE))
        is_line = boundaries(class_ids, line_width) & np.take(self._is_drawn, class_ids)
        result = np.empty_like(image)
        num_rows = max(1, _BAND_PIXELS // max(1, image.shape[1]))
        for top in range(0, len(image), num_rows):
            rows = slice(top, top + num_rows)
            result[rows] = self._band(image[rows], class_ids[rows], is_line[rows])
        return result

    def _band(self, image: Bytes, class_ids: ClassIds, is_line: npt.NDArray[np.bool_]) -> Bytes:
        mixed = np.take(self._tints, class_ids, axis=0)
        mixed += image * np.take(self._image_weights, class_ids)[..., None]
        mixed >>= 8
        result = mixed.astype(np.uint8)
        result[is_line] = self._colours[class_ids[is_line]]
        return result

    def _once(self, kind: str, prediction: Prediction, make: Callable[[Prediction], Made]) -> Made:
        kept = self._kept.get(kind)
        if kept is None or kept[0] is not prediction:
            kept = prediction, make(prediction)
            self._kept[kind] = kept
        made: Made = kept[1]
        return made


def boundaries(class_ids: ClassIds, width: int) -> npt.NDArray[np.bool_]:
    """Returns which pixels (H, W) are at most ``width`` pixels away, up, down or sideways, from another class."""
    found = np.zeros(class_ids.shape, bool)
    for step in range(1, width + 1):
        for axis in (0, 1):
            near, far = _shifted(class_ids, step, axis)
            differs = near != far
            is_near, is_far = _shifted(found, step, axis)
            is_near |= differs
            is_far |= differs
    return found


def _shifted(array: npt.NDArray[Any], step: int, axis: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Returns views of an array without its last, and without its first ``step`` rows (axis 0) or columns (axis 1)."""
    if axis == 0:
        return array[:-step], array[step:]
    return array[:, :-step], array[:, step:]


def _palette(colours: Bytes, num_classes: int) -> Bytes:
    """Returns the palette of masks: the colours of the classes, PASCAL VOC's for numbers that no class has.

    It has 256 rows where class ids fit a byte, else more.
    """
    if ignored_id(num_classes) >= len(palette.colours()):
        return colours
    found = palette.colours()
    found[:num_classes] = colours[:num_classes]
    return found
