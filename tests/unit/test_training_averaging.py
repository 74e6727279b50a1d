import pytest
import torch
from torch import Tensor

from builders.networks import build_tiny_model
from segdrop.modeling.architectures import SegmentationModel, build_model
from segdrop.modeling.averaging import Average, decay_after


def moved(model: SegmentationModel, seed: int) -> dict[str, Tensor]:
    """Other weights and statistics in the model; a copy of them."""
    generator = torch.Generator().manual_seed(seed)
    for value in model.network.state_dict().values():
        if value.is_floating_point():
            value.copy_(torch.randn(value.shape, generator=generator))
        else:
            value.add_(1)
    return {key: value.clone() for key, value in model.network.state_dict().items()}


def test_decay_grows_with_the_steps_up_to_its_end() -> None:
    decays = [decay_after(steps) for steps in range(20_000)]
    assert decays == sorted(decays)
    assert decays[0] == pytest.approx(0.1)
    assert decays[-1] == 0.999
    for steps in (20, 100, 450, 2000):  # it spans about a tenth of what was
        assert 1 / (1 - decays[steps]) == pytest.approx(steps / 9, rel=0.1, abs=1.2)


def test_average_equals_the_recurrence_written_out() -> None:
    torch.manual_seed(0)
    model = build_tiny_model("", 2)
    average = Average(model)
    expected = {key: value.clone() for key, value in model.network.state_dict().items()}
    for step in range(5):
        current = moved(model, step)
        average.update(model, step)
        for key, value in current.items():
            kept = decay_after(step)
            expected[key] = kept * expected[key] + (1 - kept) * value if value.is_floating_point() else value
    for key, value in average.model.network.state_dict().items():
        torch.testing.assert_close(value, expected[key], msg=key)


def test_averaging_never_touches_the_model_that_is_trained() -> None:
    model = build_tiny_model("", 2)
    average = Average(model)
    before = moved(model, 1)
    average.update(model, 10)
    assert all(torch.equal(value, before[key]) for key, value in model.network.state_dict().items())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(parameter.requires_grad for parameter in average.model.parameters())


def test_average_of_the_real_model_computes_in_the_same_layout() -> None:
    model = build_model("deeplabv3_resnet50", 3)
    average = Average(model)
    ours, theirs = (network.state_dict() for network in (average.model.network, model.network))
    assert ours.keys() == theirs.keys()
    assert all(ours[key].stride() == value.stride() for key, value in theirs.items())
