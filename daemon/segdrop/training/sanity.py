"""``mode: sanity``: can the model learn one image by heart? If not, masks, classes or size are wrong, not the effort.

Karpathy, "A Recipe for Training Neural Networks" (2019): "overfit one batch". The run is an ordinary one, on a dataset
of one image that is validation too, without anything that makes learning by heart harder,
but flips (see ``_BATCH``) and the dropout of the architecture.
"""

from typing import Any

import numpy as np

from segdrop import architectures
from segdrop.codes import Code
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.errors import DataError, Issue
from segdrop.request import ImageSize, TrainRequest
from segdrop.spec import TrainingSpec

TARGET_MEAN_IOU = 0.95
#: so many steps between two looks at the result, and so many looks, if the minutes allow
_EPOCH_STEPS, _EPOCHS = 20, 30
_MINUTES = 2.0
#: with random flips: in a batch of equals, BatchNorm after ASPP's global pooling has nothing to take a variance of
_BATCH, _AUGMENTATION = 4, "flip"
#: enough to find one with many classes
_LOOKED_AT = 500
#: of the image, for a class to count as one that it shows
_LEAST_SHARE = 0.005
#: classes below this are named as what is wrong
_LEARNT = 0.9


def is_asked(request: TrainRequest) -> bool:
    """Whether a request is for a sanity run."""
    return request.mode == "sanity"


def simplify(spec: TrainingSpec, reader: CacheReader) -> TrainingSpec:
    """Returns the spec of the run on one image; ``reader`` then knows that image alone."""
    position = _choose(reader)
    one = {"train": [position] * _EPOCH_STEPS * _BATCH, "val": [position], "test": []}
    reader.index = reader.index.model_copy(update=one)
    asked = spec.request
    fine = architectures.ARCHITECTURES[asked.architecture].output_strides[0]
    changes = {
        "epochs": _EPOCHS,
        "batch_size": _BATCH // 2 if spec.is_halved else _BATCH,
        "augmentation": _AUGMENTATION,
        "optimizer": "sgd" if asked.optimizer == "sgd" else "adamw",  # Muon does not settle at a constant rate
        "schedule": "constant",
        "output_stride": fine if asked.output_stride == "auto" else asked.output_stride,
        "progressive_size": False,
        "ema": False,
        "early_stopping_patience": None,
        "validate_every": 1,
        "keep_checkpoints": False,
        "time_budget_minutes": min(_MINUTES, asked.time_budget_minutes or _MINUTES),
    }
    return spec.model_copy(update={"request": asked.model_copy(update=changes), "asked": spec.question})


def _choose(reader: CacheReader) -> int:
    """Returns the position of the training image that shows most classes, the first of equals."""
    return max(reader.index.train[:_LOOKED_AT], key=lambda position: _shown_classes(reader, position))


def _shown_classes(reader: CacheReader, position: int) -> int:
    pixels = np.bincount(reader.masks([position]).ravel(), minlength=IGNORE + 1)
    return int((pixels[:IGNORE] >= _LEAST_SHARE * pixels.sum()).sum())


def judge(
    reader: CacheReader, size: ImageSize, steps: int, history: list[dict[str, Any]], best: dict[str, Any]
) -> Issue:
    """Returns a note that a run of ``steps`` succeeded; raises ``DataError`` with what seems wrong if it did not."""
    (position,) = reader.index.val
    name, reached = reader.index.names[position], best["mean_iou"]
    if reached >= TARGET_MEAN_IOU:
        message = f"the model learnt {name} by heart, with a mean IoU of {reached:.3f}; it knows no other image"
        return Issue.of(Code.TRAIN_SANITY, message, files=[name])
    found = f"after {steps} steps on {name} alone, mean IoU is {reached:.2f}"
    reasons = [*_stuck(history), *_unlearnt(best["per_class"], size)]
    raise DataError([Issue.of(Code.TRAIN_SANITY_FAILED, "; ".join([found, *reasons]), files=[name])])


def _stuck(history: list[dict[str, Any]]) -> list[str]:
    first, last = history[0]["loss"], history[-1]["loss"]
    if len(history) == 1:
        return ["there was time for no more steps: a smaller image_size makes faster ones"]
    if last > first / 2:
        return [f"the loss hardly falls ({first:.3g} to {last:.3g}): see learning_rate"]
    return []


def _unlearnt(per_class: dict[str, dict[str, Any]], size: ImageSize) -> list[str]:
    """Returns a line on each class that was not learnt, with its pixels at training size."""
    return [
        f"{name} has an IoU of {score['iou']:.2f}, of {score['pixels']} pixels in {size.width}x{size.height}"
        for name, score in per_class.items()
        if score["iou"] is not None and score["iou"] < _LEARNT
    ]
