"""Segmentation metrics, all from one integer confusion matrix over a whole split.

Names follow ``evaluate``'s ``mean_iou``; fractions 0 to 1. A class absent from truth and prediction has no
value (None), and is left out of the means; one that is predicted and never true counts as 0 in ``mean_iou``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from segdrop.dataset.classes.assignment import IGNORE

Matrix = npt.NDArray[np.int64]


def confusion_matrix(truth: npt.NDArray[np.integer], prediction: npt.NDArray[np.integer], num_classes: int) -> Matrix:
    """Counts pixels by truth (rows) and prediction: (C, C). Both arrays have one shape; IGNORE in truth is left out."""
    counted = truth != IGNORE
    flat = truth[counted].astype(np.int64) * num_classes + prediction[counted]
    return np.bincount(flat, minlength=num_classes**2).reshape(num_classes, num_classes)


def summarize(matrix: Matrix, classes: list[str]) -> dict[str, Any]:
    """Returns all metrics of a confusion matrix (C, C), as JSON values."""
    hits = np.diag(matrix).astype(np.float64)
    true, predicted = matrix.sum(axis=1), matrix.sum(axis=0)
    iou = _ratio(hits, true + predicted - hits)
    accuracy = _ratio(hits, true)
    dice = _ratio(2 * hits, true + predicted)
    return {
        "mean_iou": _mean(iou),
        "mean_accuracy": _mean(accuracy),
        "pixel_accuracy": _share(hits.sum(), matrix.sum()),
        "mean_dice": _mean(dice),
        "per_class": {
            name: {
                "iou": _json(iou[class_id]),
                "accuracy": _json(accuracy[class_id]),
                "dice": _json(dice[class_id]),
                "pixels": int(true[class_id]),
            }
            for class_id, name in enumerate(classes)
        },
        "absent_classes": [name for class_id, name in enumerate(classes) if not true[class_id] + predicted[class_id]],
        "predicted_classes": [name for class_id, name in enumerate(classes) if predicted[class_id]],
        "baseline": _baseline(true, classes),
        "confusion_matrix": matrix.tolist(),
    }


def _baseline(true: npt.NDArray[np.int64], classes: list[str]) -> dict[str, Any]:
    """Returns the score of a model that always answers the most frequent class of the split."""
    most = int(true.argmax())
    share = _share(float(true[most]), float(true.sum()))
    present = int((true > 0).sum())
    return {"class": classes[most], "pixel_accuracy": share, "mean_iou": share / present if present else 0.0}


def _ratio(part: npt.NDArray[np.float64], whole: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    result = np.full(len(part), np.nan)
    np.divide(part, whole, out=result, where=whole > 0)
    return result


def _mean(values: npt.NDArray[np.float64]) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else 0.0


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0


def _json(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
