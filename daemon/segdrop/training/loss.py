"""The losses that a run can minimise.

Every loss takes logits (N, C, H, W) and masks (N, H, W) of class ids or IGNORE, and leaves ignored pixels out of
numerators and denominators alike. A batch without any label gives 0 with a graph; plain means would give NaN.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from segdrop.dataset.cache import CacheReader
from segdrop.dataset.classes.assignment import IGNORE
from segdrop.modeling.architectures import Criterion, upsampled

PixelLoss = Callable[[Tensor, Tensor], Tensor]

#: ENet (Paszke et al., arXiv 1606.02147, 5): weights between 1.4, for a class that is everywhere, and 50
_OFFSET = 1.02
#: classes of a few pixels would drown the others, and their noise in them
_MOST_WEIGHT = 10.0
#: a pixel is hard while its class is given less than this; MMSegmentation's OHEMPixelSampler
_EASY_PROBABILITY = 0.7
#: of the labelled pixels, at least one in so many counts, however easy
_LEAST_HARD = 16


def build_criterion(name: str, class_weights: Tensor | None = None) -> Criterion:
    """Returns the loss of one head by a request's ``loss``, computed in float32 whatever autocast says, or in double.

    Its logits (N, C, h, w) may be smaller than the masks, and are upsampled to them. ``class_weights`` (C,) are for
    ``weighted_cross_entropy``. Raises ``KeyError`` for a name that is not built.
    """
    losses: dict[str, PixelLoss] = {
        "cross_entropy": cross_entropy,
        "weighted_cross_entropy": partial(cross_entropy, class_weights=class_weights),
        "ohem": ohem,
        "dice": dice,
        "dice_cross_entropy": dice_cross_entropy,
    }
    return partial(_of_head, losses[name])


def _of_head(loss: PixelLoss, logits: Tensor, masks: Tensor) -> Tensor:
    with torch.autocast(logits.device.type, enabled=False):
        value: Tensor = _LossWithGradient.apply(logits, masks, loss)  # type: ignore[no-untyped-call]
    return value


class _LossWithGradient(torch.autograd.Function):
    """Computes a loss and at once its gradient, which is all that is kept for the backward pass.

    Tensors as large as the masks, times the number of classes, some five of them, are gone before the next head's.
    """

    @staticmethod
    def forward(ctx: Any, logits: Tensor, masks: Tensor, loss: PixelLoss) -> Tensor:  # noqa: ANN401
        with torch.enable_grad():
            leaf = logits.detach().requires_grad_()
            value = loss(upsampled(_precise(leaf), masks.shape[-2:]), masks)
        ctx.save_for_backward(*torch.autograd.grad(value, leaf))
        return value.detach()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, share: Tensor) -> tuple[Tensor, None, None]:  # noqa: ANN401
        (gradient,) = ctx.saved_tensors
        return gradient * share, None, None


def _precise(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def cross_entropy(logits: Tensor, masks: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Returns the mean cross-entropy over the labelled pixels, each with its class's weight."""
    total = functional.cross_entropy(logits, masks, class_weights, ignore_index=IGNORE, reduction="sum")
    labelled = masks[masks != IGNORE]
    if class_weights is None:
        return total / max(labelled.numel(), 1)
    return total / class_weights[labelled].sum().clamp(min=torch.finfo(total.dtype).tiny)


def ohem(logits: Tensor, masks: Tensor) -> Tensor:
    """Returns the mean cross-entropy over the hard pixels: online hard example mining.

    Shrivastava et al., arXiv 1604.03540; for pixels, Wu et al., arXiv 1605.06885.
    """
    losses = functional.cross_entropy(logits, masks, ignore_index=IGNORE, reduction="none")
    with torch.no_grad():
        labelled = masks != IGNORE
        hard = losses > -math.log(_EASY_PROBABILITY)  # ignored pixels have a loss of 0
        least = math.ceil(int(labelled.sum()) / _LEAST_HARD)
        if int(hard.sum()) < least:
            hard = labelled & (losses >= losses[labelled].topk(least).values[-1])
    return (losses * hard).sum() / hard.sum().clamp(min=1)


def dice(logits: Tensor, masks: Tensor) -> Tensor:
    """Returns 1 - soft Dice, a mean over the classes that the batch's labels have: others have nothing to overlap.

    Milletari et al., "V-Net" (arXiv 1606.04797), over the batch as a whole, with plain sums in the denominator.
    """
    num_classes = logits.shape[1]
    labelled = masks != IGNORE
    truth = masks.where(labelled, 0)
    probabilities = logits.softmax(dim=1) * labelled.unsqueeze(1)
    of_truth = probabilities.gather(1, truth.unsqueeze(1)).flatten()
    overlap = of_truth.new_zeros(num_classes).index_add(0, truth.flatten(), of_truth)
    true = torch.bincount(masks[labelled], minlength=num_classes)
    present = true > 0
    # a class that is present has at least one pixel: the lower bound is for the others
    scores = 2 * overlap / (probabilities.sum(dim=(0, 2, 3)) + true).clamp(min=1)
    return ((1 - scores) * present).sum() / present.sum().clamp(min=1)


def dice_cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Returns the sum of both losses, as in nnU-Net (Isensee et al., arXiv 1809.10486)."""
    return dice(logits, masks) + cross_entropy(logits, masks)


def weigh_classes(pixels: npt.NDArray[np.int64]) -> Tensor:
    """Returns the weights of the classes, (C,) float32, by pixel counts (C,): 1 / ln(1.02 + share), at most 10."""
    shares = pixels / max(int(pixels.sum()), 1)
    return torch.from_numpy(np.minimum(1 / np.log(_OFFSET + shares), _MOST_WEIGHT)).float()


def training_pixels(reader: CacheReader, num_classes: int, on_image: Callable[[], None]) -> npt.NDArray[np.int64]:
    """Counts the labelled pixels of each class in the training split, at training size: (C,).

    ``on_image`` is called after each image and may raise. The check's own counts are of the whole dataset.
    """
    counts = np.zeros(256, np.int64)  # IGNORE, the last, is cut off
    for position in reader.index.train:
        counts += np.bincount(reader.masks([position]).ravel(), minlength=len(counts))
        on_image()
    return counts[:num_classes]
