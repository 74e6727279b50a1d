"""DeepLabV3 with a ResNet-50 backbone: torchvision's own modules, called in our order.

Chen et al., "Rethinking Atrous Convolution for Semantic Image Segmentation", 2017 (arXiv 1706.05587);
torchvision/models/segmentation/deeplabv3.py. Parameters and their names are exactly torchvision's.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar, cast

import torch
from torch import Tensor, nn

from segdrop.modeling.architectures.protocol import ForeignWeights, SegmentationModel, upsampled
from segdrop.modeling.kernels.atrous import skip_dead_taps
from segdrop.modeling.operators import import_torchvision

#: of the auxiliary head's loss: PSPNet (arXiv 1612.01105, 3), and the configurations of MMSegmentation after it
AUXILIARY_WEIGHT = 0.4
#: at output stride 16 these halve the resolution, at 8 they keep it
_STRIDED = ("backbone.layer3.0.conv2", "backbone.layer3.0.downsample.0")
_STAGES = (
    ("backbone.conv1", "backbone.bn1", "backbone.layer1"),
    ("backbone.layer2",),
    ("backbone.layer3",),
    ("backbone.layer4",),
)
_BACKBONE = "backbone."
_AUXILIARY = "aux_classifier."
#: one output a class: a model for other classes cannot share these
_LAST_CONVOLUTIONS = ("classifier.4.", "aux_classifier.4.")


class DeepLabV3(SegmentationModel):
    """Calls a torchvision segmentation model so that logits are upsampled in float32.

    bf16 keeps 8 bits of a number: upsampled in bf16, neighbouring classes would tie, and the arg max would pick
    by position. The auxiliary head is computed only where its loss is wanted.
    """

    HEAD_WEIGHTS: ClassVar[tuple[float, ...]] = (1.0, AUXILIARY_WEIGHT)

    def __init__(self, network: nn.Module) -> None:
        super().__init__(network)
        convolutions = [module for module in network.modules() if isinstance(module, nn.Conv2d)]
        self._atrous = [(conv, int(conv.dilation[0])) for conv in convolutions if conv.dilation[0] > 1]

    @property
    def encoder(self) -> nn.Module:
        """The ResNet."""
        return self.network.get_submodule("backbone")

    @property
    def heads(self) -> nn.Module:
        """ASPP with the main classifier, and the auxiliary one."""
        return nn.ModuleList(child for name, child in self.network.named_children() if name != "backbone")

    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """The four stages of the ResNet, the stem being part of the first."""
        return [[self.network.get_submodule(name) for name in stage] for stage in _STAGES]

    @property
    def class_tensors(self) -> frozenset[str]:
        """Weights and biases of the last convolution of both heads."""
        return frozenset(name for name in self.network.state_dict() if name.startswith(_LAST_CONVOLUTIONS))

    def set_output_stride(self, stride: int) -> None:
        """Switches to 8, as built and published, or 16: the deepest features at half the resolution, half atrous rates.

        Stride and dilation are no weights: the state_dict is the same, and training may begin at 16 and end at 8
        (arXiv 1706.05587, 4). The layout at 16 is that of torchvision's ``replace_stride_with_dilation``.
        """
        for conv, rate in self._atrous:
            conv.dilation = conv.padding = (rate * 8 // stride, rate * 8 // stride)
        for name in _STRIDED:
            cast("nn.Conv2d", self.network.get_submodule(name)).stride = (stride // 8, stride // 8)

    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits of the main head, (N, C, H, W) float32, of images (N, 3, H, W)."""
        return upsampled(self.class_logits(images), images.shape[-2:])

    def class_logits(self, images: Tensor) -> Tensor:
        """Returns the logits of the main head, (N, C, h, w) float32, as small as the features."""
        return self._logits("classifier", self.encoder(images)["out"])

    def forward_heads(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the logits of the main and the auxiliary head, (N, C, h, w) float32, as small as the features."""
        features = self.encoder(images)
        return self._logits("classifier", features["out"]), self._logits("aux_classifier", features["aux"])

    def _logits(self, head: str, features: Tensor) -> Tensor:
        return cast("Tensor", self.network.get_submodule(head)(features)).float()

    def read_weights(self, given: Mapping[str, Tensor]) -> ForeignWeights:
        """Reads a whole model, maybe without auxiliary head, or the backbone of a torchvision classification model."""
        names = self.network.state_dict().keys()
        if not any(name.startswith(_BACKBONE) for name in given):
            backbone = {_BACKBONE + name: tensor for name, tensor in given.items()}
            return ForeignWeights("backbone", backbone, frozenset(n for n in names if n.startswith(_BACKBONE)))
        has_auxiliary = any(name.startswith(_AUXILIARY) for name in given)
        left_out = _LAST_CONVOLUTIONS if has_auxiliary else (*_LAST_CONVOLUTIONS, _AUXILIARY)
        return ForeignWeights("model", given, frozenset(name for name in names if not name.startswith(left_out)))


def build(architecture: str, num_classes: int) -> SegmentationModel:
    """Returns a model with random weights; ``architecture`` is the name of torchvision's builder.

    Both ``weights`` are None on purpose: the builder's default downloads a backbone.
    """
    segmentation = import_torchvision("torchvision.models.segmentation")
    network = getattr(segmentation, architecture)(
        weights=None, weights_backbone=None, num_classes=num_classes, aux_loss=True
    )
    skip_dead_taps(network.classifier)
    model = DeepLabV3(network)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs
    return model
