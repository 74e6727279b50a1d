"""A training step as it runs here, against what a first implementation does."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.nn import functional

from segdrop.modeling.architectures import build_model
from segdrop.modeling.operators import import_torchvision
from segdrop.modeling.precision import prepare_host
from segdrop.training import optim
from segdrop.training.loss import build_criterion

BATCH, CLASSES = 8, 12


def _inputs(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(BATCH, 3, size, size, generator=generator)
    masks = torch.randint(0, CLASSES, (BATCH, size, size), generator=generator)
    return images, masks


@contextmanager
def _torch_defaults() -> Iterator[None]:
    """Deterministic algorithms are our habit, not the reference's."""
    torch.use_deterministic_algorithms(mode=False)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(mode=True)


def naive_step(size: int) -> Callable[[], None]:
    """fp32, NCHW, eager, Adam 1e-4, auxiliary loss 0.4: torchvision's model in a hand-written loop."""
    segmentation = import_torchvision("torchvision.models.segmentation")
    network: nn.Module = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)
    images, masks = _inputs(size)

    def step() -> None:
        with _torch_defaults():
            output = network(images)
            loss = functional.cross_entropy(output["out"], masks) + 0.4 * functional.cross_entropy(output["aux"], masks)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return step


def our_step(size: int) -> Callable[[], None]:
    """The training child's step, with the precision it would choose on this host."""
    host = prepare_host("auto", 0)
    model = build_model("deeplabv3_resnet50", CLASSES).train()
    criterion = build_criterion("cross_entropy")
    optimizer = optim.build_optimizer(model.network, "adamw", "auto", is_pretrained=False)
    images, masks = _inputs(size)
    images = images.to(memory_format=torch.channels_last)

    def step() -> None:
        with host.autocast():
            logits, auxiliary_logits = model.forward_with_auxiliary(images)
        loss = criterion(logits, auxiliary_logits, masks)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optim.clip_gradients(optimizer, optim.RECIPES["adamw"].max_gradient_norm)
        optimizer.step()

    return step
