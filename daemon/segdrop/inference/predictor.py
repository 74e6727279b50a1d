"""From images to predictions: each image at its full size, a batch of images of one size at a time."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional

from segdrop.dataset.unlabelled.item import Item
from segdrop.inference.prediction import Prediction
from segdrop.modeling.segmenters.protocol import Segmenter

#: images in a batch, at most
_MOST_IMAGES = 8
_GRID = 4  #: cells of the descriptor, in each direction


class Predictor:
    """Predicts whole images with a model."""

    def __init__(
        self, segmenter: Segmenter, *, tile: int | Literal["auto"] | None, tta: Literal["none", "flip"]
    ) -> None:
        self._segmenter = segmenter
        self._tta = tta
        del tile

    def predictions(self, items: Iterable[Item]) -> Iterator[Prediction]:
        """Yields the predictions of images, in their order."""
        for _shape, alike in groupby(items, key=lambda item: item.image.shape):
            batch: list[Item] = []
            for item in alike:
                batch.append(item)
                if len(batch) == _MOST_IMAGES:
                    yield from self._batch(batch)
                    batch = []
            if batch:
                yield from self._batch(batch)

    def _batch(self, items: Sequence[Item]) -> Iterator[Prediction]:
        logits = self._logits(np.stack([self._scaled(item.image) for item in items]))
        for item, each in zip(items, logits, strict=True):
            yield _prediction(item, each)

    def _scaled(self, image: np.ndarray) -> np.ndarray:
        size = self._segmenter.input_size
        height, width = size or _padded(image.shape[:2], self._segmenter.side_multiple)
        if image.shape[:2] == (height, width):
            return image
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))

    def _logits(self, images: np.ndarray) -> Tensor:
        with torch.inference_mode():
            logits = self._segmenter.logits(images)
            if self._tta == "flip":
                mirrored = self._segmenter.logits(np.ascontiguousarray(images[:, :, ::-1])).flip(-1)
                logits = (logits.softmax(1) + mirrored.softmax(1)).div(2).log()
            return logits


def _padded(size: Sequence[int], multiple: int) -> tuple[int, int]:
    height, width = (max(multiple, round(side / multiple) * multiple) for side in size)
    return height, width


def _prediction(item: Item, logits: Tensor) -> Prediction:
    height, width = item.image.shape[:2]
    with torch.inference_mode():
        full = functional.interpolate(logits[None], size=(height, width), mode="bilinear", align_corners=False)[0]
        probabilities = full.softmax(0)
        confidence, class_ids = probabilities.max(0)
        coarse = logits.softmax(0)
        entropy = -(coarse * coarse.clamp_min(1e-9).log()).sum(0).mean() / max(np.log(len(logits)), 1e-9)
        descriptor = functional.adaptive_avg_pool2d(coarse[None], _GRID).flatten()
    return Prediction(
        item=item,
        class_ids=class_ids.to(torch.int32).numpy().astype(np.uint16),
        confidence=confidence.mul(255).round().to(torch.uint8).numpy(),
        doubt=float(entropy),
        descriptor=tuple(round(float(value), 4) for value in descriptor),
    )
