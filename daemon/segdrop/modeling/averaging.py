"""Averaged weights: an exponential moving average over the steps (``ema``).

With them, they are what is validated, selected, tested and delivered, in every epoch: a request for averaged weights
gets those, and one validation an epoch is enough. Training itself goes on with the plain ones.
"""

from typing import cast

from torch import Tensor
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from segdrop.modeling.architectures import SegmentationModel

_Tensors = tuple[Tensor, ...] | list[Tensor]

#: an average over about the last thousand steps, at most
_MOST_DECAY = 0.999


def decay_after(steps: int) -> float:
    """Returns the share of the average that is kept after ``steps`` steps, from 0.

    The average spans the last tenth of a run, however short: ``tf.train.ExponentialMovingAverage`` with
    ``num_updates``.
    """
    return min(_MOST_DECAY, (1 + steps) / (10 + steps))


class Average:
    """The average of a model's weights, as a second model of the same kind.

    BatchNorm's statistics are averaged like weights, its counters copied.
    """

    def __init__(self, model: SegmentationModel) -> None:
        self._averaged = AveragedModel(model, multi_avg_fn=_move, use_buffers=True)
        self._averaged.requires_grad_(requires_grad=False)

    @property
    def model(self) -> SegmentationModel:
        """The model that has the averaged weights."""
        return cast("SegmentationModel", self._averaged.module)

    def update(self, model: SegmentationModel, steps: int) -> None:
        """Moves the average towards a model that had taken ``steps`` steps before the one that it has just taken."""
        self._averaged.n_averaged.fill_(steps + 1)  # the start counts: of nothing yet, torch would forget it
        self._averaged.update_parameters(model)


def _move(averages: _Tensors, currents: _Tensors, count: Tensor | int) -> None:
    """Moves tensors of one type, in place; ``count`` models were averaged before, the start being the first."""
    if averages[0].is_floating_point():
        move = get_ema_multi_avg_fn(decay_after(int(count) - 1))  # type: ignore[no-untyped-call]
        move(averages, currents, count)
    else:
        for average, current in zip(averages, currents, strict=True):
            average.copy_(current)
