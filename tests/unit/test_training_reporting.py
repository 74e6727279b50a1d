import json
from pathlib import Path
from typing import Any

import pytest

from builders.clocks import Clock
from segdrop.training.reporting import Reporter
from segdrop.training.timing.budget import Pace, Plan, Workload
from segdrop.training.timing.phases import Phases
from segdrop.training.timing.speed import Speed


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace() -> Pace:
    plan = Plan(epochs=2, steps=10)
    return Pace(Workload(plan, Phases(), validation_images=6, test_images=0), plan)


@pytest.fixture
def reporter(tmp_path: Path, pace: Pace, clock: Clock) -> Reporter:
    return Reporter(tmp_path / "progress.json", pace, clock)


def read(folder: Path) -> dict[str, Any]:
    return dict(json.loads((folder / "progress.json").read_bytes()))


def test_progress_is_there_before_the_first_step_and_promises_nothing(tmp_path: Path, reporter: Reporter) -> None:
    reporter.position(0, 0)
    state = read(tmp_path)
    assert (state["stage"], state["epoch"], state["epochs"], state["step"], state["steps"]) == ("train", 1, 2, 0, 20)
    assert state["eta_seconds"] is state["images_per_second"] is state["loss"] is state["mean_iou"] is None
    assert state["rss_bytes"] > 1_000_000


def test_file_is_never_written_twice_within_a_second(tmp_path: Path, reporter: Reporter, clock: Clock) -> None:
    reporter.position(0, 0)
    clock.now += 0.9
    reporter.step_finished(0, 1, 0.5, 8, 0.9)
    assert read(tmp_path)["step"] == 0
    clock.now += 0.1
    reporter.tick()
    assert read(tmp_path)["step"] == 1


def test_eta_is_there_before_the_first_step_and_follows_the_pace(
    tmp_path: Path, reporter: Reporter, pace: Pace, clock: Clock
) -> None:
    pace.known = Speed({"8": 2.0}, validation_image={"8": 0.5}, epoch_end=1.0)
    reporter.position(0, 0)
    assert read(tmp_path)["eta_seconds"] == 20 * 2.0 + 2 * (6 * 0.5 + 1.0)
    for step in range(1, 5):
        clock.now += 4
        reporter.step_finished(0, step, 0.4, 8, 4.0)
    state = read(tmp_path)
    assert state["eta_seconds"] == 16 * 4.0 + 2 * (6 * 0.5 + 1.0)
    assert (state["epoch"], state["step"], state["loss"], state["images_per_second"]) == (1, 4, 0.4, 2.0)


def test_shorter_plan_is_shown_as_it_is(tmp_path: Path, reporter: Reporter, pace: Pace) -> None:
    pace.plan = Plan(epochs=1, steps=4)
    reporter.position(0, 1)
    state = read(tmp_path)
    assert (state["epochs"], state["steps"], state["step"]) == (1, 4, 1)


def test_resumed_run_shows_where_it_goes_on(tmp_path: Path, reporter: Reporter) -> None:
    reporter.best_mean_iou = 0.25
    reporter.position(1, 3)
    state = read(tmp_path)
    assert (state["epoch"], state["step"], state["mean_iou"]) == (2, 13, 0.25)


def test_end_of_the_last_epoch_is_the_last_epoch(tmp_path: Path, reporter: Reporter) -> None:
    reporter.position(2, 0)
    assert (read(tmp_path)["epoch"], read(tmp_path)["step"]) == (2, 20)
