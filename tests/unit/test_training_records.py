"""What a result says about how it came about, also where the run was taken up again under other conditions."""

import errno
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch

from builders.training import training_spec, write_cache
from segdrop import child_runtime, fingerprint
from segdrop.child_runtime import StopFlag
from segdrop.errors import StoppedError
from segdrop.modeling import precision
from segdrop.modeling.calibration import Calibration
from segdrop.spec import TrainingSpec
from segdrop.training import checkpoint, conditions, loop, planning, run
from segdrop.training.timing.speed import Speed

pytestmark = pytest.mark.usefixtures("tiny_model", "known_speed")
CODE = "train.resumed_differently"


@pytest.fixture
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = dict.fromkeys(("8", "16", "16@0.75"), 0.1)
    monkeypatch.setattr(planning, "rehearse", lambda _run: Speed(seconds, seconds, 0.1))


@pytest.fixture(autouse=True)
def own_threads() -> Iterator[None]:
    """Whatever a run sets, it is one again for the tests after it."""
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("data") / "cache", train=5, val=2, test=0)


def stop_after_an_epoch(spec: TrainingSpec) -> None:
    """Take a run from where it is to the end of the next epoch, and stop it there."""
    stop, finish_epoch = StopFlag(), loop.finish_epoch

    def finish_and_stop(current: run.Run) -> None:
        finish_epoch(current)
        stop.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "finish_epoch", finish_and_stop)
        with pytest.raises(StoppedError):
            loop.train(spec, stop)


def result_of(spec: TrainingSpec) -> dict[str, Any]:
    return dict(json.loads(spec.result_path.read_bytes()))


def notes(spec: TrainingSpec) -> list[str]:
    return [issue["message"] for issue in result_of(spec)["issues"] if issue["code"] == CODE]


def forget(spec: TrainingSpec, *keys: str) -> None:
    """Make the checkpoint one of a version that did not record these."""
    content = torch.load(spec.checkpoint_path, weights_only=True)
    for key in keys:
        del content["progress"][key]
    torch.save(content, spec.checkpoint_path)


