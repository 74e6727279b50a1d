"""What is measured in training is what anybody gets from the weights: the same bits as torchvision's own model."""

from contextlib import AbstractContextManager, nullcontext

import pytest
import torch

from segdrop.modeling.architectures import build_model
from segdrop.modeling.operators import import_torchvision

NUM_CLASSES = 4


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_evaluation_gives_the_bits_of_torchvisions_own_modules(precision: str) -> None:
    torch.manual_seed(0)
    ours = build_model("deeplabv3_resnet50", NUM_CLASSES).eval()
    segmentation = import_torchvision("torchvision.models.segmentation")
    theirs = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=NUM_CLASSES, aux_loss=True
    )
    theirs.load_state_dict(ours.network.state_dict())
    theirs.eval().to(memory_format=torch.channels_last)
    # 128 px are 16 x 16 features: the rates 24 and 36 of ASPP reach beyond them, 12 does not
    images = torch.randn(1, 3, 128, 128).to(memory_format=torch.channels_last)
    autocast: AbstractContextManager[object] = nullcontext()
    if precision == "bf16":
        autocast = torch.autocast("cpu", torch.bfloat16)
    with torch.inference_mode(), autocast:
        features = theirs.backbone(images)["out"]
        expected = theirs.classifier(features).float()
        found = ours.network.get_submodule("classifier")(ours.network.get_submodule("backbone")(images)["out"]).float()
    assert torch.equal(found, expected)
