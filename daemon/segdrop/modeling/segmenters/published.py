"""torchvision's published segmentation weights: 21 classes of PASCAL VOC, trained on COCO."""

from pathlib import Path
from typing import cast

from torch import Tensor, nn

from segdrop.codes import Code
from segdrop.model_files import description, kinds
from segdrop.model_files.model_file import ModelFile
from segdrop.modeling.folding import inference_copy
from segdrop.modeling.operators import import_torchvision
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import opening
from segdrop.modeling.segmenters.network import NetworkSegmenter
from segdrop.modeling.segmenters.preprocessing import Preprocessing, normalised
from segdrop.modeling.segmenters.protocol import LoadedModel
from segdrop.spec import Limits

#: ``resize_size`` of all of them: pixels of the shorter side (torchvision/models/segmentation/*.py)
_SHORTEST_EDGE = 520
_AUXILIARY = "aux_classifier."


def load(model: ModelFile, host: Host, folder: Path, _limits: Limits) -> LoadedModel:
    """Returns published weights ready to predict as torchvision's own transforms have it."""
    architecture = kinds.published_architecture(model.name)
    with opening.verified(model, folder) as (stream, digest):
        content = opening.tensors(model, stream)
    if architecture is None or not isinstance(content, dict):
        raise opening.fault(model, Code.MODEL_INVALID, "it holds no weights of torchvision's")
    network = build_network(architecture, len(description.VOC_CLASSES))
    try:
        network.load_state_dict({name: value for name, value in content.items() if not name.startswith(_AUXILIARY)})
    except RuntimeError as error:
        raise opening.fault(model, Code.MODEL_INVALID, f"its weights are not those of {architecture}") from error
    fast = inference_copy(network.eval(), lambda pixels: _logits(network, pixels), host)
    scale, offset = normalised()
    preprocessing = Preprocessing(scale, offset, shortest_edge=_SHORTEST_EDGE, side_multiple=16)
    return LoadedModel(NetworkSegmenter(fast, host, preprocessing, tuple(description.VOC_CLASSES)), digest)


def build_network(architecture: str, num_classes: int) -> nn.Module:
    """Returns torchvision's network with random weights and without auxiliary head."""
    segmentation = import_torchvision("torchvision.models.segmentation")
    network: nn.Module = getattr(segmentation, architecture)(
        weights=None, weights_backbone=None, num_classes=num_classes
    )
    return network


def _logits(network: nn.Module, pixels: Tensor) -> Tensor:
    """Returns the logits as small as they are computed. FCN and DeepLabV3 take one map of features, LR-ASPP two."""
    features = network.get_submodule("backbone")(pixels)
    classifier = network.get_submodule("classifier")
    return cast("Tensor", classifier(features if "low" in features else features["out"]))
