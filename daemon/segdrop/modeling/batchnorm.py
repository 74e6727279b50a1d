"""The statistics of BatchNorm: estimated anew in short runs, and kept where tiny batches would spoil them."""

from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.precision import Host

#: Below it, a batch's own statistics are noise to an encoder that was trained with those of many images: Wu and He,
#: "Group Normalization" (arXiv 1803.08494, 4.1)
_FEWEST_IMAGES = 8


def keeps_statistics(*, is_pretrained: bool, batch_size: int) -> bool:
    """Whether the norms of the encoder keep their statistics; their weights and biases still learn.

    Those of the heads never do: they may start from random weights and have none worth keeping.
    """
    return is_pretrained and batch_size < _FEWEST_IMAGES


def train_mode(model: SegmentationModel, *, keeps_statistics: bool) -> None:
    """Switches a model to training, but for the norms that keep their statistics."""
    model.train()
    for norm in _kept(model, keeps_statistics=keeps_statistics):
        norm.eval()


def reestimate_statistics(
    model: SegmentationModel,
    host: Host,
    batches: Iterable[Tensor],
    on_batch: Callable[[], None],
    *,
    keeps_statistics: bool,
) -> None:
    """Replaces BatchNorm's running statistics, but those that are kept, by the plain mean over some batches.

    ``batches`` are images (N, 3, H, W) float32; ``on_batch`` is called after each and may raise.
    Running averages with momentum 0.1 are still near their start in the first steps, and behind fast-moving
    weights for long. Weights and everything that training itself computes are untouched (in training BatchNorm
    uses the batch's own statistics); done twice, the result is the same. Izmailov et al., "Averaging Weights
    Leads to Wider Optima", 2018 (arXiv 1803.05407, 3.2); ``torch.optim.swa_utils.update_bn``.
    """
    kept = _kept(model, keeps_statistics=keeps_statistics)
    norms = [norm for norm in _norms(model) if norm not in kept]
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # cumulative average
        norm.train()
    try:
        with torch.no_grad(), host.autocast():
            for images in batches:
                model.forward_heads(host.place(images))
                on_batch()
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _kept(model: SegmentationModel, *, keeps_statistics: bool) -> set[_BatchNorm]:
    """Returns the norms whose statistics stay: of the frozen modules, or of the whole encoder."""
    parts = [model.encoder] if keeps_statistics else model.frozen
    return {norm for part in parts for norm in _norms(part)}


def _norms(module: nn.Module) -> Iterator[_BatchNorm]:
    return (child for child in module.modules() if isinstance(child, _BatchNorm))
