"""Predictions as a model would make them: of small images, with class ids that are given."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from segdrop.dataset.unlabelled.item import Item
from segdrop.inference.prediction import ImageRecord, Prediction


def item(name: str = "a.png", index: int = 0, size: tuple[int, int] = (4, 6), **known: Any) -> Item:
    pixels = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
    return Item(index=index, name=name, stem=name.rpartition(".")[0] or name, image=pixels, **known)


def prediction(class_ids: Sequence[Sequence[int]], name: str = "a.png", index: int = 0, **known: Any) -> Prediction:
    """A prediction of 0.8 (204 of 255) everywhere; ``known`` are further values of its item."""
    ids = np.asarray(class_ids, np.uint16)
    return Prediction(
        item=item(name, index, ids.shape, **known),  # type: ignore[arg-type]
        class_ids=ids,
        confidence=np.full(ids.shape, 204, np.uint8),
        doubt=0.25,
        descriptor=(0.5, 0.25),
    )


def record(index: int = 0, name: str = "a.png", **changes: Any) -> ImageRecord:
    values: dict[str, Any] = {
        "index": index,
        "name": name,
        "stem": name.rpartition(".")[0] or name,
        "height": 4,
        "width": 6,
        "pixels": {0: 20, 1: 4},
        "mean_confidence": 0.8,
        "doubt": 0.25,
        "descriptor": (0.5, 0.25),
    }
    return ImageRecord(**(values | changes))
