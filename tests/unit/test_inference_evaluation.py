import numpy as np
import pytest

from builders.records import prediction, record
from segdrop.answers import Scores
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.errors import DataError
from segdrop.inference.evaluation import PART, Evaluation
from segdrop.inference.matching import match


def test_classes_are_matched_by_name_whatever_their_order() -> None:
    found = match(["sky", "road", "car"], ["road", "sky", "car"])
    assert found.classes == ("road", "sky", "car")
    assert found.predicted[:3].tolist() == [1, 0, 2]
    assert found.truth[:3].tolist() == [0, 1, 2]
    assert found.truth[IGNORE] == IGNORE
    (note,) = found.issues
    assert (note.code, note.message) == (
        "model.classes_matched",
        "3 of the model's 3 classes are the dataset's, by name",
    )


def test_exact_spelling_wins_over_case_and_what_was_matched_otherwise_is_said() -> None:
    found = match(["Road", "SKY"], ["road", "sky"])
    assert found.predicted[:2].tolist() == [0, 1]
    assert "spelt otherwise: Road for road, SKY for sky" in found.issues[0].message
    found = match(["Crack", "crack"], ["crack", "Crack"])
    assert found.predicted[:2].tolist() == [1, 0]
    found = match(["CRACK", "crack"], ["crack"])
    assert found.predicted[:2].tolist() == [1, 0], "the other one is a class of its own"


def test_class_of_the_model_alone_is_counted_as_wrong_where_it_is_predicted() -> None:
    found = match(["a", "b", "other"], ["a", "b"])
    assert found.classes == ("a", "b", "other")
    assert "the model alone knows other" in found.issues[0].message


def test_pixels_of_a_class_that_the_request_leaves_out_are_wrong_wherever_they_are_predicted() -> None:
    evaluation = Evaluation(match(["a"], ["a"], has_excluded=True))
    assert evaluation.matching.classes == ("a", "(left out)")
    assert evaluation.measure(prediction([[0, 255]], truth=np.zeros((1, 2), np.uint8))) == [(0, 0, 1), (0, 1, 1)]


def test_class_that_the_model_does_not_know_is_refused_with_both_lists() -> None:
    with pytest.raises(DataError) as caught:
        match(["a", "b"], ["a", "c", "d"])
    (issue,) = caught.value.issues
    assert issue.code == "model.classes_unmatched"
    assert issue.message == "the dataset has c, d, which the model does not know: it knows a, b"


def test_metrics_are_those_of_all_pixels_of_all_images_but_the_ignored_ones() -> None:
    evaluation = Evaluation(match(["b", "a", "x"], ["a", "b"]))
    truths = [np.asarray([[0, 0, 1], [1, IGNORE, 0]]), np.asarray([[0, 1], [1, 1]])]
    predicted = [[[1, 1, 0], [2, 0, 1]], [[1, 0], [0, 1]]]
    records = [
        record(n, parts={PART: evaluation.measure(prediction(ids, index=n, truth=truth))})
        for n, (ids, truth) in enumerate(zip(predicted, truths, strict=True))
    ]
    matrix, count = evaluation.matrix(iter(records))
    assert matrix.tolist() == [[4, 0, 0], [1, 3, 1], [0, 0, 0]]
    assert count == 2
    found = evaluation.conclude(iter(records), Scores(mean_iou=0.9))
    assert found.pixel_accuracy == pytest.approx(7 / 9)
    assert found.per_class["a"].iou == pytest.approx(4 / 5)
    assert found.per_class["x"].iou == 0, "predicted, and never true"
    assert (found.images, found.own_validation) == (2, Scores(mean_iou=0.9))


def test_image_without_truth_is_no_measurement() -> None:
    with pytest.raises(ValueError, match=r"a\.png has no truth"):
        Evaluation(match(["a"], ["a"])).measure(prediction([[0]]))
