"""Which epochs are trained how, and which are validated."""

from typing import Any

import pytest

from segdrop.request import TrainRequest
from segdrop.training.timing.phases import Phase, Phases, requested


def asked(**keys: Any) -> Phases:
    return requested(TrainRequest(**keys))


def strides(phases: Phases, epochs: int) -> list[int]:
    return [phases.phase(epoch, epochs).output_stride for epoch in range(epochs)]


def scales(phases: Phases, epochs: int) -> list[float]:
    return [phases.phase(epoch, epochs).scale for epoch in range(epochs)]


def validated(phases: Phases, epochs: int) -> list[int]:
    """The epochs that are, from 1."""
    return [epoch + 1 for epoch in range(epochs) if phases.is_validated(epoch, epochs)]


@pytest.mark.parametrize("stride", [8, 16])
def test_output_stride_that_was_asked_for_is_that_of_every_epoch(stride: int) -> None:
    assert strides(asked(output_stride=stride), 5) == [stride] * 5


@pytest.mark.parametrize(("epochs", "coarse"), [(1, 0), (2, 1), (4, 2), (5, 3), (10, 6), (30, 18)])
def test_auto_trains_the_first_epochs_at_16_and_never_ends_there(epochs: int, coarse: int) -> None:
    assert strides(asked(), epochs) == [16] * coarse + [8] * (epochs - coarse)


@pytest.mark.parametrize(("share", "coarse"), [(0.0, 0), (0.5, 5), (0.75, 7), (0.8, 8)])
def test_a_share_of_the_epochs_is_rounded_down(share: float, coarse: int) -> None:
    assert strides(Phases(share), 10) == [16] * coarse + [8] * (10 - coarse)


@pytest.mark.parametrize(("epochs", "small"), [(1, 0), (3, 0), (4, 1), (10, 3), (30, 9)])
def test_progressive_size_trains_the_first_epochs_on_smaller_images(epochs: int, small: int) -> None:
    assert scales(asked(progressive_size=True), epochs) == [0.75] * small + [1.0] * (epochs - small)
    assert scales(asked(), epochs) == [1.0] * epochs


def test_every_phase_is_told_once_in_order() -> None:
    phases = asked(progressive_size=True)
    assert phases.distinct(10) == [Phase(16, 0.75), Phase(16), Phase(8)]
    assert phases.distinct(1) == [Phase(8)]
    assert [phase.name for phase in phases.distinct(10)] == ["16@0.75", "16", "8"]
    assert {phase.validated for phase in phases.distinct(10)} == {Phase(16), Phase(8)}


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
    assert validated(asked(), epochs) == expected


@pytest.mark.parametrize("keys", [{"output_stride": 8}, {"output_stride": 16}, {"validate_every": 1}])
def test_every_epoch_that_may_be_the_best_is_validated(keys: dict[str, Any]) -> None:
    assert validated(asked(**keys), 10) == list(range(1, 11))


@pytest.mark.parametrize("keys", [{"time_budget_minutes": 5.0}, {"keep_checkpoints": True}])
@pytest.mark.parametrize("every", ["auto", 4])
def test_every_epoch_that_may_be_the_last_or_is_kept_is_validated(keys: dict[str, Any], every: object) -> None:
    assert validated(asked(validate_every=every, **keys), 10) == list(range(1, 11))


def test_as_many_are_validated_as_asked_for_and_the_first_and_the_last() -> None:
    assert validated(asked(validate_every=4), 10) == [1, 4, 8, 10]
    assert validated(asked(validate_every=100), 10) == [1, 10]
