from fractions import Fraction
from typing import Any

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.dataset.classes.assignment import IGNORE
from segdrop.modeling import metrics

Ids = np.ndarray[Any, Any]
CLASSES = ["sky", "road", "car"]
TRUTH = arrays.arrays(np.uint8, (2, 5, 4), elements=st.sampled_from([0, 1, 2, IGNORE]))
PREDICTION = arrays.arrays(np.int64, (2, 5, 4), elements=st.integers(0, 2))


def naive_ratio(part: int, whole: int) -> Fraction | None:
    return Fraction(part, whole) if whole else None


Scores = tuple[Fraction | None, Fraction | None, Fraction | None]


def naive_scores(truth: Ids, prediction: Ids) -> list[Scores]:
    """Per class (IoU, accuracy, Dice), pixel by pixel, in exact fractions: shares nothing with the code."""
    pixels = [(int(t), int(p)) for t, p in zip(truth.ravel(), prediction.ravel(), strict=True) if t != IGNORE]
    scores = []
    for class_id in range(len(CLASSES)):
        both = sum(t == class_id and p == class_id for t, p in pixels)
        true = sum(t == class_id for t, _ in pixels)
        predicted = sum(p == class_id for _, p in pixels)
        either = sum(class_id in pair for pair in pixels)
        scores.append((naive_ratio(both, either), naive_ratio(both, true), naive_ratio(2 * both, true + predicted)))
    return scores


def naive_mean(values: list[Fraction | None]) -> float:
    known = [value for value in values if value is not None]
    return float(sum(known) / len(known)) if known else 0.0


@given(TRUTH, PREDICTION)
def test_summary_equals_counting_pixel_by_pixel(truth: Ids, prediction: Ids) -> None:
    matrix = metrics.confusion_matrix(truth, prediction, len(CLASSES))
    summary = metrics.summarize(matrix, CLASSES)
    scores = naive_scores(truth, prediction)
    for name, expected in zip(CLASSES, scores, strict=True):
        per_class = summary["per_class"][name]
        for key, value in zip(("iou", "accuracy", "dice"), expected, strict=True):
            assert per_class[key] == (None if value is None else pytest.approx(float(value)))
    for position, key in enumerate(("mean_iou", "mean_accuracy", "mean_dice")):
        assert summary[key] == pytest.approx(naive_mean([score[position] for score in scores]))


@given(TRUTH, PREDICTION)
def test_matrix_counts_every_labelled_pixel_once_by_row_of_its_truth(
    truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]
) -> None:
    matrix = metrics.confusion_matrix(truth, prediction, len(CLASSES))
    for true in range(3):
        for predicted in range(3):
            assert matrix[true, predicted] == ((truth == true) & (prediction == predicted)).sum()
    assert matrix.sum() == (truth != IGNORE).sum()


@given(TRUTH, PREDICTION)
def test_matrices_of_parts_add_up_to_the_matrix_of_the_whole(
    truth: np.ndarray[Any, Any], prediction: np.ndarray[Any, Any]
) -> None:
    parts = [metrics.confusion_matrix(t, p, 3) for t, p in zip(truth, prediction, strict=True)]
    assert np.array_equal(sum(parts), metrics.confusion_matrix(truth, prediction, 3))


def test_class_absent_from_truth_and_prediction_is_null_listed_and_left_out_of_the_mean() -> None:
    summary = metrics.summarize(np.array([[6, 2, 0], [0, 4, 0], [0, 0, 0]]), CLASSES)
    assert summary["absent_classes"] == ["car"]
    assert summary["per_class"]["car"] == {"iou": None, "accuracy": None, "dice": None, "pixels": 0}
    assert summary["mean_iou"] == pytest.approx((6 / 8 + 4 / 6) / 2)


def test_class_predicted_and_never_true_counts_as_zero() -> None:
    summary = metrics.summarize(np.array([[3, 0, 1], [0, 4, 0], [0, 0, 0]]), CLASSES)
    assert summary["per_class"]["car"]["iou"] == 0.0
    assert summary["per_class"]["car"]["accuracy"] is None
    assert summary["mean_iou"] == pytest.approx((3 / 4 + 1 + 0) / 3)


def test_baseline_is_what_the_most_frequent_class_alone_would_score() -> None:
    matrix = np.array([[0, 2, 0], [0, 6, 0], [0, 0, 0]])
    answers_road = np.array([[0, 2, 0], [0, 6, 0], [0, 0, 0]])
    baseline = metrics.summarize(matrix, CLASSES)["baseline"]
    expected = metrics.summarize(answers_road, CLASSES)
    assert baseline == {
        "class": "road",
        "pixel_accuracy": expected["pixel_accuracy"],
        "mean_iou": pytest.approx(expected["mean_iou"]),
    }


def test_predicted_classes_are_those_that_the_model_answers_with() -> None:
    summary = metrics.summarize(np.array([[0, 2, 0], [0, 6, 0], [0, 1, 0]]), CLASSES)
    assert summary["predicted_classes"] == ["road"]
