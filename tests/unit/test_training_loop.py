"""The run as a whole, with a tiny model in place of the large one."""

import csv
import errno
import io
import json
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from torch import Tensor

from builders.networks import build_tiny_model
from builders.training import training_spec, write_cache
from segdrop import durable
from segdrop.child_runtime import StopFlag
from segdrop.errors import DataError, StoppedError
from segdrop.spec import TrainingSpec
from segdrop.training import checkpoint, loop, planning, run, validation
from segdrop.training.loss import build_criterion
from segdrop.training.timing import phases
from segdrop.training.timing.speed import Speed


class StopAt(StopFlag):
    """Set when it is looked at for the n-th time; counts how often it was."""

    def __init__(self, look: int | None = None) -> None:
        super().__init__()
        self.looks = 0
        self._look = look

    def __bool__(self) -> bool:
        self.looks += 1
        return self.looks == self._look


pytestmark = pytest.mark.usefixtures("tiny_model", "known_speed")


@pytest.fixture
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the rehearsal costs and leaves is tested in test_training_rehearsal.py; here steps and looks are counted."""
    seconds = dict.fromkeys(("8", "16", "16@0.75"), 0.1)
    monkeypatch.setattr(planning, "rehearse", lambda _run: Speed(seconds, seconds, 0.1))


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("data") / "cache", train=5, val=2, test=2)


def weights_of(spec: TrainingSpec) -> dict[str, Tensor]:
    """Of the last checkpoint: what the run would go on from."""
    content = torch.load(spec.checkpoint_path, weights_only=True)
    moments = {
        f"moment {number} {name}": value
        for number, state in content["optimizer"]["state"].items()
        for name, value in state.items()
    }
    return content["network"] | moments


def result_of(spec: TrainingSpec) -> dict[str, Any]:
    return dict(json.loads(spec.result_path.read_bytes()))


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def timeless(history: Path) -> list[dict[str, str]]:
    rows = csv.DictReader(history.read_text().splitlines())
    return [{key: row[key] for key in row if key not in ("seconds", "images_per_second")} for row in rows]


def test_same_seed_gives_the_same_weights_to_the_bit_and_another_seed_others(tmp_path: Path, cache_dir: Path) -> None:
    first, again, other = (
        training_spec(tmp_path / name, cache_dir, seed=seed) for name, seed in (("a", 7), ("b", 7), ("c", 8))
    )
    for spec in (first, again, other):
        loop.train(spec, StopFlag())
    assert equal(weights_of(first), weights_of(again))
    assert not equal(weights_of(first), weights_of(other))
    assert timeless(first.history_path) == timeless(again.history_path)


def test_run_stopped_anywhere_and_resumed_ends_as_the_uninterrupted_one(tmp_path: Path, cache_dir: Path) -> None:
    whole, counter = training_spec(tmp_path / "whole", cache_dir), StopAt()
    loop.train(whole, counter)
    assert counter.looks > 10
    for look in range(1, counter.looks + 1):
        spec = training_spec(tmp_path / f"stopped-{look}", cache_dir)
        with pytest.raises(StoppedError):
            loop.train(spec, StopAt(look))
        assert not spec.result_path.exists()
        loop.train(spec, StopFlag())
        assert equal(weights_of(spec), weights_of(whole)), f"stopped at look {look}"
        assert timeless(spec.history_path) == timeless(whole.history_path)
        assert result_of(spec)["metrics"] == result_of(whole)["metrics"]


#: each trains, ends the same when stopped after any step, and is another run than the default's
VARIANTS: list[dict[str, Any]] = [
    {"loss": "weighted_cross_entropy"},
    {"loss": "ohem"},
    {"loss": "dice"},
    {"loss": "cross_entropy"},
    {"optimizer": "sgd"},
    {"optimizer": "adamw"},
    {"schedule": "poly"},
    {"schedule": "cosine"},
    {"schedule": "constant"},
    {"augmentation": "strong"},
    {"output_stride": 16},
]


@pytest.mark.parametrize("asked", VARIANTS, ids=str)
def test_every_variant_does_something_and_is_repeated_to_the_bit_when_stopped_after_each_step(
    tmp_path: Path, cache_dir: Path, asked: dict[str, Any]
) -> None:
    plain, whole = training_spec(tmp_path / "plain", cache_dir), training_spec(tmp_path / "whole", cache_dir, **asked)
    halting = training_spec(tmp_path / "halting", cache_dir, **asked)
    loop.train(plain, StopFlag())
    loop.train(whole, StopFlag())
    stops = train_with_a_stop_after_each_step(halting)
    assert stops >= 6
    assert not equal(weights_of(whole), weights_of(plain))
    assert equal(weights_of(halting), weights_of(whole))
    assert timeless(halting.history_path) == timeless(whole.history_path)
    assert result_of(halting)["metrics"] == result_of(whole)["metrics"]


def train_with_a_stop_after_each_step(spec: TrainingSpec) -> int:
    """A new process's worth of state for every step; how often it was stopped."""
    for stops in range(100):
        stop, train_step = StopFlag(), loop.train_step

        def step_and_stop(current: run.Run, batch: Any, stop: StopFlag = stop, step: Any = train_step) -> float:
            stop.set()
            return float(step(current, batch))

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(loop, "train_step", step_and_stop)
            try:
                loop.train(spec, stop)
            except StoppedError:
                continue
        return stops
    pytest.fail("it never ended")


