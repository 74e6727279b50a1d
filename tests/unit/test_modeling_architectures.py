import pytest
import torch
from torch import Tensor

from segdrop.modeling.architectures import SegmentationModel, build_model, upsampled
from segdrop.modeling.operators import import_torchvision


@pytest.fixture(scope="module")
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return build_model("deeplabv3_resnet50", 4).eval()


@pytest.fixture(scope="module")
def images() -> Tensor:
    return torch.randn(2, 3, 40, 56, generator=torch.Generator().manual_seed(1))


def test_torchvisions_own_model_loads_the_weights_and_gives_the_same_logits(
    model: SegmentationModel, images: Tensor
) -> None:
    segmentation = import_torchvision("torchvision.models.segmentation")
    theirs = segmentation.deeplabv3_resnet50(weights=None, weights_backbone=None, num_classes=4, aux_loss=True)
    theirs.load_state_dict(model.network.state_dict(), strict=True)
    with torch.inference_mode():
        expected = theirs.eval()(images)
        logits, auxiliary_logits = model.forward_heads(images)
        assert torch.allclose(model(images), expected["out"], rtol=1e-3, atol=1e-3)
    assert logits.shape[-2:] == (5, 7), "as small as the features"
    assert torch.allclose(upsampled(logits, (40, 56)), expected["out"], rtol=1e-3, atol=1e-3)
    assert torch.allclose(upsampled(auxiliary_logits, (40, 56)), expected["aux"], rtol=1e-3, atol=1e-3)


def test_logits_are_upsampled_in_float32_under_bf16(model: SegmentationModel, images: Tensor) -> None:
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        logits = model(images)
    assert logits.dtype is torch.float32
    assert logits.shape == (2, 4, 40, 56)
    # values that bf16 cannot hold: upsampled after the cast, not before
    assert not torch.equal(logits, logits.bfloat16().float())


def test_auxiliary_head_does_no_work_in_prediction(model: SegmentationModel, images: Tensor) -> None:
    called = []
    handle = model.network.aux_classifier.register_forward_hook(lambda *_: called.append(1))
    with torch.inference_mode():
        model(images[:1])
        assert not called
        model.forward_heads(images[:1])
    handle.remove()
    assert called


def test_unknown_architecture_is_an_error() -> None:
    with pytest.raises(KeyError):
        build_model("unet_of_tomorrow", 2)
