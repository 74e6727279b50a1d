"""AdamW, and the learning rate as a pure function of the step: a resumed run needs no scheduler's state."""

import math
from typing import Literal

import torch
from torch import nn

#: peak learning rates. From scratch 4e-4 was found good in short one-cycle runs; pretrained features want half
_SCRATCH_RATE, _PRETRAINED_RATE = 4e-4, 2e-4
_WEIGHT_DECAY = 1e-2

# Smith and Topin, "Super-Convergence", 2018 (arXiv 1708.07120), in the shape of torch's OneCycleLR
_WARM_UP_SHARE = 0.3
_INITIAL_DIVISOR = 25.0
_FINAL_DIVISOR = 25e4

Auto = Literal["auto"]


def peak_learning_rate(requested: float | Auto, *, is_pretrained: bool) -> float:
    if requested != "auto":
        return requested
    return _PRETRAINED_RATE if is_pretrained else _SCRATCH_RATE


def weight_decay(requested: float | Auto) -> float:
    return _WEIGHT_DECAY if requested == "auto" else requested


def one_cycle(step: int, steps: int, peak: float) -> float:
    """The learning rate of ``step`` (0 to steps - 1): cosine up to ``peak``, then cosine down to almost nothing."""
    warm_up_end = _WARM_UP_SHARE * steps - 1
    if step <= warm_up_end:
        return _cosine(peak / _INITIAL_DIVISOR, peak, step / warm_up_end if warm_up_end else 1.0)
    decline = max(steps - 1 - max(warm_up_end, 0.0), 1.0)
    return _cosine(peak, peak / _FINAL_DIVISOR, (step - max(warm_up_end, 0.0)) / decline)


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


def build_optimizer(network: nn.Module, decay: float) -> torch.optim.AdamW:
    """AdamW without decay on norms and biases: those are the parameters with one dimension."""
    parameters = [parameter for parameter in network.parameters() if parameter.requires_grad]
    groups = [
        {"params": [parameter for parameter in parameters if parameter.ndim > 1], "weight_decay": decay},
        {"params": [parameter for parameter in parameters if parameter.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = rate