def test_run_that_found_no_weights_resumes_like_any_other(tmp_path: Path, cache_dir: Path) -> None:
    """That it found none is an issue, and the checkpoint keeps it."""
    spec = training_spec(tmp_path / "run", cache_dir, pretrained="auto")
    with pytest.raises(StoppedError):
        loop.train(spec, StopAt(2))
    with structlog.testing.capture_logs() as events:
        loop.train(spec, StopFlag())
    assert events[0]["event"] == "job.resumed"
    assert result_of(spec)["issues"]


def test_run_stopped_again_and_again_still_ends_and_ends_the_same(tmp_path: Path, cache_dir: Path) -> None:
    whole, halting = (training_spec(tmp_path / name, cache_dir) for name in ("whole", "halting"))
    loop.train(whole, StopFlag())
    for _attempt in range(100):
        try:
            loop.train(halting, StopAt(6))  # a validation takes five looks and is done whole or not at all
        except StoppedError:
            continue
        break
    assert equal(weights_of(halting), weights_of(whole))


class _PowerCutError(BaseException):
    """Nothing in the run gets to tidy up after this."""


def test_power_cut_within_an_epoch_costs_no_more_than_the_time_between_checkpoints(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, cut = training_spec(tmp_path / "whole", cache_dir), training_spec(tmp_path / "cut", cache_dir)
    loop.train(whole, StopFlag())
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", -1.0)
    steps = iter(range(2))
    train_step = loop.train_step

    def cut_off(run: loop.Run, batch: Any) -> float:
        if next(steps, None) is None:
            raise _PowerCutError
        return train_step(run, batch)

    with monkeypatch.context() as patched:
        patched.setattr(loop, "train_step", cut_off)
        with pytest.raises(_PowerCutError):
            loop.train(cut, StopFlag())
    saved = torch.load(cut.checkpoint_path, weights_only=True)["progress"]
    assert saved["epoch"] * 3 + saved["step"] == 2
    loop.train(cut, StopFlag())
    assert equal(weights_of(whole), weights_of(cut))


@pytest.mark.parametrize("epoch", [1, 2])
def test_crash_between_best_and_last_checkpoint_changes_nothing(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    whole, spec = (training_spec(tmp_path / name, cache_dir) for name in ("whole", "crashed"))
    loop.train(whole, StopFlag())

    def crash(spec: TrainingSpec, network: Any, optimizer: Any, progress: checkpoint.Progress, *rest: Any) -> None:
        if progress.epoch == epoch:
            raise OSError("power cut")
        save(spec, network, optimizer, progress, *rest)

    save = checkpoint.save
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save", crash)
        with pytest.raises(OSError, match="power cut"):
            loop.train(spec, StopFlag())
    loop.train(spec, StopFlag())
    assert equal(weights_of(spec), weights_of(whole))
    assert result_of(spec)["metrics"] == result_of(whole)["metrics"]


class FullDisk(io.BytesIO):
    """A file that takes so much."""

    def write(self, block: Any) -> int:
        if self.tell() + len(block) > 100_000:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(block)


def test_full_disk_is_told_from_a_defect(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """torch raises an error of its own on top of the disk's; but nobody is charged for a full disk."""
    monkeypatch.setattr(durable, "write", lambda _path, writer: writer(FullDisk()))
    with pytest.raises(OSError) as caught:
        checkpoint.write_tensors(tmp_path / "best.pth", {"weights": torch.zeros(100_000)})
    assert caught.value.errno == errno.ENOSPC


def test_checkpoint_of_another_request_is_refused_and_training_starts_again(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path / "run", cache_dir, seed=1)
    loop.train(spec, StopFlag())
    other = training_spec(tmp_path / "run", cache_dir, seed=2)
    with structlog.testing.capture_logs() as events:
        loop.train(other, StopFlag())
    assert [event["reason"] for event in events if event["event"] == "checkpoint.refused"] == [
        "it belongs to another run"
    ]
    fresh = training_spec(tmp_path / "fresh", cache_dir, seed=2)
    loop.train(fresh, StopFlag())
    assert equal(weights_of(other), weights_of(fresh))


@pytest.mark.parametrize("damaged", ["checkpoint.pth", "best.pth"])
def test_damaged_checkpoint_costs_time_and_never_the_job(tmp_path: Path, cache_dir: Path, damaged: str) -> None:
    whole, spec = (training_spec(tmp_path / name, cache_dir) for name in ("whole", "damaged"))
    for one in (whole, spec):
        loop.train(one, StopFlag())
    (tmp_path / "damaged" / damaged).write_bytes(b"\0" * 1000)
    spec.result_path.unlink()
    loop.train(spec, StopFlag())
    assert equal(weights_of(spec), weights_of(whole))


def test_priority_does_not_make_a_checkpoint_anothers(tmp_path: Path, cache_dir: Path) -> None:
    loop.train(training_spec(tmp_path / "run", cache_dir), StopFlag())
    raised = training_spec(tmp_path / "run", cache_dir, priority=5)
    assert checkpoint.load(raised) is not None


def test_no_step_is_ever_taken_on_a_loss_that_is_not_finite(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heads = []  # two a step

    def explode(*_tensors: Tensor) -> Tensor:
        heads.append(1)
        return criterion(*_tensors) * (torch.nan if len(heads) == 3 else 1)

    updates = []

    class Watched(torch.optim.AdamW):
        def step(self, closure: Any = None) -> Any:
            updates.append(len(heads))
            return super().step(closure)

    criterion = build_criterion("cross_entropy")
    monkeypatch.setattr(run, "build_criterion", lambda _name: explode)
    monkeypatch.setattr(torch.optim, "AdamW", Watched)
    with pytest.raises(DataError) as caught:
        loop.train(training_spec(tmp_path / "run", cache_dir, optimizer="adamw"), StopFlag())
    (issue,) = caught.value.issues
    assert issue.code == "train.not_finite"
    assert "epoch 1, step 2" in issue.message
    assert updates == [2]


def test_no_step_is_ever_taken_on_gradients_that_are_not_finite(tmp_path: Path, cache_dir: Path) -> None:
    """A loss can be finite where its gradient is not."""
    spec, seen = training_spec(tmp_path / "run", cache_dir), []

    class Exploding(torch.nn.Module):
        def __init__(self, layer: torch.nn.Module) -> None:
            super().__init__()
            self.layer = layer

        def forward(self, features: Tensor) -> Tensor:
            answer: Tensor = self.layer(features)
            return answer + (answer - answer).sqrt()  # adds 0, whose gradient is infinite

    def exploding(architecture: str, num_classes: int) -> Any:
        model = build_tiny_model(architecture, num_classes)
        seen.extend([model, {key: value.clone() for key, value in model.named_parameters()}])
        model.network.classifier[4] = Exploding(model.network.classifier[4])
        return model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(run, "build_model", exploding)
        with pytest.raises(DataError) as caught:
            loop.train(spec, StopFlag())
    (issue,) = caught.value.issues
    assert issue.code == "train.not_finite"
    assert "gradients of epoch 1, step 1" in issue.message
    model, before = seen
    assert all(torch.equal(value, before[key.replace(".layer.", ".")]) for key, value in model.named_parameters())


def pretrained_spec(folder: Path, cache_dir: Path, **keys: Any) -> tuple[TrainingSpec, dict[str, Tensor]]:
    """A run from ``start.pth``, and what is in it."""
    torch.manual_seed(3)
    start = build_tiny_model("", 2)
    start.train()(torch.randn(8, 3, 32, 32))  # statistics of its own
    (folder / "models").mkdir(parents=True)
    torch.save(start.network.state_dict(), folder / "models" / "start.pth")
    spec = training_spec(folder / "run", cache_dir, pretrained="start.pth", **keys)
    return spec.model_copy(update={"weights_dirs": [folder / "models"]}), start.network.state_dict()


def test_pretrained_backbone_in_tiny_batches_keeps_its_statistics_through_stops(
    tmp_path: Path, cache_dir: Path
) -> None:
    whole, given = pretrained_spec(tmp_path / "whole", cache_dir, optimizer="sgd")
    halting, _ = pretrained_spec(tmp_path / "halting", cache_dir, optimizer="sgd")
    loop.train(whole, StopFlag())
    assert train_with_a_stop_after_each_step(halting) >= 6
    trained = weights_of(whole)
    assert equal(trained, weights_of(halting))
    for key in ("running_mean", "running_var"):
        assert torch.equal(trained[f"backbone.norm.{key}"], given[f"backbone.norm.{key}"])
        assert not torch.equal(trained[f"classifier.1.{key}"], given[f"classifier.1.{key}"])
    assert not torch.equal(trained["backbone.norm.weight"], given["backbone.norm.weight"])


@pytest.mark.parametrize("ema", [False, True])
def test_frozen_stages_are_delivered_as_they_were_given_through_stops(
    tmp_path: Path, cache_dir: Path, *, ema: bool
) -> None:
    keys = {"frozen_stages": 1, "batch_size": 8, "ema": ema}
    whole, given = pretrained_spec(tmp_path / "whole", cache_dir, **keys)
    halting, _ = pretrained_spec(tmp_path / "halting", cache_dir, **keys)
    loop.train(whole, StopFlag())
    assert train_with_a_stop_after_each_step(halting) >= 2
    assert equal(weights_of(whole), weights_of(halting))
    delivered = torch.load(whole.model_path, weights_only=True)["state_dict"]
    unchanged = {key for key, value in given.items() if torch.equal(delivered[key], value)}
    assert {key for key in given if key.startswith("backbone.")} == unchanged - {"classifier.1.num_batches_tracked"}
    assert result_of(whole)["issues"] == []


def test_stages_of_random_weights_are_not_frozen_and_the_answer_says_so(tmp_path: Path, cache_dir: Path) -> None:
    plain, asked = (training_spec(tmp_path / str(stages), cache_dir, frozen_stages=stages) for stages in (0, 1))
    loop.train(plain, StopFlag())
    loop.train(asked, StopFlag())
    assert equal(weights_of(plain), weights_of(asked))
    assert "weights.not_frozen" in {issue["code"] for issue in result_of(asked)["issues"]}


def test_weights_that_give_no_finite_validation_loss_are_never_delivered(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Poisoning(torch.optim.AdamW):
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.fill_(torch.inf)
            return super().step(closure)

    monkeypatch.setattr(torch.optim, "AdamW", Poisoning)
    spec = training_spec(tmp_path / "run", cache_dir, optimizer="adamw", batch_size=5)  # one step, then the validation
    with pytest.raises(DataError) as caught:
        loop.train(spec, StopFlag())
    (issue,) = caught.value.issues
    assert issue.code == "train.not_finite"
    assert "validation" in issue.message
    assert not spec.result_path.exists()


def test_best_epoch_is_the_one_delivered_and_the_later_of_equals(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = iter([0.5, 0.7, 0.7, 0.6])
    epochs = {}

    def scored(run: loop.Run, positions: list[int], stride: int) -> dict[str, Any]:
        measured = evaluate(run, positions, stride)
        if positions == run.reader.index.val:
            epochs[run.progress.epoch + 1] = {k: v.clone() for k, v in run.model.network.state_dict().items()}
            measured["mean_iou"] = next(scores)
        return measured

    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", scored)
    spec = training_spec(tmp_path / "run", cache_dir, epochs=4, validate_every=1)
    loop.train(spec, StopFlag())
    assert result_of(spec)["metrics"]["best_epoch"] == 3
    assert equal(torch.load(spec.model_path, weights_only=True)["state_dict"], epochs[3])


def score_validations(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """The mean IoU of each epoch's validation, in the place of what was measured."""

    def scored(current: run.Run, positions: list[int], stride: int) -> dict[str, Any]:
        measured = evaluate(current, positions, stride)
        if positions == current.reader.index.val:
            measured["mean_iou"] = scores[current.progress.epoch]
        return measured

    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", scored)


@pytest.mark.parametrize(
    ("patience", "scores", "epochs"),
    [
        (1, [0.5, 0.6, 0.6, 0.9, 0.9], 3),  # equal is not better
        (2, [0.5, 0.4, 0.6, 0.5, 0.5], 5),
        (2, [0.5, 0.4, 0.5, 0.9, 0.9], 3),
        (5, [0.5, 0.4, 0.3, 0.2, 0.1], 5),
        (None, [0.5, 0.5, 0.5, 0.5, 0.5], 5),
    ],
)
def test_patience_ends_the_run_and_what_was_done_is_told(
    tmp_path: Path,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    patience: int | None,
    scores: list[float],
    epochs: int,
) -> None:
    score_validations(monkeypatch, scores)
    whole, halting = (
        training_spec(tmp_path / name, cache_dir, epochs=5, early_stopping_patience=patience, validate_every=1)
        for name in ("whole", "halting")
    )
    loop.train(whole, StopFlag())
    train_with_a_stop_after_each_step(halting)
    metrics = result_of(whole)["metrics"]
    assert (metrics["epochs"], metrics["planned_epochs"], metrics["steps"]) == (epochs, 5, 3 * epochs)
    assert len(timeless(whole.history_path)) == epochs
    assert metrics["mean_iou"] == max(scores[:epochs])
    assert result_of(halting)["metrics"] == metrics
    assert equal(weights_of(whole), weights_of(halting))


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"validate_every": 2}, [1, 2, 4, 5]),
        ({"validate_every": 2, "output_stride": 16}, [1, 2, 4, 5]),
        ({}, [1, 3, 4, 5]),
        ({"validate_every": 2, "keep_checkpoints": True}, [1, 2, 3, 4, 5]),
        ({"validate_every": 2, "time_budget_minutes": 60}, [1, 2, 3, 4, 5]),
    ],
)
def test_only_the_epochs_that_are_due_are_validated_and_nothing_else_changes(
    tmp_path: Path, cache_dir: Path, keys: dict[str, Any], expected: list[int]
) -> None:
    often = training_spec(tmp_path / "often", cache_dir, epochs=5, **keys | {"validate_every": 1})
    whole, halting = (training_spec(tmp_path / name, cache_dir, epochs=5, **keys) for name in ("whole", "halting"))
    loop.train(often, StopFlag())
    loop.train(whole, StopFlag())
    train_with_a_stop_after_each_step(halting)
    rows, all_rows = timeless(whole.history_path), timeless(often.history_path)
    assert [int(row["epoch"]) for row in rows if row["mean_iou"]] == expected
    assert [row for row in rows if row["mean_iou"]] == [row for row in all_rows if int(row["epoch"]) in expected]
    assert [row["loss"] for row in rows] == [row["loss"] for row in all_rows]
    assert timeless(halting.history_path) == rows
    assert equal(weights_of(whole), weights_of(often))
    assert equal(weights_of(whole), weights_of(halting))
    assert result_of(whole)["metrics"] == result_of(halting)["metrics"]


@pytest.mark.parametrize(("patience", "epochs"), [(1, 4), (3, 6), (4, 6), (5, 8)])
def test_patience_ends_the_run_after_a_validation(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, patience: int, epochs: int
) -> None:
    score_validations(monkeypatch, [0.1, 0.5, *[0.4] * 6])
    keys = {"epochs": 8, "early_stopping_patience": patience, "validate_every": 2}
    spec = training_spec(tmp_path / "run", cache_dir, **keys)
    loop.train(spec, StopFlag())
    assert result_of(spec)["metrics"]["epochs"] == epochs
    assert result_of(spec)["metrics"]["best_epoch"] == 2


def test_averaged_weights_are_what_is_validated_selected_and_delivered(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And training goes on with the plain ones, as it would without."""
    score_validations(monkeypatch, [0.1, 0.2])
    plain, averaged = (training_spec(tmp_path / str(ema), cache_dir, ema=ema) for ema in (False, True))
    halting = training_spec(tmp_path / "halting", cache_dir, ema=True)
    loop.train(plain, StopFlag())
    loop.train(averaged, StopFlag())
    assert train_with_a_stop_after_each_step(halting) >= 6
    for key, value in weights_of(plain).items():
        if "running" not in key and "num_batches" not in key:  # those are estimated in what is validated
            assert torch.equal(weights_of(averaged)[key], value), key
    assert equal(weights_of(halting), weights_of(averaged))
    saved, again = (torch.load(spec.checkpoint_path, weights_only=True) for spec in (averaged, halting))
    assert equal(saved["average"], again["average"])
    assert not equal(saved["average"], saved["network"])
    delivered = torch.load(averaged.model_path, weights_only=True)["state_dict"]
    assert equal(delivered, saved["average"])
    assert result_of(averaged)["metrics"]["loss"] != result_of(plain)["metrics"]["loss"]
    assert result_of(halting)["metrics"] == result_of(averaged)["metrics"]
    assert timeless(halting.history_path) == timeless(averaged.history_path)


@pytest.mark.parametrize("ema", [False, True])
def test_every_epochs_weights_are_kept_and_give_what_was_measured(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch, *, ema: bool
) -> None:
    score_validations(monkeypatch, [0.9, 0.3, 0.2])
    spec = training_spec(tmp_path / "run", cache_dir, epochs=3, keep_checkpoints=True, ema=ema)
    train_with_a_stop_after_each_step(spec)
    paths = sorted(spec.checkpoints_dir.iterdir())
    assert [path.name for path in paths] == ["epoch-001.pth", "epoch-002.pth", "epoch-003.pth"]
    first, _, last = (torch.load(path, weights_only=True) for path in paths)
    model = torch.load(spec.model_path, weights_only=True)
    assert first.keys() == model.keys()
    assert equal(first["state_dict"], model["state_dict"])
    assert (last["metrics"]["epoch"], last["metrics"]["mean_iou"]) == (3, 0.2)
    saved = torch.load(spec.checkpoint_path, weights_only=True)
    assert equal(last["state_dict"], saved["average" if ema else "network"])


@pytest.mark.parametrize(("requested", "trained"), [("auto", [16, 8, 8]), (8, [8, 8, 8]), (16, [16, 16, 16])])
@pytest.mark.parametrize("ema", [False, True])
@pytest.mark.parametrize("best", [1, 3])
def test_epochs_are_trained_and_validated_at_their_stride_and_the_best_ones_is_delivered(
    tmp_path: Path,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    requested: Any,
    trained: list[int],
    *,
    ema: bool,
    best: int,
) -> None:
    monkeypatch.setattr(phases, "COARSE_SHARE", 0.5)
    strides: dict[str, list[int]] = {"train": [], "val": [], "statistics": []}

    def stride_of(model: Any) -> int:
        return int(model.network.backbone.conv.stride[0]) * 2

    def stepped(current: run.Run, batch: Any) -> float:
        strides["train"].append(stride_of(current.model))
        return train_step(current, batch)

    def evaluated(model: Any, *rest: Any) -> Any:
        strides["val"].append(stride_of(model))
        return evaluate(model, *rest)

    def estimated(model: Any, *rest: Any, **others: Any) -> None:
        strides["statistics"].append(stride_of(model))
        reestimate(model, *rest, **others)

    train_step, evaluate, reestimate = loop.train_step, validation.evaluation.evaluate, validation.reestimate_statistics

    def scored(current: run.Run, positions: list[int], stride: int) -> dict[str, Any]:
        return evaluated_split(current, positions, stride) | {"mean_iou": float(current.progress.epoch + 1 == best)}

    evaluated_split = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", scored)
    delivered = trained[best - 1]
    keys = {"epochs": 3, "output_stride": requested, "ema": ema}
    whole, halting = (training_spec(tmp_path / name, cache_dir, **keys) for name in ("whole", "halting"))
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", stepped)
        patch.setattr(validation.evaluation, "evaluate", evaluated)
        patch.setattr(validation, "reestimate_statistics", estimated)
        loop.train(whole, StopFlag())
    assert strides["train"] == [stride for stride in trained for _step in range(3)]
    assert strides["val"] == [*trained, delivered]  # each epoch, then the test split
    assert strides["statistics"] == trained
    assert torch.load(whole.model_path, weights_only=True)["output_stride"] == delivered
    assert result_of(whole)["metrics"]["output_stride"] == delivered
    assert [int(row["output_stride"]) for row in timeless(whole.history_path)] == trained
    train_with_a_stop_after_each_step(halting)
    assert equal(weights_of(whole), weights_of(halting))
    assert result_of(whole)["metrics"] == result_of(halting)["metrics"]


def test_progressive_size_trains_on_smaller_images_first_and_validates_at_full_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache_dir = write_cache(tmp_path / "cache", train=5, val=2, test=2, height=64, width=48)
    sizes: dict[str, list[tuple[int, ...]]] = {"train": [], "val": []}

    def stepped(current: run.Run, batch: Any) -> float:
        assert batch.images.shape[2:] == batch.masks.shape[1:]
        sizes["train"].append(tuple(batch.masks.shape[1:]))
        return train_step(current, batch)

    def evaluated(model: Any, *rest: Any) -> Any:
        hook = model.register_forward_pre_hook(lambda _model, given: sizes["val"].append(tuple(given[0].shape[2:])))
        try:
            return evaluate(model, *rest)
        finally:
            hook.remove()

    train_step, evaluate = loop.train_step, validation.evaluation.evaluate
    whole, halting = (
        training_spec(tmp_path / name, cache_dir, epochs=4, progressive_size=True) for name in ("whole", "halting")
    )
    with monkeypatch.context() as patch:
        patch.setattr(loop, "train_step", stepped)
        patch.setattr(validation.evaluation, "evaluate", evaluated)
        loop.train(whole, StopFlag())
    assert sizes["train"] == [(48, 32)] * 3 + [(64, 48)] * 9
    assert set(sizes["val"]) == {(64, 48)}
    assert [row["image_size"] for row in timeless(whole.history_path)] == ["48x32", "64x48", "64x48", "64x48"]
    train_with_a_stop_after_each_step(halting)
    assert equal(weights_of(whole), weights_of(halting))
    assert result_of(whole)["metrics"] == result_of(halting)["metrics"]


def test_what_an_earlier_attempt_kept_is_no_part_of_a_run_that_starts_again(tmp_path: Path, cache_dir: Path) -> None:
    loop.train(training_spec(tmp_path / "run", cache_dir, epochs=3, keep_checkpoints=True), StopFlag())
    again = training_spec(tmp_path / "run", cache_dir, epochs=1, keep_checkpoints=True)
    loop.train(again, StopFlag())
    assert [path.name for path in again.checkpoints_dir.iterdir()] == ["epoch-001.pth"]


def test_without_being_asked_no_epoch_is_kept(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    loop.train(spec, StopFlag())
    assert not spec.checkpoints_dir.exists()


def test_test_split_is_evaluated_once_with_the_best_weights(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []

    def watched(run: loop.Run, positions: list[int], stride: int) -> dict[str, Any]:
        if positions == run.reader.index.test:
            seen.append({key: value.clone() for key, value in run.model.network.state_dict().items()})
        return evaluate(run, positions, stride)

    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", watched)
    spec = training_spec(tmp_path / "run", cache_dir)
    loop.train(spec, StopFlag())
    (weights,) = seen
    assert equal(weights, torch.load(spec.model_path, weights_only=True)["state_dict"])
    assert result_of(spec)["metrics"]["test"]["mean_iou"] >= 0


def test_without_a_test_split_there_is_no_test_metric(tmp_path: Path) -> None:
    spec = training_spec(tmp_path / "run", write_cache(tmp_path / "cache", train=2, val=1))
    loop.train(spec, StopFlag())
    assert "test" not in result_of(spec)["metrics"]


@pytest.mark.parametrize(("train", "batch_size"), [(1, 4), (3, 2), (5, 4), (2, 1)])
def test_small_and_uneven_sets_train(tmp_path: Path, train: int, batch_size: int) -> None:
    cache = write_cache(tmp_path / "cache", train=train, val=1)
    spec = training_spec(tmp_path / "run", cache, batch_size=batch_size)
    loop.train(spec, StopFlag())
    assert result_of(spec)["metrics"]["steps"] == 2 * -(-train // batch_size)


def test_training_learns(tmp_path: Path) -> None:
    cache = write_cache(tmp_path / "cache", train=16, val=4)
    spec = training_spec(tmp_path / "run", cache, epochs=30, batch_size=4, learning_rate=0.02)
    loop.train(spec, StopFlag())
    rows = timeless(spec.history_path)
    assert float(rows[-1]["loss"]) < float(rows[0]["loss"]) / 2
    metrics = result_of(spec)["metrics"]
    assert metrics["mean_iou"] > metrics["baseline"]["mean_iou"] + 0.1
    assert result_of(spec)["issues"] == []


def test_model_that_answers_with_one_class_is_warned_about(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def biased(architecture: str, num_classes: int) -> Any:
        model = build_tiny_model(architecture, num_classes)
        model.network.classifier[4].bias.data[0] = 100.0
        return model

    monkeypatch.setattr(run, "build_model", biased)
    spec = training_spec(tmp_path / "run", cache_dir)
    loop.train(spec, StopFlag())
    (issue,) = result_of(spec)["issues"]
    assert issue["code"] == "train.one_class"
    assert "background" in issue["message"]


def test_batchnorm_is_reestimated_in_short_runs_only(
    tmp_path: Path, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def validations_with(short_run_steps: int, name: str) -> int:
        calls = []
        with monkeypatch.context() as patch:
            patch.setattr(validation, "_SHORT_RUN_STEPS", short_run_steps)
            patch.setattr(validation, "reestimate_statistics", lambda *_, **__: calls.append(1))
            loop.train(training_spec(tmp_path / name, cache_dir, epochs=3), StopFlag())  # 3 steps each
        return len(calls)

    assert validations_with(200, "short") == 3
    assert validations_with(6, "middle") == 1
    assert validations_with(0, "long") == 0


def test_events_tell_epochs_checkpoints_and_resumption(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path / "run", cache_dir)
    with structlog.testing.capture_logs() as events, pytest.raises(StoppedError):
        loop.train(spec, StopAt(2))
    assert [event["event"] for event in events] == ["train.planned", "checkpoint.saved"]
    with structlog.testing.capture_logs() as events:
        loop.train(spec, StopFlag())
    assert [event["event"] for event in events] == [
        "job.resumed",
        "train.planned",
        *["epoch.finished", "checkpoint.saved"] * 2,
    ]
    finished = next(event for event in events if event["event"] == "epoch.finished")
    assert {"epoch", "loss", "mean_iou", "seconds", "images_per_second"} <= finished.keys()
