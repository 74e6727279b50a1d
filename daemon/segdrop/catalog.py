"""Architectures and their published weights by name, without torch: the daemon reads this, children build it.

Figures: torchvision 0.28, ``torchvision/models/segmentation/deeplabv3.py`` and ``torchvision/models/resnet.py``.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A published file. The hexadecimal tail of its name is the head of its SHA-256."""

    file_name: str
    trained_on: str
    megabytes: float


@dataclass(frozen=True, slots=True)
class Architecture:
    name: str
    summary: str
    parameters_millions: float
    #: what ``pretrained: auto`` looks for, best first
    weights: tuple[WeightsFile, ...]


DEEPLABV3_RESNET50 = Architecture(
    name="deeplabv3_resnet50",
    summary="DeepLabV3 with a ResNet-50 backbone, output stride 8, auxiliary head (torchvision)",
    parameters_millions=42.0,
    weights=(
        WeightsFile("deeplabv3_resnet50_coco-cd0a2569.pth", "COCO val2017, VOC labels", 160.5),
        WeightsFile("resnet50-11ad3fa6.pth", "ImageNet-1k (V2), backbone only", 97.8),
        WeightsFile("resnet50-0676ba61.pth", "ImageNet-1k (V1), backbone only", 97.8),
    ),
)

ARCHITECTURES = {architecture.name: architecture for architecture in (DEEPLABV3_RESNET50,)}


@dataclass(frozen=True, slots=True)
class LevelPreset:
    epochs: int
    batch_size: int


#: What ``level`` stands for in a request.
LEVELS = {
    1: LevelPreset(epochs=2, batch_size=8),
    2: LevelPreset(epochs=5, batch_size=8),
    3: LevelPreset(epochs=10, batch_size=8),
    4: LevelPreset(epochs=20, batch_size=4),
    5: LevelPreset(epochs=30, batch_size=4),
}
