"""Predictions to write, and what becomes of them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from segdrop.dataset.classes.official_colours import colours_for
from segdrop.dataset.unlabelled.item import Item
from segdrop.errors import Issue
from segdrop.inference.outputs.measures import record_of
from segdrop.inference.outputs.protocol import Output, Setting
from segdrop.inference.prediction import ImageRecord, Prediction

CLASSES = ("background", "cat", "dog")


def setting(folder: Path, classes: Sequence[str] = CLASSES, **more: Any) -> Setting:
    folder.mkdir(exist_ok=True)
    return Setting(folder, tuple(classes), colours_for(classes), "pets-1", "ab" * 32, **more)


def prediction(index: int = 0, name: str | None = None, size: tuple[int, int] = (12, 16), **more: Any) -> Prediction:
    """A prediction of noise of this (height, width), of three vertical stripes of classes 0, 1 and 2."""
    image = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
    class_ids = np.tile(np.arange(size[1]) * 3 // size[1], (size[0], 1)).astype(np.uint16)
    name = name or f"folder/{index}.png"
    values = {
        "item": Item(index, name, f"folder/stem{index}", image, seconds=more.pop("seconds", None)),
        "class_ids": class_ids,
        "confidence": np.full(size, 204, np.uint8),
        "doubt": 0.25,
        "descriptor": (float(index), 0.0),
    }
    return Prediction(**(values | more))


def written(outputs: Sequence[Output], predictions: Sequence[Prediction]) -> tuple[list[ImageRecord], list[Issue]]:
    """Writes and finishes as a job does: what outlives an image goes through JSON."""
    records = []
    for one in predictions:
        parts = {output.name: output.write(one) for output in outputs}
        records.append(ImageRecord.model_validate_json(record_of(one, parts).model_dump_json()))
    issues = [issue for output in outputs for issue in output.finish(lambda: iter(records)) or ()]
    return records, issues
