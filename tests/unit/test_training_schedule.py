import itertools
from typing import Literal

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segdrop.training import schedule

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


@pytest.mark.parametrize("requested", [8, 16])
def test_output_stride_that_was_asked_for_is_that_of_every_epoch(requested: Literal[8, 16]) -> None:
    share = schedule.coarse_share(requested)
    assert {schedule.output_stride(share, epoch, 5) for epoch in range(5)} == {requested}


@pytest.mark.parametrize(("share", "coarse"), [(0.0, 0), (0.5, 5), (0.75, 7), (0.8, 8)])
def test_auto_trains_the_first_epochs_at_16_and_the_others_at_8(share: float, coarse: int) -> None:
    strides = [schedule.output_stride(share, epoch, 10) for epoch in range(10)]
    assert strides == [16] * coarse + [8] * (10 - coarse)


@pytest.mark.parametrize(("epochs", "coarse"), [(1, 0), (2, 1), (4, 2), (5, 3), (10, 6), (30, 18)])
def test_auto_never_ends_at_16_however_short_the_run(epochs: int, coarse: int) -> None:
    share = schedule.coarse_share("auto")
    strides = [schedule.output_stride(share, epoch, epochs) for epoch in range(epochs)]
    assert strides == [16] * coarse + [8] * (epochs - coarse)


def validated(every: int | Literal["auto"], share: float, epochs: int) -> list[int]:
    """The epochs that are, from 1."""
    return [epoch + 1 for epoch in range(epochs) if schedule.is_validated(every, share, epoch, epochs)]


@pytest.mark.parametrize(
    ("epochs", "expected"),
    [
        (1, [1]),
        (2, [1, 2]),
        (5, [1, 3, 4, 5]),
        (10, [1, 3, 6, 7, 8, 9, 10]),
        (20, [1, 3, 6, 9, 12, 13, 14, 15, 16, 17, 18, 19, 20]),
    ],
)
def test_auto_validates_a_third_of_the_coarse_epochs_and_all_others(epochs: int, expected: list[int]) -> None:
    assert validated("auto", schedule.coarse_share("auto"), epochs) == expected


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_auto_validates_every_epoch_where_each_may_be_the_best(share: float) -> None:
    assert validated("auto", share, 10) == list(range(1, 11))


def test_as_many_are_validated_as_asked_for_and_the_first_and_the_last() -> None:
    assert validated(1, 0.6, 10) == list(range(1, 11))
    assert validated(4, 0.6, 10) == [1, 4, 8, 10]
    assert validated(100, 0.6, 10) == [1, 10]
