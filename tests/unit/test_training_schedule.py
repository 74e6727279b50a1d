import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segdrop.training.optim import schedule

STEPS = st.integers(1, 500)
NAMES = ["one_cycle", "poly", "cosine", "constant"]


def rates_of(name: str, steps: int, peak: float = 1.0) -> list[float]:
    return [schedule.learning_rate(name, step, steps, peak) for step in range(steps)]


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(steps=STEPS)
def test_learning_rate_is_always_positive_and_never_above_its_peak(name: str, steps: int) -> None:
    rates = rates_of(name, steps)
    assert max(rates) <= 1.0 + 1e-12
    assert min(rates) > 0


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None)
@given(steps=st.integers(4, 500))
def test_learning_rate_rises_once_and_never_rises_again(name: str, steps: int) -> None:
    rates = rates_of(name, steps)
    top = rates.index(max(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert rates[top] > 0.8


def test_one_cycle_ends_at_almost_nothing() -> None:
    assert rates_of("one_cycle", 50)[-1] < 1e-5


@pytest.mark.parametrize("steps", [10, 50, 237])
def test_one_cycle_equals_torchs(steps: int) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    scheduler = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=0.3, total_steps=steps, pct_start=0.2, cycle_momentum=False
    )
    for step, rate in enumerate(rates_of("one_cycle", steps, 0.3)):
        assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-9)
        optimizer.step()
        if step < steps - 1:
            scheduler.step()


@pytest.mark.parametrize("name", ["poly", "cosine", "constant"])
def test_the_first_twentieth_of_the_steps_rises_in_equal_parts_to_the_peak(name: str) -> None:
    rates = rates_of(name, 200, 0.5)
    assert rates[9] == 0.5
    assert [after - before for before, after in itertools.pairwise(rates[:10])] == pytest.approx([0.05] * 9)


def test_after_the_warm_up_each_declines_as_torch_says() -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    theirs = {
        "poly": torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=190, power=0.9),
        "cosine": torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=190),
    }
    for name, scheduler in theirs.items():
        optimizer.param_groups[0]["lr"] = 1.0
        for rate in rates_of(name, 200)[10:]:
            assert rate == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-6)
            optimizer.step()
            scheduler.step()
    assert rates_of("constant", 200)[10:] == [1.0] * 190


def test_schedule_that_is_not_built_is_never_silently_another() -> None:
    with pytest.raises(KeyError):
        schedule.learning_rate("exponential", 0, 10, 1.0)
