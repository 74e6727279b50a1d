"""DeepLabV3 with a ResNet-50 backbone: torchvision's own modules, called in our order.

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017 (arXiv 1706.05587);
torchvision/models/segmentation/deeplabv3.py. Parameters and their names are exactly torchvision's.
"""

from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from segdrop.modeling.architectures.atrous import skip_dead_taps
from segdrop.modeling.operators import import_torchvision

#: at output stride 16 these halve the resolution, at 8 they keep it
_STRIDED = ("backbone.layer3.0.conv2", "backbone.layer3.0.downsample.0")


class SegmentationModel(nn.Module):
    """Calls a torchvision segmentation model so that logits are upsampled in float32.

    bf16 keeps 8 bits of a number: upsampled in bf16, neighbouring classes would tie, and the arg max would pick
    by position. The auxiliary head is computed only where its loss is wanted. ``network`` is torchvision's own
    model; its state_dict is what is saved.
    """

    #: submodules of the network by stage of the backbone, in the order of the forward pass
    STAGES: ClassVar[tuple[tuple[str, ...], ...]] = (
        ("backbone.conv1", "backbone.bn1", "backbone.layer1"),
        ("backbone.layer2",),
        ("backbone.layer3",),
        ("backbone.layer4",),
    )

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        self._atrous = [(conv, int(conv.dilation[0])) for conv in convolutions if conv.dilation[0] > 1]
        self.frozen_stages = 0

    def set_output_stride(self, stride: int) -> None:
        """8, as built and published, or 16: the deepest features at half the resolution, all atrous rates halved.

        Stride and dilation are no weights: the state_dict is the same, and training may begin at 16 and end at 8
        (arXiv 1706.05587, 4). The layout at 16 is that of torchvision's ``replace_stride_with_dilation``.
        """
        for conv, rate in self._atrous:
            conv.dilation = conv.padding = (rate * 8 // stride, rate * 8 // stride)
        for name in _STRIDED:
            cast("nn.Conv2d", self.network.get_submodule(name)).stride = (stride // 8, stride // 8)

    def freeze(self, stages: int) -> None:
        """Train the backbone's first stages no more: 0 to 4, the stem being part of the first."""
        self.frozen_stages = stages
        for part in self.frozen:
            part.requires_grad_(requires_grad=False)

    @property
    def frozen(self) -> list[nn.Module]:
        """The parts of the backbone that are not trained."""
        return [self.network.get_submodule(name) for stage in self.STAGES[: self.frozen_stages] for name in stage]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (N, C, H, W) float32 of images (N, 3, H, W)."""
        features = self.network.get_submodule("backbone")(images)
        return upsampled(self._logits("classifier", features["out"]), images.shape[-2:])

    def forward_heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """For a loss: the logits and those of the auxiliary head, (N, C, h, w) float32, as small as the features."""
        features = self.network.get_submodule("backbone")(images)
        return self._logits("classifier", features["out"]), self._logits("aux_classifier", features["aux"])

    def _logits(self, head: str, features: Tensor) -> Tensor:
        return cast("Tensor", self.network.get_submodule(head)(features)).float()


def upsampled(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Logits (N, C, h, w) as (N, C, H, W), ``size`` being (H, W): as torchvision does it."""
    return functional.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)


def build_deeplabv3_resnet50(num_classes: int) -> SegmentationModel:
    """Random weights. Both ``weights`` are None on purpose: the builder's default downloads a backbone."""
    segmentation = import_torchvision("torchvision.models.segmentation")
    network = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=True
    )
    skip_dead_taps(network.classifier)
    model = SegmentationModel(network)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    return model
