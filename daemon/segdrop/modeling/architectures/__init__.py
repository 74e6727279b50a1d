"""``build_model``: one module per family of architectures."""

from segdrop import catalog
from segdrop.modeling.architectures.deeplabv3 import SegmentationModel, build_deeplabv3_resnet50, upsampled

__all__ = ["SegmentationModel", "build_model", "upsampled"]

_BUILDERS = {catalog.DEEPLABV3_RESNET50.name: build_deeplabv3_resnet50}


def build_model(architecture: str, num_classes: int) -> SegmentationModel:
    """A model with random weights. ``KeyError`` for a name that is not in the catalog."""
    return _BUILDERS[architecture](num_classes)