def test_run_resumed_under_the_same_conditions_says_nothing(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    stop_after_an_epoch(spec)
    loop.train(spec, StopFlag())
    assert notes(spec) == []
    assert "stretches" not in result_of(spec)["environment"]
    assert result_of(spec)["fingerprint"]


def test_run_resumed_on_other_threads_goes_on_and_says_which_epochs_were_computed_how(
    tmp_path: Path, cache_dir: Path
) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    stop_after_an_epoch(spec)
    with structlog.testing.capture_logs() as events:
        loop.train(spec.model_copy(update={"threads": 2}), StopFlag())
    (event,) = [event for event in events if event["event"] == "host.changed"]
    assert (event["before"]["threads"], event["now"]["threads"]) == (1, 2)
    assert [row["epoch"] for row in events if row["event"] == "epoch.finished"] == [2], "nothing is done again"
    (note,) = notes(spec)
    assert note == "from epoch 1, step 1: 1 threads; from epoch 2, step 1: 2 threads"
    found = result_of(spec)
    stretches = found["environment"]["stretches"]
    assert [(one["from_epoch"], one["threads"]) for one in stretches] == [(1, 1), (2, 2)]
    assert found["environment"]["threads"] == 2
    assert found["fingerprint"], "threads are not what was asked for"


def test_changes_of_conditions_add_up_over_many_processes(tmp_path: Path, cache_dir: Path) -> None:
    """What an earlier process knew is not lost with it."""
    spec = training_spec(tmp_path / "run", cache_dir, epochs=4)
    for threads in (1, 2, 1):
        stop_after_an_epoch(spec.model_copy(update={"threads": threads}))
    loop.train(spec, StopFlag())
    (note,) = notes(spec)
    assert [part.partition(":")[0] for part in note.split("; ")] == [
        "from epoch 1, step 1",
        "from epoch 2, step 1",
        "from epoch 3, step 1",
    ]


def test_number_format_of_a_run_stays_although_the_host_would_choose_another_by_now(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[Calibration] = []

    def calibrate() -> Calibration:
        chosen.append(Calibration(0.5 if not chosen else 2.0, 0.001))
        return chosen[-1]

    monkeypatch.setattr(precision, "has_native_bf16", lambda: True)
    monkeypatch.setattr(run, "has_native_bf16", lambda: True)
    monkeypatch.setattr(precision, "calibrate", calibrate)
    spec = training_spec(tmp_path / "run", cache_dir, precision="auto")
    stop_after_an_epoch(spec)
    spec.measurements_path.unlink()
    loop.train(spec, StopFlag())
    found = result_of(spec)
    assert found["environment"]["precision"] == "fp32"
    assert found["environment"]["calibration"] == {"speedup": 0.5, "relative_error": 0.001}
    assert notes(spec) == []


def test_run_goes_on_in_fp32_where_bf16_would_be_emulated_and_says_so(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(precision, "has_native_bf16", lambda: True)
    monkeypatch.setattr(precision, "calibrate", lambda: Calibration(2.0, 0.001))
    spec = training_spec(tmp_path / "run", cache_dir, precision="auto")
    stop_after_an_epoch(spec)
    monkeypatch.setattr(precision, "has_native_bf16", lambda: False)
    monkeypatch.setattr(run, "has_native_bf16", lambda: False)
    loop.train(spec, StopFlag())
    assert result_of(spec)["environment"]["precision"] == "fp32"
    assert notes(spec) == ["from epoch 1, step 1: bf16; from epoch 2, step 1: fp32"]


def test_checkpoint_of_a_version_that_recorded_no_conditions_is_taken_up_and_that_is_said(
    tmp_path: Path, cache_dir: Path
) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    stop_after_an_epoch(spec)
    forget(spec, "stretches", "peak_rss_bytes")
    with structlog.testing.capture_logs() as events:
        loop.train(spec, StopFlag())
    assert [event["event"] for event in events[:2]] == ["job.resumed", "host.changed"]
    (note,) = notes(spec)
    assert note == ("from epoch 1, step 1: not recorded, by an older version; from epoch 2, step 1: fp32, 1 threads")
    assert result_of(spec)["fingerprint"] is None, "what is not known answers nobody"


def test_run_that_began_with_another_recipe_answers_no_later_job(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    stop_after_an_epoch(spec)
    for module in (fingerprint, conditions):
        monkeypatch.setattr(module, "RECIPE_VERSION", fingerprint.RECIPE_VERSION + 1)
    loop.train(spec, StopFlag())
    assert "recipe" in notes(spec)[0]
    assert result_of(spec)["fingerprint"] is None


def test_peak_memory_is_that_of_all_processes_of_a_run(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    with monkeypatch.context() as patch:
        patch.setattr(child_runtime, "peak_rss_bytes", lambda: 1 << 50)
        stop_after_an_epoch(spec)
    loop.train(spec, StopFlag())
    assert result_of(spec)["peak_rss_bytes"] == 1 << 50


def test_result_states_what_the_run_started_from_and_the_question_that_it_answers(
    tmp_path: Path, cache_dir: Path
) -> None:
    first = training_spec(tmp_path / "first", cache_dir)
    loop.train(first, StopFlag())
    assert result_of(first)["metrics"]["initialisation_file"] is None
    assert result_of(first)["metrics"]["initialisation_sha256"] is None
    spec = training_spec(tmp_path / "run", cache_dir, pretrained="mine.pth")
    (models,) = spec.weights_dirs
    models.mkdir()
    (models / "mine.pth").write_bytes(first.model_path.read_bytes())
    loop.train(spec, StopFlag())
    found = result_of(spec)
    digest = found["metrics"]["initialisation_sha256"]
    assert found["metrics"]["initialisation_file"] == "mine.pth"
    asked = spec.request.model_dump(mode="json")
    assert found["fingerprint"] == fingerprint.of("0" * 64, asked, digest) != result_of(first)["fingerprint"]


def test_request_that_is_published_is_the_one_that_was_done(tmp_path: Path, cache_dir: Path) -> None:
    asked = training_spec(tmp_path / "run", cache_dir)
    done = asked.request.with_half_the_batch()
    loop.train(asked.model_copy(update={"request": done, "asked": asked.request, "is_halved": True}), StopFlag())
    assert result_of(asked)["request"] == done.model_dump(mode="json")
    assert result_of(asked)["fingerprint"] == fingerprint.of("0" * 64, asked.request.model_dump(mode="json"), None)


#: of the last epoch, by optimizer: what the recipe of this version comes to
_LOSSES = {"recipe": 2, "muon": 1.98125, "adamw": 2.03155, "sgd": 2.01037}


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
def test_recipe_whose_outcome_changes_gets_another_version(tmp_path: Path, cache_dir: Path, optimizer: str) -> None:
    """Where this fails and the change is meant, raise ``fingerprint.RECIPE_VERSION``, and state both here anew."""
    spec = training_spec(tmp_path / "run", cache_dir, epochs=4, optimizer=optimizer)
    loop.train(spec, StopFlag())
    last = spec.history_path.read_text().splitlines()[-1].split(",")
    found = {"recipe": result_of(spec)["environment"]["recipe"], optimizer: float(last[3])}
    assert found == pytest.approx({"recipe": _LOSSES["recipe"], optimizer: _LOSSES[optimizer]}, rel=1e-3)


# files that may not become large


@contextmanager
def largest_file(size_bytes: int) -> Iterator[None]:
    """``ulimit -f``: a file of this process may have no more bytes."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def saved_bytes(spec: TrainingSpec) -> int:
    return max(path.stat().st_size for path in (spec.checkpoint_path, spec.model_path))


@pytest.mark.parametrize("asked", [{}, {"ema": True}, {"optimizer": "adamw"}, {"optimizer": "sgd"}], ids=str)
def test_limit_on_the_size_of_files_is_met_before_the_first_step(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    steps: list[int] = []
    train_step = loop.train_step
    monkeypatch.setattr(loop, "train_step", lambda *given: steps.append(1) or train_step(*given))
    spec = training_spec(tmp_path / "run", cache_dir, **asked)
    with largest_file(4000), pytest.raises(OSError) as caught:
        loop.train(spec, StopFlag())
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(spec.checkpoint_path))
    assert steps == []
    assert not list(spec.checkpoint_path.parent.glob("*.tmp"))
    loop.train(spec, StopFlag())
    assert steps


def test_every_epochs_weights_count_for_the_size_of_the_result(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path / "plain", cache_dir)
    loop.train(spec, StopFlag())
    kept = training_spec(tmp_path / "kept", cache_dir, keep_checkpoints=True, epochs=50)
    with largest_file(2 * saved_bytes(spec)), pytest.raises(OSError) as caught:
        loop.train(kept, StopFlag())
    assert caught.value.errno == errno.EFBIG


def test_room_is_asked_for_as_it_is_needed(tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a checkpoint fits, nothing is refused; what is asked for is what its tensors take."""
    asked: list[int] = []
    require_room = checkpoint.require_room
    monkeypatch.setattr(checkpoint, "require_room", lambda path, size: asked.append(size) or require_room(path, size))
    spec = training_spec(tmp_path / "run", cache_dir, ema=True)
    loop.train(spec, StopFlag())
    content = torch.load(spec.checkpoint_path, weights_only=True)
    tensors = [*content["network"].values(), *content["average"].values()]
    tensors += [value for state in content["optimizer"]["state"].values() for value in state.values()]
    taken = sum(tensor.nbytes for tensor in tensors if isinstance(tensor, torch.Tensor))
    assert 0.7 * taken < asked[0] <= taken < saved_bytes(spec)


def test_file_that_is_refused_while_it_is_written_is_named(tmp_path: Path) -> None:
    with largest_file(4000), pytest.raises(OSError) as caught:
        checkpoint.write_tensors(tmp_path / "best.pth", {"weights": torch.zeros(100_000)})
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(tmp_path / "best.pth"))


def test_stretch_survives_its_record() -> None:
    host = precision.Host("bf16", 3, Calibration(1.5, 0.001))
    for stretch in (*conditions.continued([], 1, 2, host), *conditions.continued([], 0, 0, host)):
        assert conditions.Stretch.from_json(json.loads(json.dumps(stretch.to_json()))) == stretch
    (first,) = conditions.continued([], 0, 0, host)
    assert conditions.continued([first], 5, 0, host) == [first]
    assert conditions.continued([first], 5, 0, replace(host, threads=1))[0] == first
    (only,) = conditions.continued([first], 0, 0, replace(host, threads=1))
    assert only.conditions is not None
    assert only.conditions.threads == 1, "under the others, not one step was taken"


def test_checkpoint_of_version_0_1_belongs_to_the_same_request_of_this_version(tmp_path: Path) -> None:
    """The fingerprint as version 0.1 computed it; where this fails, its checkpoints are thrown away at an upgrade."""
    spec = training_spec(tmp_path, write_cache(tmp_path / "cache", train=2, val=1), learning_rate=1e-5)
    assert checkpoint.fingerprint(spec) == "0ef72ded96a90eeafb2fa240508ac98d3ec8e3c7e039803349db21329f71688f"
