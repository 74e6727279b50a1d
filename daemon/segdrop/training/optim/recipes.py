"""The recipes of optimizers: Muon, AdamW or SGD, slower for a pretrained encoder, with gradients up to a norm."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn

from segdrop.modeling.architectures import SegmentationModel
from segdrop.training.optim.muon import Muon

Auto = Literal["auto"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """The defaults of an optimizer."""

    name: str
    learning_rate: float  #: peak
    of_batch: int | None  #: the rate is for this many images and scales with them; None: it does not
    weight_decay: float
    encoder_share: float  #: of the rate, for a pretrained encoder
    max_gradient_norm: float
    moments: int  #: values remembered of each weight


_RECIPES = [
    # A rate that suits AdamW suits Muon: at this peak, a step is 2 % as long as the weights that it changes.
    Recipe("muon", 4e-4, None, weight_decay=0.0, encoder_share=1 / 4, max_gradient_norm=1.0, moments=1),
    # 4e-4 was found good in short one-cycle runs. An Adam step is as long as the rate, however small the gradient:
    # a quarter, 1e-4, is the usual rate for pretrained features, and a tenth would leave them where they are.
    Recipe("adamw", 4e-4, None, weight_decay=1e-2, encoder_share=1 / 4, max_gradient_norm=1.0, moments=2),
    # torchvision's references/segmentation, 4 x 8 images; scaled: Goyal et al., arXiv 1706.02677. A tenth: heads learn
    # at ten times the encoder's rate, as since DeepLab. The norm is nnU-Net's and only catches what explodes.
    Recipe("sgd", 0.02, 32, weight_decay=1e-4, encoder_share=1 / 10, max_gradient_norm=12.0, moments=1),
]
RECIPES = {recipe.name: recipe for recipe in _RECIPES}
_MOMENTUM = 0.9
_MUON_MOMENTUM = 0.95
#: of the rate: Muon's, of the weights' length, beside AdamW's for norms, biases and the layers that give the logits
_MUON_SHARE = 50.0


def choose_recipe(optimizer: str, schedule: str, *, is_pretrained: bool) -> Recipe:
    """Returns the recipe for a request's ``optimizer`` and ``schedule``; raises ``KeyError`` for an unknown optimizer.

    With ``auto``, Muon learns most from random weights if the rate comes down: its steps do not shrink with the
    gradient, so at a constant rate it never settles. With pretrained weights, AdamW is what is proven.
    """
    if optimizer == "auto":
        optimizer = "adamw" if is_pretrained or schedule == "constant" else "muon"
    return RECIPES[optimizer]


def peak_learning_rate(requested: float | Auto, recipe: Recipe, batch_size: int) -> float:
    """Returns the highest learning rate of a run: the one that was asked for, or the recipe's for such batches."""
    if requested != "auto":
        return requested
    return recipe.learning_rate * (batch_size / recipe.of_batch if recipe.of_batch else 1)


def build_optimizer(
    model: SegmentationModel,
    recipe: Recipe,
    decay: float | Auto,
    *,
    is_pretrained: bool,
    precision: torch.dtype = torch.float32,
) -> torch.optim.Optimizer:
    """Returns the optimizer of a recipe for the trained parameters of a model.

    ``precision`` is that of Muon's matrix products; a pretrained encoder learns at a share of the heads' rate. So does
    that of an earlier model: with its heads at that share too, it came less far. DeepLabV3, 64-pixel CamVid, 40 images,
    then 5 epochs on 80 (AdamW, one seed): mean IoU 0.292 at the start became 0.324, and 0.309 with all of it slower;
    neither was below the start after any epoch.
    """
    decay = recipe.weight_decay if decay == "auto" else decay
    parts = [(model.network, 1.0)]
    if is_pretrained:
        parts = [(model.encoder, recipe.encoder_share), (model.heads, 1.0)]
    if recipe.name == "muon":
        return Muon([group for part, share in parts for group in _muon_groups(model, part, share, decay)], precision)
    groups = [group for part, share in parts for group in _groups(model, part.parameters(), share, decay)]
    if recipe.name == "sgd":
        return torch.optim.SGD(groups, momentum=_MOMENTUM, fused=True)
    return torch.optim.AdamW(groups, fused=True)


def _muon_groups(
    model: SegmentationModel, part: nn.Module, rate_share: float, decay: float
) -> Iterator[dict[str, Any]]:
    matrices = list(model.matrices(part))
    chosen = {id(weight) for weight in matrices}
    yield {
        "params": matrices,
        "momentum": _MUON_MOMENTUM,
        "weight_decay": decay,
        "rate_share": _MUON_SHARE * rate_share,
    }
    others = [parameter for parameter in part.parameters() if id(parameter) not in chosen]
    yield from _groups(model, others, rate_share, decay)


def _groups(
    model: SegmentationModel, parameters: Iterable[nn.Parameter], rate_share: float, decay: float
) -> Iterator[dict[str, Any]]:
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    decayed = [parameter for parameter in trained if model.decays(parameter)]
    kept = [parameter for parameter in trained if not model.decays(parameter)]
    yield {"params": decayed, "weight_decay": decay, "rate_share": rate_share}
    yield {"params": kept, "weight_decay": 0.0, "rate_share": rate_share}


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Lets the next step take each group's share of a learning rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_share"]


def clip_gradients(optimizer: torch.optim.Optimizer, max_norm: float) -> float:
    """Lets the next step see gradients scaled together to a norm of at most ``max_norm``; returns their own norm.

    The fused kernels divide gradients by ``grad_scale`` as they read them, as they do for ``torch.amp.GradScaler``:
    over the 42 million of DeepLabV3, a pass of its own would take half as long as the optimizer's step. Raises
    ``TypeError`` for an optimizer that would not look at it.
    """
    if not getattr(optimizer, "_step_supports_amp_scaling", False):  # what torch.amp.GradScaler asks
        raise TypeError(f"{type(optimizer).__name__} without `fused` does not scale gradients as it reads them")
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    norm = nn.utils.get_total_norm([parameter.grad for parameter in parameters if parameter.grad is not None])
    optimizer.grad_scale = (norm / max_norm).clamp(min=1.0)  # type: ignore[attr-defined]
    return float(norm)
