"""How long a run takes, and how long a budget makes it."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from segdrop.training.timing.budget import Pace, Plan, Workload
from segdrop.training.timing.phases import Phases
from segdrop.training.timing.speed import Speed

SPEED = Speed({"8": 2.0, "16": 1.0}, validation_image={"8": 0.5, "16": 0.25}, epoch_end=3.0)


def workload(epochs: int = 10, steps: int = 20, coarse_share: float = 0.0) -> Workload:
    return Workload(Plan(epochs, steps), Phases(coarse_share), validation_images=8, test_images=4)


def test_a_run_takes_its_steps_its_validations_and_the_test() -> None:
    asked = workload(epochs=2)
    assert asked.seconds(asked.plan, SPEED) == 2 * (20 * 2.0 + 8 * 0.5 + 3.0) + 4 * 0.5
    assert asked.seconds(asked.plan, SPEED, epochs_done=1, steps_done=5) == 15 * 2.0 + 8 * 0.5 + 3.0 + 4 * 0.5
    assert asked.seconds(asked.plan, SPEED, epochs_done=2) == 4 * 0.5
    assert workload(epochs=1, coarse_share=1.0).seconds(Plan(1, 20), SPEED) == 20 * 1.0 + 8 * 0.25 + 3.0 + 4 * 0.25


def test_coarse_epochs_count_at_their_own_speed() -> None:
    asked = workload(epochs=4, coarse_share=0.5)
    coarse, fine = 20 * 1.0 + 8 * 0.25 + 3.0, 20 * 2.0 + 8 * 0.5 + 3.0
    assert asked.seconds(asked.plan, SPEED) == 2 * coarse + 2 * fine + 4 * 0.5
    after_three_steps = asked.seconds(asked.plan, SPEED, epochs_done=1, steps_done=3)
    assert after_three_steps == pytest.approx(coarse - 3 * 1.0 + 2 * fine + 4 * 0.5)


def test_epochs_of_small_images_count_at_their_own_speed_but_for_their_validation() -> None:
    asked = Workload(Plan(4, 20), Phases(coarse=0.5, small=0.25), 8, 4)
    speed = Speed({**SPEED.step, "16@0.75": 0.75}, SPEED.validation_image, SPEED.epoch_end)
    plain = workload(epochs=4, coarse_share=0.5)
    assert asked.seconds(asked.plan, speed) == plain.seconds(plain.plan, SPEED) - 20 * 0.25
    pace = Pace(asked, asked.plan, speed)
    for _ in range(4):
        pace.step_done(0, 0.5)
    assert pace.speed is not None
    assert pace.speed.step == {"8": 2.0, "16": 1.0, "16@0.75": 0.5}


def test_epochs_that_are_not_validated_take_less() -> None:
    whole, asked = workload(epochs=4), Workload(Plan(4, 20), Phases(validate_every=4), 8, 4)
    assert asked.seconds(asked.plan, SPEED) == whole.seconds(whole.plan, SPEED) - 2 * 8 * 0.5
    done = {"epochs_done": 2, "steps_done": 5}
    assert asked.seconds(asked.plan, SPEED, **done) == whole.seconds(whole.plan, SPEED, **done) - 8 * 0.5


def test_budget_that_suffices_changes_nothing_and_a_smaller_one_takes_epochs_away() -> None:
    asked = workload()
    whole = asked.seconds(asked.plan, SPEED)
    assert asked.fitted(SPEED, whole) == asked.plan
    assert asked.fitted(SPEED, 10 * whole) == asked.plan
    assert asked.fitted(SPEED, whole - 1) == Plan(9, 20)
    assert asked.fitted(SPEED, whole / 2) == Plan(4, 20)


def test_budget_for_less_than_an_epoch_takes_steps_away_and_leaves_one() -> None:
    asked = workload()
    idle = 8 * 0.5 + 3.0 + 4 * 0.5
    assert asked.fitted(SPEED, idle + 7 * 2.0) == Plan(1, 7)
    assert asked.fitted(SPEED, 0.0) == Plan(1, 1)


def test_run_that_fell_behind_ends_with_the_epoch_that_is_done() -> None:
    asked = workload()
    assert asked.fitted(SPEED, 1.0, epochs_done=3) == Plan(3, 20)
    assert asked.fitted(SPEED, 10_000.0, epochs_done=3) == asked.plan


@given(
    epochs=st.integers(1, 300),
    steps=st.integers(1, 50),
    budget=st.floats(0, 50_000),
    step_seconds=st.floats(1e-3, 100),
    done=st.integers(0, 5),
)
@example(epochs=1, steps=1, budget=0.0, step_seconds=1.0, done=0)
def test_a_fitted_plan_is_the_longest_that_ends_in_time(
    epochs: int, steps: int, budget: float, step_seconds: float, done: int
) -> None:
    asked, speed = workload(epochs, steps), Speed({"8": step_seconds}, {"8": 0.5}, 3.0)
    done = min(done, epochs)
    plan = asked.fitted(speed, budget, done)
    assert max(1, done) <= plan.epochs <= epochs
    assert 1 <= plan.steps <= steps
    in_time = asked.seconds(plan, speed, done) <= budget * (1 + 1e-9)
    assert in_time or plan in (Plan(1, 1), Plan(done, steps))
    if plan.epochs < epochs and plan.steps == steps:
        assert asked.seconds(Plan(plan.epochs + 1, steps), speed, done) > budget


def test_pace_goes_by_what_was_known_until_it_has_seen_some_steps_itself() -> None:
    asked = workload()
    pace = Pace(asked, asked.plan)
    assert pace.seconds_left(0, 0) is None
    pace.step_done(0, 100.0)
    assert pace.seconds_left(0, 1) is None
    pace = Pace(asked, asked.plan, SPEED)
    for _ in range(3):
        pace.step_done(0, 4.0)
    assert pace.speed == SPEED
    pace.step_done(0, 4.0)
    assert pace.speed == Speed({"8": 4.0, "16": 1.0}, {"8": 0.5, "16": 0.25}, 3.0)
    pace.epoch_done(0, validation_seconds=16.0, other_seconds=1.0)
    assert pace.speed == Speed({"8": 4.0, "16": 1.0}, {"8": 2.0, "16": 0.25}, 1.0)
    assert pace.seconds_left(9, 0) == 20 * 4.0 + 8 * 2.0 + 1.0 + 4 * 2.0


def test_the_first_step_at_each_stride_which_prepares_the_kernels_is_not_taken_for_the_others() -> None:
    asked = workload(epochs=2, coarse_share=0.5)
    pace = Pace(asked, asked.plan, SPEED)
    for epoch, seconds in ((0, 5.0), (1, 7.0)):
        pace.step_done(epoch, 1000.0)
        for _ in range(3):
            pace.step_done(epoch, seconds)
    assert pace.speed is not None
    assert pace.speed.step == {"16": 5.0, "8": 7.0}
