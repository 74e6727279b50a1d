"""Frozen stages are left as they are, and what is left to train is trained as if they were not frozen."""

import pytest
import torch
from torch import Tensor, nn

from segdrop.modeling import freezing
from segdrop.modeling.architectures import SegmentationModel, build_model
from segdrop.modeling.batchnorm import reestimate_statistics, train_mode
from segdrop.modeling.precision import Host
from segdrop.modeling.weights import Initialisation
from segdrop.request import TrainRequest
from segdrop.training.optim import recipes

LOADED = Initialisation("pretrained model (start.pth)", "start.pth", "0" * 64)
IMAGES: Tensor = torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(1))
FROZEN = ("backbone.conv1.", "backbone.bn1.", "backbone.layer1.", "backbone.layer2.")


@pytest.fixture
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return build_model("deeplabv3_resnet50", 3)


def backward(model: SegmentationModel) -> None:
    torch.manual_seed(2)  # dropout
    logits, auxiliary_logits = model.forward_heads(IMAGES)
    (logits.square().mean() + auxiliary_logits.square().mean()).backward()


@pytest.mark.parametrize("name", sorted(recipes.RECIPES))
def test_a_step_changes_everything_but_what_is_frozen(model: SegmentationModel, name: str) -> None:
    freezing.freeze(model, TrainRequest(frozen_stages=2), LOADED)
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    optimizer = recipes.build_optimizer(model, recipes.RECIPES[name], "auto", is_pretrained=True)
    recipes.set_learning_rate(optimizer, 1e-2)
    for _ in range(4):  # Muon's weights take turns
        train_mode(model, keeps_statistics=False)
        optimizer.zero_grad(set_to_none=True)
        backward(model)
        recipes.clip_gradients(optimizer, 1.0)
        optimizer.step()
    reestimate_statistics(model, Host("fp32", 1), [IMAGES], lambda: None, keeps_statistics=False)
    changed = {key for key, value in model.network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {key for key in before if not key.startswith(FROZEN)}


def test_gradients_of_the_rest_are_those_of_the_whole(model: SegmentationModel) -> None:
    def gradients() -> dict[str, Tensor]:
        model.zero_grad(set_to_none=True)
        model.train()
        for stage in ("conv1", "bn1", "layer1"):  # its BatchNorm as it is where the stage is frozen
            model.network.get_submodule(f"backbone.{stage}").eval()
        backward(model)
        return {key: value.grad.clone() for key, value in model.network.named_parameters() if value.grad is not None}

    whole = gradients()
    model.freeze(1)
    rest = gradients()
    assert {key for key in whole if key not in rest} == {key for key in whole if key.startswith(FROZEN[:3])}
    assert all(torch.equal(gradient, whole[key]) for key, gradient in rest.items())


def test_nothing_is_kept_of_frozen_stages_for_the_backward_pass(model: SegmentationModel) -> None:
    seen: list[bool] = []

    def note(_module: nn.Module, _inputs: object, features: Tensor) -> None:
        seen.append(features.requires_grad)

    for stage in ("layer1", "layer2", "layer3"):
        model.network.get_submodule(f"backbone.{stage}").register_forward_hook(note)
    model.freeze(2)
    backward(model)
    assert seen == [False, False, True]


def test_random_weights_are_never_frozen_and_that_is_said(model: SegmentationModel) -> None:
    request, random = TrainRequest(frozen_stages=3), Initialisation("random weights, as requested")
    freezing.freeze(model, request, random)
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert [issue.code for issue in freezing.refusals(request, random)] == ["weights.not_frozen"]
    assert freezing.refusals(request, LOADED) == freezing.refusals(TrainRequest(), random) == []
