"""The catalog of architectures, by name and without torch: the daemon reads this, and the children build it.

A family of architectures is one module, ``segdrop.modeling.architectures.FAMILY``, one row here, and what its results
carry: ``results/templates/architectures/FAMILY.py`` (its part of predict.py) and ``FAMILY.readme.txt.jinja``.

Figures: torchvision 0.28, ``torchvision/models/segmentation/deeplabv3.py`` and ``torchvision/models/resnet.py``.
"""

from dataclasses import dataclass

#: Mean and standard deviation of R, G and B (0 to 1) by which images are normalised, as for all of torchvision's
#: published weights (``torchvision/transforms/_presets.py``).
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True, slots=True)
class WeightsFile:
    """A published file of weights. The hexadecimal tail of its name is the head of its SHA-256."""

    file_name: str
    trained_on: str  #: for people: data and labels
    megabytes: float


@dataclass(frozen=True, slots=True)
class InputLimits:
    """The batches that an architecture can be trained on."""

    least_batch: int  #: images, whatever the request says
    least_side: int  #: pixels
    side_multiple: int  #: pixels; sides that are chosen for images shrunk in training are multiples of it


@dataclass(frozen=True, slots=True)
class Architecture:
    """A row of the catalog."""

    name: str
    family: str  #: name of the module that builds it
    summary: str
    parameters_millions: float
    output_strides: tuple[
        int, ...
    ]  #: pixels to a step of the deepest features, finest first: as published, then coarser
    input_limits: InputLimits
    weights: tuple[WeightsFile, ...]  #: what ``pretrained: auto`` looks for, best first


DEEPLABV3_RESNET50 = Architecture(
    name="deeplabv3_resnet50",
    family="deeplabv3",
    summary="DeepLabV3 with a ResNet-50 backbone, output stride 8, auxiliary head (torchvision)",
    parameters_millions=42.0,
    output_strides=(8, 16),
    # BatchNorm after the global pooling of ASPP has one value a channel and image: of one image, no variance
    input_limits=InputLimits(least_batch=2, least_side=32, side_multiple=16),
    weights=(
        WeightsFile("deeplabv3_resnet50_coco-cd0a2569.pth", "COCO val2017, VOC labels", 160.5),
        WeightsFile("resnet50-11ad3fa6.pth", "ImageNet-1k (V2), backbone only", 97.8),
        WeightsFile("resnet50-0676ba61.pth", "ImageNet-1k (V1), backbone only", 97.8),
    ),
)

ARCHITECTURES = {architecture.name: architecture for architecture in (DEEPLABV3_RESNET50,)}


@dataclass(frozen=True, slots=True)
class LevelPreset:
    """The effort that a level stands for."""

    epochs: int
    batch_size: int


#: The presets that ``level`` stands for in a request.
LEVELS = {
    1: LevelPreset(epochs=2, batch_size=8),
    2: LevelPreset(epochs=5, batch_size=8),
    3: LevelPreset(epochs=10, batch_size=8),
    4: LevelPreset(epochs=20, batch_size=4),
    5: LevelPreset(epochs=30, batch_size=4),
}
