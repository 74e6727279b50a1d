"""What is minimised."""

from torch import Tensor
from torch.nn import functional

from segdrop.dataset.classes import IGNORE

#: of the auxiliary head: PSPNet (arXiv 1612.01105, 3), and the configurations of MMSegmentation after it
AUXILIARY_WEIGHT = 0.4


def cross_entropy(logits: Tensor, masks: Tensor) -> Tensor:
    """Mean over the labelled pixels. Logits (N, C, H, W), masks (N, H, W).

    A batch without any gives 0 with a graph; torch's own mean would give NaN.
    """
    total = functional.cross_entropy(logits, masks, ignore_index=IGNORE, reduction="sum")
    return total / (masks != IGNORE).sum().clamp(min=1)


def criterion(logits: Tensor, auxiliary_logits: Tensor, masks: Tensor) -> Tensor:
    """The loss of one batch: both heads, the auxiliary one weighted."""
    return cross_entropy(logits, masks) + AUXILIARY_WEIGHT * cross_entropy(auxiliary_logits, masks)
