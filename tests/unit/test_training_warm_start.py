"""A run that goes on from an earlier model: epoch 0, what is said about it, and that it resumes like any other."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
import structlog
import torch
from torch import Tensor

from builders.kept import OWNER, job_id, keep, put_result
from builders.networks import build_tiny_model
from builders.spool import fresh_root
from builders.training import CLASSES, training_spec, write_cache
from segdrop import fingerprint, pretrained
from segdrop.child_runtime import StopFlag
from segdrop.errors import DataError, StoppedError
from segdrop.spec import TrainingSpec
from segdrop.spool.layout import RootLayout
from segdrop.training import checkpoint, loop, planning, question, run
from segdrop.training.optim import recipes
from segdrop.training.timing.speed import Speed

pytestmark = pytest.mark.usefixtures("tiny_model", "known_speed")


@pytest.fixture
def known_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = dict.fromkeys(("8", "16"), 0.1)
    monkeypatch.setattr(planning, "rehearse", lambda _run: Speed(seconds, seconds, 0.1))


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("data") / "cache", train=3, val=1)


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    return fresh_root(tmp_path)


def earlier_model(layout: RootLayout, number: int = 1, seed: int = 3, **changes: Any) -> dict[str, Tensor]:
    """The result of an earlier job, and its weights."""
    torch.manual_seed(seed)
    model = build_tiny_model("", 2)
    model.train()(torch.randn(8, 3, 32, 32))  # statistics of its own
    path = layout.root / "model.pth"
    torch.save({"state_dict": model.network.state_dict(), "output_stride": 16}, path)
    keep(layout, number, model=path.read_bytes(), **changes)
    return model.network.state_dict()


def warm_spec(layout: RootLayout, folder: str, cache_dir: Path, **keys: Any) -> TrainingSpec:
    spec = training_spec(layout.root / "runs" / folder, cache_dir, **{"pretrained": job_id(1)} | keys)
    metadata = spec.metadata.model_copy(update={"input_name": "CamVid.zip"})
    places = {"outbox_dir": layout.outbox, "done_dir": layout.done, "owner": OWNER}
    return spec.model_copy(update={"metadata": metadata} | places)


def result_of(spec: TrainingSpec) -> dict[str, Any]:
    return dict(json.loads(spec.result_path.read_bytes()))


def codes_of(spec: TrainingSpec) -> set[str]:
    return {issue["code"] for issue in result_of(spec)["issues"]}


def rows_of(spec: TrainingSpec) -> list[dict[str, str]]:
    """The history, less what the clock says."""
    rows = csv.DictReader(spec.history_path.read_text().splitlines())
    return [{key: row[key] for key in row if key not in ("seconds", "images_per_second")} for row in rows]


def last_state(spec: TrainingSpec) -> dict[str, Tensor]:
    content = torch.load(spec.checkpoint_path, weights_only=True)
    return dict(content["network"] | (content["average"] or {}))


def equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def score(monkeypatch: pytest.MonkeyPatch, scores: list[float]) -> None:
    """The mean IoU of the start and of each epoch, in the place of what was measured."""

    def scored(current: run.Run, positions: list[int], stride: int) -> dict[str, Any]:
        epoch = current.progress.epoch + 1 if current.progress.start is not None else 0
        return evaluate(current, positions, stride) | {"mean_iou": scores[epoch]}

    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", scored)


def test_start_is_validated_as_it_was_delivered_and_is_epoch_0(
    layout: RootLayout, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, seen = earlier_model(layout), []

    def watched(current: run.Run, positions: list[int], stride: int) -> dict[str, Any]:
        seen.append(({k: v.clone() for k, v in current.model.network.state_dict().items()}, positions, stride))
        return evaluate(current, positions, stride)

    evaluate = loop.evaluate
    monkeypatch.setattr(loop, "evaluate", watched)
    spec = warm_spec(layout, "run", cache_dir, output_stride=8)
    loop.train(spec, StopFlag())
    state, positions, stride = seen[0]
    assert equal(state, given)
    assert (positions, stride) == ([3], 16), "at the stride of the earlier model, whatever is asked for now"
    first, *epochs = rows_of(spec)
    start = result_of(spec)["metrics"]["start"]
    assert (first["epoch"], first["output_stride"], first["loss"], first["learning_rate"]) == ("0", "16", "", "")
    assert float(first["mean_iou"]) == start["mean_iou"]
    assert float(first["val_loss"]) == start["loss"]
    assert start["per_class"].keys() == set(CLASSES)
    assert [row["epoch"] for row in epochs] == ["1", "2"]
    assert torch.load(spec.model_path, weights_only=True)["metrics"]["start"]["mean_iou"] == start["mean_iou"]


def test_what_the_run_started_from_is_in_its_result(layout: RootLayout, cache_dir: Path) -> None:
    earlier_model(layout)
    spec = warm_spec(layout, "run", cache_dir)
    loop.train(spec, StopFlag())
    metrics = result_of(spec)["metrics"]
    assert metrics["initialisation_job"] == job_id(1)
    assert job_id(1) in metrics["initialisation"]
    assert "model.classes_matched" in codes_of(spec)


def test_other_starts_have_no_epoch_0(layout: RootLayout, cache_dir: Path) -> None:
    spec = warm_spec(layout, "run", cache_dir, pretrained="none")
    loop.train(spec, StopFlag())
    assert [row["epoch"] for row in rows_of(spec)] == ["1", "2"]
    assert result_of(spec)["metrics"].keys().isdisjoint({"start", "initialisation_job"})


@pytest.mark.parametrize(
    ("scores", "best", "is_warned"),
    [([0.5, 0.4, 0.6], 2, False), ([0.5, 0.4, 0.3], 1, True), ([0.5, 0.5, 0.4], 1, True)],
)
def test_best_epoch_is_delivered_and_where_it_is_no_better_the_answer_says_to_keep_the_earlier_model(
    layout: RootLayout,
    cache_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
    scores: list[float],
    best: int,
    is_warned: bool,
) -> None:
    given = earlier_model(layout)
    score(monkeypatch, scores)
    spec = warm_spec(layout, "run", cache_dir, validate_every=1)
    loop.train(spec, StopFlag())
    assert result_of(spec)["metrics"]["best_epoch"] == best
    assert not equal(torch.load(spec.model_path, weights_only=True)["state_dict"], given)
    warnings = [i for i in result_of(spec)["issues"] if i["code"] == "train.no_better_than_start"]
    assert len(warnings) == is_warned
    for issue in warnings:
        assert job_id(1) in issue["message"]
        assert "Keep the earlier model" in issue["fix"]


def test_patience_counts_from_the_start(layout: RootLayout, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier_model(layout)
    score(monkeypatch, [0.9, 0.1, 0.2, 0.3, 0.4, 0.5])
    spec = warm_spec(layout, "run", cache_dir, epochs=5, early_stopping_patience=2, validate_every=1)
    loop.train(spec, StopFlag())
    metrics = result_of(spec)["metrics"]
    assert (metrics["epochs"], metrics["best_epoch"]) == (2, 2)


class StopAt(StopFlag):
    """Set when it is looked at for the n-th time; counts how often it was."""

    def __init__(self, look: int | None = None) -> None:
        super().__init__()
        self.looks = 0
        self._look = look

    def __bool__(self) -> bool:
        self.looks += 1
        return self.looks == self._look


@pytest.mark.parametrize("keys", [{}, {"ema": True, "epochs": 1}], ids=str)
def test_run_stopped_anywhere_ends_as_the_uninterrupted_one_to_the_bit(
    layout: RootLayout, cache_dir: Path, keys: dict[str, Any]
) -> None:
    """Also where the earlier result is gone by then: from epoch 0 on, it is not needed any more."""
    earlier_model(layout)
    whole, counter = warm_spec(layout, "whole", cache_dir, **keys), StopAt()
    loop.train(whole, counter)
    result = layout.published_zip(job_id(1)).read_bytes()
    for look in range(1, counter.looks + 1):
        spec = warm_spec(layout, f"stopped-{look}", cache_dir, **keys)
        with pytest.raises(StoppedError):
            loop.train(spec, StopAt(look))
        if spec.checkpoint_path.exists():
            layout.published_zip(job_id(1)).unlink()
        else:
            assert look == 1, "only what is stopped in epoch 0 starts anew"
        loop.train(spec, StopFlag())
        layout.published_zip(job_id(1)).write_bytes(result)
        assert equal(last_state(spec), last_state(whole)), f"stopped at look {look}"
        assert rows_of(spec) == rows_of(whole)
        assert result_of(spec)["metrics"] == result_of(whole)["metrics"]
        assert result_of(spec)["fingerprint"] == result_of(whole)["fingerprint"]


def crash_in_the_first_step(spec: TrainingSpec) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "train_step", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            loop.train(spec, StopFlag())


def test_epoch_0_is_not_measured_again_after_a_crash(layout: RootLayout, cache_dir: Path) -> None:
    earlier_model(layout)
    spec = warm_spec(layout, "run", cache_dir)
    crash_in_the_first_step(spec)
    with structlog.testing.capture_logs() as events:
        loop.train(spec, StopFlag())
    names = [event["event"] for event in events]
    assert names[0] == "job.resumed"
    assert "start.validated" not in names


def test_best_weights_of_an_attempt_from_another_start_are_not_taken_for_this_ones(
    layout: RootLayout, cache_dir: Path
) -> None:
    earlier_model(layout, 1)
    spec = warm_spec(layout, "run", cache_dir, pretrained="previous")
    loop.train(spec, StopFlag())
    assert checkpoint.best_path(spec).exists()
    spec.checkpoint_path.unlink()
    earlier_model(layout, 2, seed=4)
    crash_in_the_first_step(spec)
    assert not checkpoint.best_path(spec).exists()


def test_previous_is_resolved_when_the_run_begins_and_recorded(layout: RootLayout, cache_dir: Path) -> None:
    earlier_model(layout, 1)
    newest = earlier_model(layout, 2, seed=4)
    spec = warm_spec(layout, "run", cache_dir, pretrained="previous")
    built = run.build(spec, StopFlag(), loop.CacheReader(cache_dir))
    assert built.initialisation.job == job_id(2)
    assert equal(dict(built.model.network.state_dict()), newest)


def test_first_of_a_series_is_trained_as_with_auto_and_says_so(layout: RootLayout, cache_dir: Path) -> None:
    first, plain = (warm_spec(layout, name, cache_dir, pretrained=name) for name in ("previous", "auto"))
    for spec in (first, plain):
        loop.train(spec, StopFlag())
    assert equal(last_state(first), last_state(plain))
    assert codes_of(first) == codes_of(plain) | {"model.no_previous"}


def test_model_that_was_exchanged_in_the_outbox_is_refused(layout: RootLayout, cache_dir: Path) -> None:
    earlier_model(layout)
    put_result(layout.published_zip(job_id(1)), b"another")
    spec = warm_spec(layout, "run", cache_dir)
    with pytest.raises(DataError) as caught:
        loop.train(spec, StopFlag())
    assert [issue.code for issue in caught.value.issues] == ["model.changed"]
    assert not spec.checkpoint_path.exists()


def test_validation_images_that_the_earlier_model_learnt_from_are_a_warning(
    layout: RootLayout, cache_dir: Path
) -> None:
    earlier_model(layout, train=("images/0.png", "images/3.png"))
    spec = warm_spec(layout, "run", cache_dir)
    loop.train(spec, StopFlag())
    (issue,) = [i for i in result_of(spec)["issues"] if i["code"] == "model.knows_validation"]
    assert issue["files"] == ["images/3.png"]


def test_run_on_one_image_asks_something_else_and_has_no_epoch_0(
    layout: RootLayout, cache_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    earlier_model(layout)
    monkeypatch.setattr(loop.sanity, "_EPOCHS", 1)
    monkeypatch.setattr(loop.sanity, "_EPOCH_STEPS", 1)
    spec = warm_spec(layout, "run", cache_dir, mode="sanity")
    with structlog.testing.capture_logs() as events, pytest.raises(DataError, match=r"train\.sanity_failed"):
        loop.train(spec, StopFlag())
    assert "start.validated" not in [event["event"] for event in events]


def answered_by(spec: TrainingSpec, sha256: str, job: str) -> TrainingSpec:
    found = question.fingerprint_of(spec, pretrained.model_identity(sha256))
    return spec.model_copy(update={"answered": {found: job}})


def test_same_input_with_previous_is_a_duplicate_only_from_the_same_model(layout: RootLayout, cache_dir: Path) -> None:
    """Each training is the previous one of the next: a series of the same ZIP goes on."""
    first = keep(layout, 1, model=b"one")
    spec = warm_spec(layout, "run", cache_dir, pretrained="previous")
    answered = answered_by(spec, first.sha256, job_id(2))
    with pytest.raises(DataError) as caught:
        question.new_start(answered)
    assert [(issue.code, issue.files) for issue in caught.value.issues] == [("job.duplicate", (job_id(2),))]
    second = keep(layout, 2, model=b"two")
    start = question.new_start(answered)
    assert start is not None
    assert start.model == second


def test_fingerprint_of_the_result_is_the_one_that_a_later_job_is_compared_with(
    layout: RootLayout, cache_dir: Path
) -> None:
    earlier_model(layout)
    spec = warm_spec(layout, "run", cache_dir)
    loop.train(spec, StopFlag())
    start = question.start_of(spec)
    identity = start.identity("deeplabv3_resnet50", spec.weights_dirs)
    assert result_of(spec)["fingerprint"] == question.fingerprint_of(spec, identity)
    by_check = fingerprint.of(spec.metadata.input_sha256, spec.request.model_dump(mode="json"), identity)
    assert by_check == result_of(spec)["fingerprint"]


def test_earlier_model_learns_at_the_rates_of_pretrained_weights(layout: RootLayout, cache_dir: Path) -> None:
    """Its statistics are kept likewise, where batches are tiny."""
    earlier_model(layout)
    built = run.build(warm_spec(layout, "run", cache_dir), StopFlag(), loop.CacheReader(cache_dir))
    assert built.recipe is recipes.RECIPES["adamw"]
    shares = {group["rate_share"] for group in built.optimizer.param_groups}
    assert shares == {1.0, built.recipe.encoder_share}
    assert built.keeps_statistics
