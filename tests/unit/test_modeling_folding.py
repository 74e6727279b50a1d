"""The copy for inference gives the model's own logits within rounding, and leaves the model as it is."""

import copy
import operator

import pytest
import torch
from torch import nn

from builders.networks import TinyModel, tiny_network
from segdrop.modeling import folding
from segdrop.modeling.architectures import SegmentationModel, build_model
from segdrop.modeling.folding import FoldedConvolution, Shape, can_pack, inference_copy
from segdrop.modeling.kernels.atrous import skip_dead_taps
from segdrop.modeling.precision import Host

FP32, BF16 = Host("fp32", 1), Host("bf16", 1)


def trained(model: SegmentationModel) -> SegmentationModel:
    """With norms that do something, as after training."""
    torch.manual_seed(0)
    for norm in (layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)):
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2)
    return model.eval()


@pytest.fixture
def unpackable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "can_pack", lambda _dtype: False)


class _Residual(nn.Module):
    """All that is folded: norms, a residual branch of its own, one that is broadcast, atrous taps, a global mean."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(8))
        self.second = nn.Sequential(nn.Conv2d(3, 8, 1, stride=2), nn.BatchNorm2d(8))
        self.atrous = nn.Sequential(nn.Conv2d(8, 8, 3, padding=12, dilation=12, bias=False), nn.BatchNorm2d(8))
        self.pooled = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Conv2d(8, 8, 1), nn.ReLU())
        self.alone = nn.BatchNorm2d(8)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        features = self.relu(self.first(images) + self.second(images))
        features = self.relu(self.alone(features))
        out = self.relu(self.atrous(features) + self.pooled(features))
        return {"out": out, "aux": out}


def residual_model() -> SegmentationModel:
    network = tiny_network()
    network.backbone = _Residual()
    skip_dead_taps(network)
    return trained(TinyModel(network))


def fast_copy(model: SegmentationModel, host: Host) -> nn.Module:
    return inference_copy(model, model.class_logits, host)


def logits(model: SegmentationModel, images: torch.Tensor) -> torch.Tensor:
    return model.forward_heads(images)[0]


@pytest.mark.parametrize("sides", [(16, 16), (40, 56)])
def test_logits_equal_the_models_own(sides: tuple[int, int]) -> None:
    model, images = residual_model(), torch.randn(2, 3, *sides)
    with torch.inference_mode():
        torch.testing.assert_close(fast_copy(model, FP32)(images), logits(model, images), rtol=1e-4, atol=1e-5)


@pytest.mark.usefixtures("unpackable")
def test_logits_equal_the_models_own_where_torch_lacks_the_fused_operation() -> None:
    model, images = residual_model(), torch.randn(2, 3, 40, 56)
    with torch.inference_mode():
        torch.testing.assert_close(fast_copy(model, FP32)(images), logits(model, images), rtol=1e-4, atol=1e-5)


def test_features_of_another_size_than_the_first_are_right_as_well() -> None:
    model = residual_model()
    fast = fast_copy(model, FP32)
    with torch.inference_mode():
        for shape in ((1, 3, 64, 64), (3, 3, 16, 48), (1, 3, 64, 64)):
            images = torch.randn(*shape)
            torch.testing.assert_close(fast(images), logits(model, images), rtol=1e-4, atol=1e-5)


def test_logits_in_bf16_are_those_of_autocast_within_its_rounding() -> None:
    model, images = residual_model(), torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = logits(model, images)
        found = fast_copy(model, BF16)(images)
        with BF16.autocast():
            assert torch.equal(fast_copy(model, BF16)(images), found)
    assert found.dtype is torch.float32
    assert (found - expected).norm() < 0.02 * expected.norm()


def test_nothing_is_left_but_folded_layers_of_the_main_head() -> None:
    fast = fast_copy(residual_model(), FP32)
    kinds = [type(layer) for layer in fast.modules()]
    assert nn.Conv2d not in kinds
    assert kinds.count(FoldedConvolution) == 6  # four of the backbone, two of the head, none of the auxiliary one
    assert kinds.count(nn.BatchNorm2d) == 1  # the one without a convolution before it
    functions = [node.target for node in fast.module.graph.nodes if node.op == "call_function"]
    assert operator.add not in functions


def test_the_model_stays_as_it_is() -> None:
    model = residual_model()
    before = copy.deepcopy(model.state_dict())
    fast = fast_copy(model, BF16)
    with torch.inference_mode():
        fast(torch.randn(1, 3, 16, 16))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert all(tensor.dtype is before[name].dtype for name, tensor in model.state_dict().items())


def test_the_copy_does_not_follow_a_model_that_goes_on_training() -> None:
    model, images = residual_model(), torch.randn(1, 3, 16, 16)
    fast = fast_copy(model, FP32)
    with torch.inference_mode():
        before = fast(images)
    with torch.no_grad():
        for tensor in model.state_dict().values():
            tensor.zero_()
    with torch.inference_mode():
        assert torch.equal(fast(images), before)


def test_a_model_in_training_mode_is_refused() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fast_copy(residual_model().train(), FP32)


def test_a_fused_operation_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FoldedConvolution, "_packed", lambda self, features, *_other: features)
    assert not can_pack.__wrapped__(torch.float32)


def test_a_fused_operation_that_is_missing_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise AttributeError("_convolution_pointwise")

    monkeypatch.setattr(FoldedConvolution, "_packed", missing)
    assert not can_pack.__wrapped__(torch.float32)


def test_output_sides_are_those_of_torch() -> None:
    for shape in (Shape((3, 3), (1, 1), (2, 2), (1, 1), 1), Shape((3, 1), (4, 0), (1, 3), (4, 1), 1)):
        weight = torch.zeros(1, 1, *shape.kernel)
        output = nn.functional.conv2d(
            torch.zeros(1, 1, 17, 22), weight, None, shape.stride, shape.padding, shape.dilation
        )
        assert shape.output_sides(torch.Size((17, 22))) == tuple(output.shape[2:])


def test_deeplabv3_is_the_same_at_the_coarser_output_stride() -> None:
    """At the finer one, every architecture is compared with the tests of segmenters."""
    with torch.device("meta"):  # to draw weights as for a training takes a second
        model = build_model("deeplabv3_resnet50", 5)
    model.to_empty(device="cpu")
    for parameter in model.parameters():
        parameter.data.normal_(0, max(1, parameter[0].numel()) ** -0.5)
    trained(model).set_output_stride(16)
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = logits(model, images)
        found = fast_copy(model, FP32)(images)
    assert (found - expected).norm() < 1e-4 * expected.norm()
