"""Published weights and our own model.pth, as they are laid out for the real architecture."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from builders.training import training_spec, write_cache
from segdrop.modeling.architectures import SegmentationModel, build_model
from segdrop.modeling.operators import import_torchvision
from segdrop.modeling.precision import Host
from segdrop.modeling.weights import initialise, load_state
from segdrop.training import result
from segdrop.training.checkpoint import Best

CLASSES = 4


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return build_model("deeplabv3_resnet50", CLASSES)


def zeros_like(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same layout, with values that nobody draws at random."""
    return {key: torch.zeros_like(value) for key, value in state.items()}


def touched(model: SegmentationModel) -> set[str]:
    """Prefixes of the weights that were loaded, which are those that are all zero."""
    return {key for key, value in model.network.state_dict().items() if key.endswith(".weight") and not value.any()}


@pytest.fixture
def fresh(model: SegmentationModel) -> SegmentationModel:
    """The model with no weight at zero."""
    for parameter in model.parameters():
        nn.init.constant_(parameter, 0.5)
    return model


def test_published_segmentation_weights_fill_all_but_the_last_convolutions(fresh: SegmentationModel) -> None:
    segmentation = import_torchvision("torchvision.models.segmentation")
    published = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=21, aux_loss=True)
    assert load_state(fresh, zeros_like(published.state_dict())) == "model"
    weights = {key for key in fresh.network.state_dict() if key.endswith(".weight")}
    assert weights - touched(fresh) == {"classifier.4.weight", "aux_classifier.4.weight"}


def test_published_backbone_fills_the_backbone_and_its_classifier_is_dropped(fresh: SegmentationModel) -> None:
    published = import_torchvision("torchvision.models").resnet50(weights=None)
    assert load_state(fresh, zeros_like(published.state_dict())) == "backbone"
    weights = {key for key in fresh.network.state_dict() if key.endswith(".weight")}
    assert touched(fresh) == {key for key in weights if key.startswith("backbone.")}


def test_other_backbone_changes_nothing(fresh: SegmentationModel) -> None:
    other = import_torchvision("torchvision.models").resnet18(weights=None)
    assert load_state(fresh, zeros_like(other.state_dict())) is None
    assert touched(fresh) == set()


def test_model_file_of_an_earlier_job_is_taken_up_under_its_name(fresh: SegmentationModel, tmp_path: Path) -> None:
    spec = training_spec(tmp_path / "earlier", write_cache(tmp_path / "cache", train=2, val=1))
    state = zeros_like(fresh.network.state_dict())
    result.write_model(spec.model_path, spec, Best(1, {}, state, 8), {"mean_iou": 0.5}, Host("fp32", 1))
    started_from = initialise(fresh, "deeplabv3_resnet50", "model.pth", [tmp_path / "nowhere", tmp_path / "earlier"])
    assert started_from.file_name == "model.pth"
    assert started_from.is_pretrained
    assert touched(fresh) == {key for key in state if key.endswith(".weight")}
