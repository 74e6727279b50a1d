"""The loss and the confusion matrix of a split, by one pass through the model."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from segdrop.dataset.cache import CacheReader
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.metrics import Matrix, confusion_matrix
from segdrop.modeling.normalize import to_input
from segdrop.modeling.precision import Host
from segdrop.training.loss import cross_entropy


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The figures of one pass through a split."""

    loss: float  #: cross-entropy, whatever is minimised: the mean over the labelled pixels, main head
    matrix: Matrix  # (C, C), rows = truth


def evaluate(
    model: SegmentationModel,
    host: Host,
    reader: CacheReader,
    positions: Sequence[int],
    num_classes: int,
    on_image: Callable[[], None],
) -> Evaluation:
    """Predicts every image of a split, one at a time as predict.py does, and returns the figures.

    In a batch, sums are taken in another order, and a pixel between two classes may fall to the other: one at a
    time, predict.py reproduces the matrix to the last pixel. ``on_image`` is called after each and may raise.
    """
    matrix = np.zeros((num_classes, num_classes), np.int64)
    total_loss, pixels = 0.0, 0
    model.eval()
    with torch.inference_mode(), host.autocast():
        for position in positions:
            images, masks = reader.images([position]), reader.masks([position])
            logits = model(host.place(to_input(images)))
            labelled = int((masks != IGNORE).sum())
            total_loss += float(cross_entropy(logits, host.place(torch.from_numpy(masks).long()))) * labelled
            pixels += labelled
            matrix += confusion_matrix(masks, logits.argmax(dim=1).cpu().numpy(), num_classes)
            on_image()
    return Evaluation(total_loss / max(pixels, 1), matrix)
