"""Numbers about one prediction that several outputs tell."""

from typing import Any

import numpy as np
import numpy.typing as npt

from segdrop.inference.prediction import ImageRecord, Prediction


def pixel_counts(class_ids: npt.NDArray[np.uint16]) -> dict[int, int]:
    """Returns the number of pixels of each class id that occurs, those that are left out included."""
    counts = np.bincount(class_ids.ravel())
    return {int(class_id): int(counts[class_id]) for class_id in np.flatnonzero(counts)}


def mean_confidence(confidence: npt.NDArray[np.uint8]) -> float:
    """Returns the mean probability of the classes that were chosen, 0 to 1."""
    return float(confidence.mean(dtype=np.float64)) / 255


def record_of(prediction: Prediction, parts: dict[str, Any]) -> ImageRecord:
    """Returns what outlives the arrays of a prediction; ``parts`` has what each output's ``write`` returned."""
    item = prediction.item
    height, width = prediction.class_ids.shape
    return ImageRecord(
        index=item.index,
        name=item.name,
        stem=item.stem,
        height=height,
        width=width,
        seconds=item.seconds,
        pixels=pixel_counts(prediction.class_ids),
        mean_confidence=mean_confidence(prediction.confidence),
        doubt=prediction.doubt,
        descriptor=prediction.descriptor,
        parts=parts,
    )
