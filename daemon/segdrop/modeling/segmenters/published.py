"""torchvision's published segmentation weights: 21 classes of PASCAL VOC, trained on COCO."""

from pathlib import Path

from torch import Tensor, nn

from segdrop.codes import Code
from segdrop.model_files import description, kinds
from segdrop.model_files.model_file import ModelFile
from segdrop.modeling.operators import import_torchvision
from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters import opening
from segdrop.modeling.segmenters.network import NetworkSegmenter, folded
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
    network = PublishedNetwork(build_network(architecture, len(description.VOC_CLASSES)))
    state = {name: value for name, value in content.items() if not str(name).startswith(_AUXILIARY)}
    try:
        network.network.load_state_dict(state)
    except RuntimeError as error:
        raise opening.fault(model, Code.MODEL_INVALID, f"its weights are not those of {architecture}") from error
    network.to(host.device).eval()
    scale, offset = normalised()
    preprocessing = Preprocessing(scale, offset, shortest_edge=_SHORTEST_EDGE, side_multiple=16)
    classes = tuple(description.VOC_CLASSES)
    return LoadedModel(NetworkSegmenter(folded(network, host), host, preprocessing, classes), digest)


def build_network(architecture: str, num_classes: int) -> nn.Module:
    """Returns torchvision's network with random weights and without auxiliary head."""
    segmentation = import_torchvision("torchvision.models.segmentation")
    network: nn.Module = getattr(segmentation, architecture)(
        weights=None, weights_backbone=None, num_classes=num_classes
    )
    return network


class PublishedNetwork(nn.Module):
    """torchvision's network, asked for its logits as small as they are computed."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward_heads(self, images: Tensor) -> tuple[Tensor]:
        """Returns the logits (N, C, h, w) float32 of images (N, 3, H, W), the only ones.

        The heads of FCN and DeepLabV3 take one map of features, that of LR-ASPP two.
        """
        features = self.network.get_submodule("backbone")(images)
        classifier = self.network.get_submodule("classifier")
        return (classifier(features if "low" in features else features["out"]).float(),)
