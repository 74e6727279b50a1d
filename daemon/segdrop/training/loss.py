"""What is minimised.

Every loss takes logits (N, C, H, W) and masks (N, H, W) of class ids or IGNORE, and leaves ignored pixels out of
numerators and denominators alike. A batch without any label gives 0 with a graph; plain means would give NaN.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from segdrop.dataset.classes import IGNORE
from segdrop.modeling.architectures import upsampled

PixelLoss = Callable[[Tensor, Tensor], Tensor]
Criterion = Callable[[Tensor, Tensor, Tensor], Tensor]

#: of the auxiliary head: PSPNet (arXiv 1612.01105, 3), and the configurations of MMSegmentation after it
AUXILIARY_WEIGHT = 0.4
#: a pixel is hard while its class is given less than this; MMSegmentation's OHEMPixelSampler
_EASY_PROBABILITY = 0.7
#: of the labelled pixels, at least one in so many counts, however easy
_LEAST_HARD = 16


def build_criterion(name: str, class_weights: Tensor | None = None) -> Criterion:
    """The loss of one batch by a request's ``loss``: both heads, the auxiliary one weighted. In float32, or double.

    Logits may be smaller than the masks, and are upsampled to them.
    ``class_weights`` (C,) are for ``weighted_cross_entropy``. ``KeyError`` for a name that is not built.
    """
    losses: dict[str, PixelLoss] = {
        "cross_entropy": cross_entropy,
        "weighted_cross_entropy": partial(cross_entropy, class_weights=class_weights),
        "ohem": ohem,
        "dice": dice,
        "dice_cross_entropy": dice_cross_entropy,
    }
    return partial(_both_heads, losses[name])


def _both_heads(loss: PixelLoss, logits: Tensor, auxiliary_logits: Tensor, masks: Tensor) -> Tensor:
    with torch.autocast(logits.device.type, enabled=False):
        return _of_head(logits, masks, loss) + AUXILIARY_WEIGHT * _of_head(auxiliary_logits, masks, loss)


def _of_head(logits: Tensor, masks: Tensor, loss: PixelLoss) -> Tensor:
    value: Tensor = _LossWithGradient.apply(logits, masks, loss)  # type: ignore[no-untyped-call]
    return value


class _LossWithGradient(torch.autograd.Function):
    """A loss and at once its gradient, which is all that is kept for the backward pass.

    What is as large as the masks, times the number of classes, some five times over, is gone before the next head's.
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
    """Mean over the labelled pixels, each with its class's weight."""
    total = functional.cross_entropy(logits, masks, class_weights, ignore_index=IGNORE, reduction="sum")
    labelled = masks[masks != IGNORE]
    if class_weights is None:
        return total / max(labelled.numel(), 1)
    return total / class_weights[labelled].sum().clamp(min=torch.finfo(total.dtype).tiny)


def ohem(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean cross-entropy over the hard pixels: online hard example mining.

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
    """1 - soft Dice, a mean over the classes that the batch's labels have: of others there is nothing to overlap.

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
    """Both, as equals: nnU-Net (Isensee et al., arXiv 1809.10486)."""
    return dice(logits, masks) + cross_entropy(logits, masks)
