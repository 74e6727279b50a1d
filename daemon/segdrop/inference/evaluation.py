"""The confusion matrix of an evaluation, kept image by image in the journal, so that a crash loses none of it."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from segdrop.answers import EvaluationMetrics, Scores
from segdrop.inference.matching import Matching
from segdrop.inference.prediction import ImageRecord, Prediction
from segdrop.modeling import metrics
from segdrop.modeling.metrics import Matrix

#: name of the part of an image's record that holds its matrix
PART = "confusion"
#: the cells of a matrix that are not empty: truth, prediction, number of pixels
Cells = list[tuple[int, int, int]]


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Compares predictions with the truth of their images, at the images' full size."""

    matching: Matching

    def measure(self, prediction: Prediction) -> Cells:
        """Returns the confusion matrix of one image, its empty cells left out. Raises ``ValueError`` without truth."""
        if prediction.item.truth is None:
            raise ValueError(f"{prediction.item.name} has no truth")
        truth, predicted = self.matching.truth[prediction.item.truth], self.matching.predicted[prediction.class_ids]
        matrix = metrics.confusion_matrix(truth, predicted, len(self.matching.classes))
        rows, columns = np.nonzero(matrix)
        return list(zip(rows.tolist(), columns.tolist(), matrix[rows, columns].tolist(), strict=True))

    def matrix(self, records: Iterator[ImageRecord]) -> tuple[Matrix, int]:
        """Returns the matrix (C, C) over all images, rows being the truth, and their number."""
        count, total = 0, np.zeros((len(self.matching.classes),) * 2, np.int64)
        for record in records:
            count += 1
            for row, column, pixels in record.parts[PART]:
                total[row, column] += pixels
        return total, count

    def conclude(self, records: Iterator[ImageRecord], own_validation: Scores | None) -> EvaluationMetrics:
        """Returns all metrics over all images, beside those that the model's own training had measured."""
        matrix, count = self.matrix(records)
        measured = metrics.summarize(matrix, list(self.matching.classes))
        known = {"own_validation": own_validation} if own_validation else {}
        return EvaluationMetrics.model_validate(measured | {"images": count} | known)
