"""The rehearsal tells how long a run will take, and leaves nothing behind; a budget is kept."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch

from builders.training import training_spec, write_cache
from segdrop.child_runtime import StopFlag
from segdrop.errors import StoppedError
from segdrop.modeling import precision
from segdrop.modeling.calibration import Calibration
from segdrop.spec import TrainingSpec
from segdrop.training import loop, planning, run
from segdrop.training.timing.speed import Speed

pytestmark = pytest.mark.usefixtures("tiny_model")


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("data") / "cache", train=9, val=4, test=2)


def result_of(spec: TrainingSpec) -> dict[str, Any]:
    return dict(json.loads(spec.result_path.read_bytes()))


def state_of(spec: TrainingSpec) -> dict[str, Any]:
    """Everything but times."""
    content = torch.load(spec.checkpoint_path, weights_only=True)
    return {"network": content["network"], "average": content["average"], "optimizer": content["optimizer"]["state"]}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(torch.equal(one, other)) if isinstance(one, torch.Tensor) else bool(one == other)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"optimizer": "adamw"},
        {"optimizer": "sgd"},
        {"ema": True},
        {"output_stride": 16},
        {"progressive_size": True, "epochs": 4},
    ],
    ids=["muon", "adamw", "sgd", "ema", "stride-16", "progressive"],
)
def test_a_rehearsed_run_is_to_the_bit_the_unrehearsed_one(
    tmp_path: Path, cache_dir: Path, keys: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsed, known = (training_spec(tmp_path / name, cache_dir, **keys) for name in ("rehearsed", "known"))
    loop.train(rehearsed, StopFlag())
    with monkeypatch.context() as patch:
        seconds = dict.fromkeys(("8", "16", "16@0.75"), 0.1)
        patch.setattr(planning, "rehearse", lambda _run: Speed(seconds, seconds, 0.1))
        loop.train(known, StopFlag())
    assert same(state_of(rehearsed), state_of(known))
    assert result_of(rehearsed)["metrics"] == result_of(known)["metrics"]
    assert {path.name for path in rehearsed.checkpoint_path.parent.iterdir()} == {
        path.name for path in known.checkpoint_path.parent.iterdir()
    }


def test_stop_during_the_rehearsal_leaves_a_run_that_begins_anew(tmp_path: Path, cache_dir: Path) -> None:
    class AtSecondLook(StopFlag):
        looks = 0

        def __bool__(self) -> bool:
            self.looks += 1
            return self.looks == 2

    stopped, whole = (training_spec(tmp_path / name, cache_dir) for name in ("stopped", "whole"))
    with pytest.raises(StoppedError):
        loop.train(stopped, AtSecondLook())
    assert not stopped.checkpoint_path.exists()
    assert not stopped.measurements_path.exists()
    for spec in (stopped, whole):
        loop.train(spec, StopFlag())
    assert same(state_of(stopped), state_of(whole))


def test_what_a_run_measured_is_known_to_the_next_like_it_and_to_no_other(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rehearsals: list[int] = []
    rehearse = planning.rehearse

    def counted(current: run.Run) -> Speed:
        rehearsals.append(1)
        return rehearse(current)

    monkeypatch.setattr(planning, "rehearse", counted)

    def train(name: str, **keys: Any) -> int:
        spec = training_spec(tmp_path / name, cache_dir, **keys)
        loop.train(spec.model_copy(update={"measurements_path": tmp_path / "measurements.json"}), StopFlag())
        return len(rehearsals)

    assert train("first") == 1
    assert train("again", seed=3, epochs=3) == 1
    assert train("larger-batch", batch_size=4) == 2
    assert train("and-again") == 2
    assert len(json.loads((tmp_path / "measurements.json").read_bytes())) == 2


@pytest.mark.parametrize("content", ["", "[]", "{", '{"other": 1}', "null"])
def test_damaged_memory_of_speeds_costs_a_rehearsal(tmp_path: Path, cache_dir: Path, content: str) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    spec.measurements_path.write_text(content)
    loop.train(spec, StopFlag())
    (entry,) = [value for value in json.loads(spec.measurements_path.read_bytes()).values() if isinstance(value, dict)]
    assert set(entry) == {"step", "validation_image", "epoch_end"}


def test_time_is_told_before_the_first_step_and_again_with_the_result(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    with structlog.testing.capture_logs() as events:
        loop.train(spec, StopFlag())
    assert events[0]["event"] == "train.planned"
    timing = result_of(spec)["timing"]
    assert timing["estimated_seconds"] >= events[0]["eta_seconds"] - 0.06  # the time before it is counted too
    assert timing["run_seconds"] > timing["train_seconds"] > 0


def test_run_of_too_many_epochs_is_fitted_to_its_budget_and_not_cut_off(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path / "run", cache_dir, epochs=10_000, time_budget_minutes=0.1)
    loop.train(spec, StopFlag())
    rows = list(csv.DictReader(spec.history_path.read_text().splitlines()))
    assert 3 < len(rows) < 10_000
    assert result_of(spec)["timing"]["run_seconds"] < 1.5 * 6
    rates = [float(row["learning_rate"]) for row in rows]
    assert rates[-1] < 0.1 * max(rates), "the learning rate has come down"


def test_budget_for_less_than_an_epoch_gives_a_shorter_one(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "rehearse", lambda _run: Speed({"8": 10.0, "16": 10.0}, {"8": 0.0, "16": 0.0}, 0.0))
    spec = training_spec(tmp_path / "run", cache_dir, epochs=7, time_budget_minutes=0.5)
    loop.train(spec, StopFlag())
    metrics = result_of(spec)["metrics"]
    assert (metrics["epochs"], metrics["steps"]) == (1, 2)  # 30 s are 2 whole steps, as some time has passed before


def test_number_format_is_measured_once_on_a_host_and_told_with_the_result(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[int] = []

    def counted() -> Calibration:
        measured.append(1)
        return Calibration(2.0, 0.003)

    monkeypatch.setattr(precision, "has_native_bf16", lambda: True)
    monkeypatch.setattr(precision, "calibrate", counted)
    for name in ("first", "second"):
        spec = training_spec(tmp_path / name, cache_dir, precision="auto")
        spec = spec.model_copy(update={"measurements_path": tmp_path / "measurements.json"})
        loop.train(spec, StopFlag())
        environment = result_of(spec)["environment"]
        assert environment["precision"] == "bf16"
        assert environment["calibration"] == {"speedup": 2.0, "relative_error": 0.003}
    assert len(measured) == 1
    loop.train(training_spec(tmp_path / "asked", cache_dir, precision="fp32"), StopFlag())
    assert len(measured) == 1
