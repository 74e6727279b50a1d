"""A segmentation model of a few hundred parameters, built like the large one: for tests of everything around it."""

from torch import Tensor, nn

from segdrop.modeling.architectures import SegmentationModel


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


class TinyModel(SegmentationModel):
    STAGES = (("backbone",),)

    def set_output_stride(self, stride: int) -> None:
        """Of 8 there are four pixels to a step here, of 16 eight."""
        self.network.backbone.conv.stride = (stride // 2, stride // 2)


def build_tiny_model(_architecture: str, num_classes: int) -> SegmentationModel:
    """Stands in for ``build_model``."""
    return TinyModel(tiny_network(num_classes))
