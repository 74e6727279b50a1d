"""BatchNorm's statistics: estimated anew for short runs, and kept as they are where tiny batches would spoil them."""

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.precision import Host

#: Below it a batch's own statistics are noise to a backbone that was trained with those of many images: Wu and He,
#: "Group Normalization" (arXiv 1803.08494, 4.1)
_LEAST_BATCH = 8


def frozen_norms(network: nn.Module, *, is_pretrained: bool, batch_size: int) -> list[nn.Module]:
    """Those that keep their statistics: a pretrained backbone's in tiny batches. Their weight and bias still learn.

    Not those of the heads, which may come from random weights and have no statistics worth keeping.
    """
    return list(_norms(network.get_submodule("backbone"))) if is_pretrained and batch_size < _LEAST_BATCH else []


def train_mode(model: nn.Module, frozen: Sequence[nn.Module]) -> None:
    model.train()
    for norm in frozen:
        norm.eval()


def reestimate_statistics(
    model: SegmentationModel,
    host: Host,
    batches: Iterable[Tensor],
    on_batch: Callable[[], None],
    frozen: Sequence[nn.Module] = (),
) -> None:
    """Replace BatchNorm's running statistics by the plain mean over some batches, but for the ``frozen`` ones.

    Running averages with momentum 0.1 are still near their start in the first steps, and behind fast-moving
    weights for long. Weights and everything that training itself computes are untouched (in training BatchNorm
    uses the batch's own statistics); done twice, the result is the same. Izmailov et al., "Averaging Weights
    Leads to Wider Optima", 2018 (arXiv 1803.05407, 3.2); ``torch.optim.swa_utils.update_bn``.
    """
    norms = [norm for norm in _norms(model) if norm not in frozen]
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


def _norms(module: nn.Module) -> Iterable[_BatchNorm]:
    return (child for child in module.modules() if isinstance(child, _BatchNorm))
