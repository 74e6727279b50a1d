"""The part of predict.py that knows DeepLabV3: torchvision's own network, built and asked for its logits."""

import importlib
from typing import Any

import torch

ARCHITECTURES = {"deeplabv3_resnet50"}
#: as torchvision builds it
BUILT_STRIDE = 8


def import_torchvision(name: str) -> Any:  # noqa: ANN401  (a module)
    """Imports torchvision beside whichever torch is installed.

    torchvision's wheels from PyPI expect a CUDA torch. Beside a CPU-only one, their library does not load, and the
    import stops with "operator torchvision::nms does not exist". Declaring two detection operators, which
    segmentation never calls, is enough to go on.
    """
    try:
        return importlib.import_module(name)
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for operator in ("nms", "qnms"):
        if not hasattr(torch.ops.torchvision, operator):
            schema = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"
            torch.library.define(f"torchvision::{operator}", schema)
    return importlib.import_module(name)


def build_network(architecture: str, num_classes: int) -> torch.nn.Module:
    """Returns the network of one of the ``ARCHITECTURES``, with random weights."""
    segmentation = import_torchvision("torchvision.models.segmentation")
    network: torch.nn.Module = getattr(segmentation, architecture)(
        weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=True
    )
    return network


def set_output_stride(network: torch.nn.Module, stride: int) -> None:
    """Switches a network to the output stride of its training, 8 or 16: atrous rates halve, no weight changes."""
    if stride == BUILT_STRIDE:
        return
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d) and module.dilation[0] > 1:
            module.dilation = module.padding = (module.dilation[0] // 2, module.dilation[0] // 2)
    for name in ("conv2", "downsample.0"):
        convolution: Any = network.get_submodule(f"backbone.layer3.0.{name}")
        convolution.stride = (2, 2)


def class_logits(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Returns the logits (N, C, h, w) float32 of images (N, 3, H, W), as small as the features."""
    features = network.get_submodule("backbone")(images)["out"]
    logits: torch.Tensor = network.get_submodule("classifier")(features).float()
    return logits
