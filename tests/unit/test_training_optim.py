import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from builders.networks import tiny_network
from segdrop.training import optim

STEPS = st.integers(1, 500)


@given(STEPS)
def test_learning_rate_is_never_above_its_peak_or_below_its_end(steps: int) -> None:
    rates = [optim.one_cycle(step, steps, 1.0) for step in range(steps)]
    assert max(rates) <= 1.0 + 1e-12
    assert min(rates) > 0


@given(st.integers(4, 500))
def test_learning_rate_rises_once_to_its_peak_and_falls_to_almost_nothing(steps: int) -> None:
    rates = [optim.one_cycle(step, steps, 1.0) for step in range(steps)]
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[-1] < 1e-5
    assert rates[top] > 0.8


@pytest.mark.parametrize("steps", [10, 50, 237])
def test_learning_rate_equals_torchs_one_cycle(steps: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.3, total_steps=steps, cycle_momentum=False)
    for step in range(steps):
        assert optim.one_cycle(step, steps, 0.3) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if step < steps - 1:
            scheduler.step()


def test_auto_depends_on_the_start_and_a_given_value_wins() -> None:
    scratch = optim.peak_learning_rate("auto", is_pretrained=False)
    pretrained = optim.peak_learning_rate("auto", is_pretrained=True)
    assert 0 < pretrained < scratch
    assert optim.peak_learning_rate(0.01, is_pretrained=True) == 0.01
    assert optim.weight_decay("auto") > 0
    assert optim.weight_decay(0.0) == 0.0


def test_norms_and_biases_do_not_decay_and_nothing_is_left_out() -> None:
    network = tiny_network()
    optimizer = optim.build_optimizer(network, 0.5)
    decayed, kept = optimizer.param_groups
    assert (decayed["weight_decay"], kept["weight_decay"]) == (0.5, 0.0)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    assert {names[id(parameter)] for parameter in kept["params"]} == {
        name for name in names.values() if name.endswith("bias") or "norm" in name or ".1." in name
    }
    assert len(decayed["params"]) + len(kept["params"]) == len(names)
