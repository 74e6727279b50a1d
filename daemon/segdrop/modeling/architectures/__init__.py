"""Architectures: one module per family, behind one protocol."""

import importlib

from segdrop import architectures
from segdrop.modeling.architectures.protocol import Criterion, ForeignWeights, SegmentationModel, upsampled

__all__ = ["Criterion", "ForeignWeights", "SegmentationModel", "build_model", "upsampled"]


def build_model(architecture: str, num_classes: int) -> SegmentationModel:
    """Returns a model with random weights; raises ``KeyError`` for a name that is not in the catalog."""
    family = architectures.ARCHITECTURES[architecture].family
    model: SegmentationModel = importlib.import_module(f"{__name__}.{family}").build(architecture, num_classes)
    return model
