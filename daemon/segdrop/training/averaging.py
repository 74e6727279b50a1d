"""Averaged weights: an exponential moving average over the steps (``ema``).

With them, they are what is validated, selected, tested and delivered, in every epoch: whoever asks for averaged
weights gets those, and one validation an epoch is enough. Training itself goes on with the plain ones.
"""

import copy

import torch
from torch import Tensor, nn

from segdrop.modeling.architectures import SegmentationModel

#: an average over about the last thousand steps, at most
_MOST_DECAY = 0.999


def decay_after(steps: int) -> float:
    """What is kept of the average after ``steps`` steps, from 0: it spans the last tenth of a run, however short.

    ``tf.train.ExponentialMovingAverage`` with ``num_updates``.
    """
    return min(_MOST_DECAY, (1 + steps) / (10 + steps))


class Average:
    """A second model of the same kind. BatchNorm's statistics are averaged like weights, its counters copied."""

    def __init__(self, model: SegmentationModel) -> None:
        self.model = copy.deepcopy(model).requires_grad_(requires_grad=False)

    @torch.no_grad()
    def update(self, network: nn.Module, steps: int) -> None:
        """Move towards the network; ``steps`` were taken before the one that it has just taken."""
        averages, currents = self.model.network.state_dict(), network.state_dict()
        moving: tuple[list[Tensor], list[Tensor]] = ([], [])
        for key, average in averages.items():
            if average.is_floating_point():
                moving[0].append(average)
                moving[1].append(currents[key])
            else:
                average.copy_(currents[key])
        torch._foreach_lerp_(*moving, 1 - decay_after(steps))
