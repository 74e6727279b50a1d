"""A run that has its result already is refused before its first step, by the weights that are there then."""

import json
from pathlib import Path
from typing import Any

import pytest

from builders.training import start_training, training_spec
from segdrop import weights_files
from segdrop.errors import DataError, Exit
from segdrop.spec import TrainingSpec
from segdrop.training.question import fingerprint_of, new_start


@pytest.fixture
def spec(tmp_path: Path) -> TrainingSpec:
    spec = training_spec(tmp_path / "run", tmp_path / "cache", pretrained="mine.pth")
    (models,) = spec.weights_dirs
    models.mkdir()
    (models / "mine.pth").write_bytes(b"one")
    return spec


def answered(spec: TrainingSpec, *, by: Path, **changes: Any) -> TrainingSpec:
    found = fingerprint_of(spec, weights_files.sha256(by))
    return spec.model_copy(update={"answered": {found: "earlier-1"}} | changes)


def test_result_of_the_same_weights_is_an_answer_and_of_others_is_none(spec: TrainingSpec, tmp_path: Path) -> None:
    mine, other = spec.weights_dirs[0] / "mine.pth", tmp_path / "other.pth"
    other.write_bytes(b"two")
    new_start(answered(spec, by=other))
    with pytest.raises(DataError) as caught:
        new_start(answered(spec, by=mine))
    (issue,) = caught.value.issues
    assert (issue.code, issue.files) == ("job.duplicate", ("earlier-1",))


def test_run_that_has_begun_is_not_compared_any_more(spec: TrainingSpec) -> None:
    spec.checkpoint_path.touch()
    assert new_start(answered(spec, by=spec.weights_dirs[0] / "mine.pth")) is None


def test_question_is_what_was_asked_also_with_half_the_batch(spec: TrainingSpec) -> None:
    halved = spec.model_copy(update={"request": spec.request.with_half_the_batch(), "asked": spec.request})
    assert fingerprint_of(halved, None) == fingerprint_of(spec, None)


def test_child_answers_with_the_earlier_job(spec: TrainingSpec) -> None:
    """There is no dataset: nothing else was looked at."""
    child = start_training(answered(spec, by=spec.weights_dirs[0] / "mine.pth"))
    _, lines = child.communicate(timeout=60)
    assert child.returncode == Exit.DATA, lines
    (issue,) = json.loads(spec.error_path.read_bytes())["issues"]
    assert (issue["code"], issue["files"]) == ("job.duplicate", ["earlier-1"])
