from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from builders.networks import build_tiny_model
from builders.training import write_cache
from segdrop.dataset.cache import CacheReader
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.batchnorm import keeps_statistics, reestimate_statistics, train_mode
from segdrop.modeling.normalize import to_input
from segdrop.modeling.precision import Host

HOST = Host("fp32", 1)


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[CacheReader]:
    with CacheReader(write_cache(tmp_path / "cache", train=4, val=3)) as opened:
        yield opened


@pytest.fixture
def model() -> SegmentationModel:
    torch.manual_seed(0)
    return build_tiny_model("tiny", 2)


def ignore_call() -> None:
    pass


def state_of(model: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in model.state_dict().items()}


def test_statistics_become_the_mean_over_the_batches(reader: CacheReader, model: SegmentationModel) -> None:
    batches = [to_input(reader.images([0, 1])), to_input(reader.images([2, 3]))]
    reestimate_statistics(model, HOST, batches, ignore_call, keeps_statistics=False)
    norm, conv = model.network.backbone.norm, model.network.backbone.conv
    with torch.no_grad():
        means = torch.stack([conv(batch).mean(dim=(0, 2, 3)) for batch in batches])
    assert torch.allclose(norm.running_mean, means.mean(dim=0), atol=1e-5)


def test_reestimating_twice_equals_once_and_leaves_the_weights_alone(
    reader: CacheReader, model: SegmentationModel
) -> None:
    batches = [to_input(reader.images([0, 1])), to_input(reader.images([2, 3]))]
    weights = {name: value.clone() for name, value in model.named_parameters()}
    reestimate_statistics(model, HOST, batches, ignore_call, keeps_statistics=False)
    once = state_of(model)
    reestimate_statistics(model, HOST, batches, ignore_call, keeps_statistics=False)
    assert all(torch.equal(value, once[key]) for key, value in model.state_dict().items())
    assert all(torch.equal(value, weights[name]) for name, value in model.named_parameters())


def test_reestimating_leaves_momentum_as_it_was_even_when_interrupted(
    reader: CacheReader, model: SegmentationModel
) -> None:
    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        reestimate_statistics(model, HOST, [to_input(reader.images([0, 1]))], stop, keeps_statistics=False)
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert {norm.momentum for norm in norms} == {0.1}


@pytest.mark.parametrize(
    ("is_pretrained", "batch_size", "keeps"), [(True, 7, True), (True, 8, False), (False, 2, False)]
)
def test_only_a_pretrained_backbone_in_tiny_batches_keeps_its_statistics(
    *, is_pretrained: bool, batch_size: int, keeps: bool
) -> None:
    assert keeps_statistics(is_pretrained=is_pretrained, batch_size=batch_size) == keeps


def test_kept_statistics_are_used_while_weight_and_bias_learn(reader: CacheReader, model: SegmentationModel) -> None:
    norm, before = model.network.backbone.norm, state_of(model)
    train_mode(model, keeps_statistics=True)
    images = to_input(reader.images([0, 1]))
    logits, auxiliary_logits = model.forward_heads(images)
    (logits.sum() + auxiliary_logits.sum()).backward()
    assert model.network.classifier[3].training, "dropout works as ever"
    reestimate_statistics(model, HOST, [images], ignore_call, keeps_statistics=True)
    changed = {key for key, value in model.state_dict().items() if not torch.equal(value, before[key])}
    assert "network.classifier.1.running_mean" in changed
    assert not any(key.startswith("network.backbone.") for key in changed)
    assert norm.weight.grad is not None
    assert norm.bias.grad is not None
