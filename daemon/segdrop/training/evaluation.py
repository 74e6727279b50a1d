"""A split through the model: loss and confusion matrix. And the BatchNorm statistics that short runs need first."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from segdrop.dataset.cache import CacheReader
from segdrop.dataset.classes import IGNORE
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.metrics import Matrix, confusion_matrix
from segdrop.modeling.normalize import to_input
from segdrop.modeling.precision import Host
from segdrop.training.loss import cross_entropy


@dataclass(frozen=True, slots=True)
class Evaluation:
    loss: float  #: mean over the labelled pixels, main head
    matrix: Matrix  # (C, C), rows = truth


def evaluate(
    model: SegmentationModel,
    host: Host,
    reader: CacheReader,
    positions: Sequence[int],
    num_classes: int,
    on_image: Callable[[], None],
) -> Evaluation:
    """Predict every image of a split, one at a time, as predict.py does.

    In a batch, sums are taken in another order, and a pixel between two classes may fall to the other: one at a
    time, predict.py reproduces the matrix to the last pixel. ``on_image`` is called after each and may raise.
    """
    matrix = np.zeros((num_classes, num_classes), np.int64)
    total_loss, pixels = 0.0, 0
    model.eval()
    with torch.inference_mode(), host.autocast():
        for position in positions:
            images, masks = reader.images([position]), reader.masks([position])
            logits = model(to_input(images))
            labelled = int((masks != IGNORE).sum())
            total_loss += float(cross_entropy(logits, torch.from_numpy(masks).long())) * labelled
            pixels += labelled
            matrix += confusion_matrix(masks, logits.argmax(dim=1).numpy(), num_classes)
            on_image()
    return Evaluation(total_loss / max(pixels, 1), matrix)


def reestimate_statistics(
    model: SegmentationModel, host: Host, batches: Iterable[Tensor], on_batch: Callable[[], None]
) -> None:
    """Replace BatchNorm's running statistics by the plain mean over some batches.

    Running averages with momentum 0.1 are still near their start in the first steps, and behind fast-moving
    weights for long. Weights and everything that training itself computes are untouched (in training BatchNorm
    uses the batch's own statistics); done twice, the result is the same. Izmailov et al., "Averaging Weights
    Leads to Wider Optima", 2018 (arXiv 1803.05407, 3.2); ``torch.optim.swa_utils.update_bn``.
    """
    norms = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]  # noqa: SLF001
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
        norm.train()
    try:
        with torch.no_grad(), host.autocast():
            for images in batches:
                model.forward_with_auxiliary(images)
                on_batch()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
