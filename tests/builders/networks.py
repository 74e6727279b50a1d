"""Segmentation models of a few hundred parameters, one built like the large one and one of another family."""

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from segdrop.modeling.architectures import ForeignWeights, SegmentationModel, upsampled
from segdrop.modeling.architectures.deeplabv3 import DeepLabV3


class _Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(8)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        features = self.norm(self.conv(images)).relu()
        return {"out": features, "aux": features}


def _head(num_classes: int) -> nn.Sequential:
    """Its last convolution is number 4, as in torchvision's heads; with dropout, as there."""
    return nn.Sequential(
        nn.Conv2d(8, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(8, num_classes, 1),
    )


def tiny_network(num_classes: int = 2) -> nn.Module:
    network = nn.Module()
    network.backbone = _Backbone()
    network.classifier = _head(num_classes)
    network.aux_classifier = _head(num_classes)
    return network


class TinyModel(DeepLabV3):
    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        return [[self.encoder]]

    def set_output_stride(self, stride: int) -> None:
        """Of 8 there are four pixels to a step here, of 16 eight."""
        self.network.backbone.conv.stride = (stride // 2, stride // 2)


def build_tiny_model(_architecture: str, num_classes: int) -> SegmentationModel:
    """Stands in for ``build_model``."""
    return TinyModel(tiny_network(num_classes))


class OtherModel(SegmentationModel):
    """Of another family: other submodules, one head, one output stride."""

    @property
    def encoder(self) -> nn.Module:
        return self.network.get_submodule("stem")

    @property
    def heads(self) -> nn.Module:
        return self.network.get_submodule("decoder")

    @property
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        return [[self.encoder]]

    @property
    def class_tensors(self) -> frozenset[str]:
        return frozenset({"decoder.weight", "decoder.bias"})

    def set_output_stride(self, stride: int) -> None:
        assert stride == 4

    def forward(self, images: Tensor) -> Tensor:
        return upsampled(self.forward_heads(images)[0], images.shape[-2:])

    def forward_heads(self, images: Tensor) -> tuple[Tensor]:
        return (self.heads(self.encoder(images)).float(),)

    def read_weights(self, given: Mapping[str, Tensor]) -> ForeignWeights:
        stem = {f"stem.{name}": tensor for name, tensor in given.items()}
        return ForeignWeights("stem", stem, frozenset(f"stem.{name}" for name in self.encoder.state_dict()))


def build(_architecture: str, num_classes: int) -> SegmentationModel:
    """What a module of a family has."""
    network = nn.Module()
    network.stem = nn.Sequential(nn.Conv2d(3, 8, 3, stride=4, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
    network.decoder = nn.Conv2d(8, num_classes, 1)
    return OtherModel(network)
