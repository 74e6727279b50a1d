"""Muon: a convolution's weights move in an orthogonal direction, so that all of its features are learnt at one pace.

Jordan et al., "Muon: An optimizer for hidden layers in neural networks", 2024 (kellerjordan.github.io/posts/muon). A
gradient is mostly made of a few directions, and a step of Adam too: what is rare in the data waits until they are
learnt. Muon takes the momentum as a matrix, output channels by inputs, and makes its singular values nearly equal.

Two changes are ours. A step is as long as a share of the weights that it changes, as in LARS (You et al., arXiv
1708.03888, 3): before a BatchNorm only their direction counts. And it is made to cost little on a CPU: matrices are
orthogonal in blocks of at most 256 rows, and weights take turns. (``torch.optim.Muon`` knows neither, nor kernels.)
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

#: a x + b x³ + c x⁵, one after another: singular values of 0.01 to 1 come to 0.73 to 1.27, and smaller ones nearer.
#: The best that three can do, by the method of Amsel et al., "The Polar Express", 2025 (arXiv 2505.16932, 3).
_POLYNOMIALS = (
    (8.0934, -23.6204, 17.4462),
    (3.6366, -2.7219, 0.5365),
    (2.6613, -1.9772, 0.4526),
)
#: against rounding: a singular value over 1 would grow
_SAFETY = 1.01
_MOST_ROWS = 256
#: a weight moves in one of so many steps, so many times as far: its momentum, of all steps, changes slowly anyway
_TURNS = 4
_LEAST_LENGTH = 1e-12
#: Gradients are outliers that are more than so many times as long as usual. Momentum remembers one for dozens of steps,
#: and then nothing else. (Clipping to a fixed norm would change nothing: a step is as long for gradients of any scale.)
_OUTLIER = 10.0
#: of a step's gradients in the running mean of their length
_LENGTH_SHARE = 0.1


class Muon(torch.optim.AdamW):
    """Muon for groups with ``momentum``, of weights of convolutions (O, I, H, W), and AdamW for the other groups.

    ``precision`` is that of the matrix products: bf16 where the host computes faster with it. ``grad_scale``, which
    ``recipes.clip_gradients`` sets, clips AdamW's gradients, and tells Muon how long all of them are together.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], precision: torch.dtype) -> None:
        super().__init__(groups, fused=True)
        self._precision = precision

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Updates all weights by their gradients. Muon's lose theirs, so that AdamW passes over them."""
        groups = [group for group in self.param_groups if "momentum" in group]
        excess = self._excess(groups)
        for group in groups:
            for number, weight in enumerate(group["params"]):
                if weight.grad is not None:
                    self._update(weight, weight.grad / excess if excess > 1 else weight.grad, group, number)
                    weight.grad = None
        super().step(closure)

    def _excess(self, groups: list[dict[str, Any]]) -> float:
        """Returns how many times too long the gradients are, 1 for ordinary ones; remembers their length."""
        scale, first = getattr(self, "grad_scale", None), next((w for group in groups for w in group["params"]), None)
        if scale is None or first is None:
            return 1.0
        length, state = float(scale), self.state[first]  # saved, and forgotten, with the momentum
        usual = float(state.get("usual_length", length))
        excess = max(length / (_OUTLIER * usual), 1.0)
        state["usual_length"] = torch.tensor(usual + _LENGTH_SHARE * (length / excess - usual))
        return excess

    def _update(self, weight: Tensor, gradient: Tensor, group: dict[str, Any], number: int) -> None:
        state, share = self.state[weight], _TURNS * group["lr"]
        if "step" not in state:  # in AdamW's names, whose checks of a loaded state then hold
            state["step"], state["exp_avg"] = torch.zeros(()), torch.zeros_like(weight)
        state["exp_avg"].lerp_(gradient, 1 - group["momentum"])
        state["step"] += 1
        if (int(state["step"]) + number) % _TURNS:
            return
        look_ahead = torch.lerp(gradient, state["exp_avg"], group["momentum"])  # Nesterov's
        if group["weight_decay"]:
            weight.mul_(1 - share * group["weight_decay"])
        turn(weight, look_ahead, share, self._precision)


def turn(weight: Tensor, direction: Tensor, share: float, precision: torch.dtype) -> None:
    """Moves a weight (O, I, H, W) against a direction made orthogonal, by a share of its own length.

    Inputs whose direction is exactly zero, those that only ever read padding, do not count.
    """
    matrix, weights = _as_matrix(direction), _as_matrix(weight)
    live = matrix.any(dim=0)
    if not bool(live.all()):
        matrix, weights = matrix[:, live], weights[:, live]
    update = orthogonalized(matrix, precision)
    update *= -share * weights.norm() / update.norm().clamp(min=_LEAST_LENGTH)
    if len(live) != update.shape[1]:
        update = torch.zeros_like(_as_matrix(direction)).masked_scatter_(live, update)
    outputs, inputs, height, width = weight.shape
    weight += update.view(outputs, height, width, inputs).permute(0, 3, 1, 2)


def _as_matrix(weight: Tensor) -> Tensor:
    """Returns a weight (O, I, H, W) as (O, H · W · I): without a copy in channels_last."""
    return weight.permute(0, 2, 3, 1).flatten(1)


def orthogonalized(matrix: Tensor, precision: torch.dtype) -> Tensor:
    """Returns a matrix (M, N), of any scale, with singular values of about 1: less where below a hundredth of its norm.

    Large matrices are made orthogonal block by block, so not as a whole.
    """
    rows, columns = matrix.shape
    if rows > columns:
        return orthogonalized(matrix.mT, precision).mT
    return torch.cat([_polar(block.to(precision)) for block in torch.split(matrix, _MOST_ROWS)]).to(matrix.dtype)


def _polar(matrix: Tensor) -> Tensor:
    matrix = matrix / (matrix.norm() * _SAFETY).clamp(min=_LEAST_LENGTH)
    for a, b, c in _POLYNOMIALS:
        gram = matrix @ matrix.mT
        factor = torch.addmm(gram, gram, gram, beta=b, alpha=c)
        matrix = torch.addmm(matrix, factor, matrix, beta=a)
    return matrix
