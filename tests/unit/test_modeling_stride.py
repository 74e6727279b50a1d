"""Output stride 16 and 8 of one model are those that torchvision builds."""

import copy

import pytest
import torch
from torch import Tensor, nn

from segdrop.modeling.architectures import SegmentationModel, build_model, upsampled
from segdrop.modeling.operators import import_torchvision
from segdrop.results.templates import predict

NUM_CLASSES = 3


def torchvisions(stride: int) -> nn.Module:
    """As published at 8; at 16 with its own switch for the backbone, and DeepLabV3's rates for that stride."""
    segmentation = import_torchvision("torchvision.models.segmentation")
    network: nn.Module = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=NUM_CLASSES, aux_loss=True
    )
    if stride == 16:
        resnet = import_torchvision("torchvision.models.resnet")
        feature = import_torchvision("torchvision.models._utils")
        backbone = resnet.resnet50(weights=None, replace_stride_with_dilation=[False, False, True])
        network.backbone = feature.IntermediateLayerGetter(backbone, {"layer4": "out", "layer3": "aux"})
        network.classifier = segmentation.deeplabv3.DeepLabHead(2048, NUM_CLASSES, (6, 12, 18))
    return network


def arrangement(network: nn.Module) -> dict[str, tuple[object, ...]]:
    return {
        name: (tuple(conv.stride), tuple(conv.padding), tuple(conv.dilation))
        for name, conv in network.named_modules()
        if isinstance(conv, nn.Conv2d)
    }


@pytest.fixture
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return build_model("deeplabv3_resnet50", NUM_CLASSES).eval()


def test_every_convolution_is_arranged_as_torchvision_arranges_it_there_and_back(model: SegmentationModel) -> None:
    before = {key: value.clone() for key, value in model.network.state_dict().items()}
    assert arrangement(model.network) == arrangement(torchvisions(8))
    for stride in (16, 16, 8, 8, 16):
        model.set_output_stride(stride)
        assert arrangement(model.network) == arrangement(torchvisions(stride))
    after = model.network.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in after.items())


def test_logits_at_16_are_torchvisions_in_training_too(model: SegmentationModel) -> None:
    images: Tensor = torch.randn(2, 3, 64, 48, generator=torch.Generator().manual_seed(1))
    theirs = torchvisions(16)
    theirs.load_state_dict(model.network.state_dict(), strict=True)
    model.set_output_stride(16)
    for network in (theirs, model):
        network.train()
        for module in network.modules():
            if isinstance(module, nn.Dropout):
                module.eval()
    with torch.no_grad():
        expected = theirs(images)
        logits, auxiliary_logits = model.forward_heads(images)
    torch.testing.assert_close(upsampled(logits, (64, 48)), expected["out"], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(upsampled(auxiliary_logits, (64, 48)), expected["aux"], rtol=1e-3, atol=1e-3)


def test_a_copy_has_a_stride_of_its_own(model: SegmentationModel) -> None:
    copied = copy.deepcopy(model)
    copied.set_output_stride(16)
    assert arrangement(copied.network) == arrangement(torchvisions(16))
    assert arrangement(model.network) == arrangement(torchvisions(8))


def test_the_results_script_arranges_it_the_same_way() -> None:
    network = torchvisions(8)
    predict.set_output_stride(network, 16)
    assert arrangement(network) == arrangement(torchvisions(16))
