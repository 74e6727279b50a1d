import json
from typing import Any

import pytest
from pydantic import TypeAdapter

from builders import json_schema
from builders.results import CLAIMED_AT, compose, metrics, trained, training
from builders.results import report as clean_report
from builders.spool import job_record
from segdrop import __version__
from segdrop.answers import PackedResult
from segdrop.codes import Code
from segdrop.dataset.report import CheckReport
from segdrop.errors import Issue
from segdrop.request import TrainRequest
from segdrop.results import result, summary
from segdrop.results.result import Result
from segdrop.spool.job import JobState, Outcome

CHECK_ISSUE = Issue.of(Code.PAIR_MISSING_MASK, "a.png has no mask", files=["a.png"])
TRAINING_ISSUE = Issue.of(Code.WEIGHTS_NONE, "random weights")
OWN_ISSUE = Issue.of(Code.TRAIN_CRASHED, "ended by SIGKILL")
PUBLIC = {
    *("job", "task", "status", "request", "input", "result", "dataset", "metrics", "issues", "timing", "attempts"),
    *("peak_rss_bytes", "environment", "finished_at", "schema_version"),
}
TIMES = {"queued_seconds", "prepare_seconds", "train_seconds", "train_images_per_second", "total_seconds"}


def report(**changes: Any) -> CheckReport:
    return clean_report(issues=[CHECK_ISSUE], **changes)


TRAINING = training(issues=[TRAINING_ISSUE])


def test_a_success_says_everything_in_the_public_words() -> None:
    found = compose(trained(), Outcome.SUCCEEDED, report=report(), answer=TRAINING).to_json()
    assert set(found) == PUBLIC
    assert (found["status"], found["job"], found["task"]) == ("succeeded", trained().id, "train")
    assert found["input"] == {"name": "a.zip", "bytes": 3, "sha256": "ab"}
    assert found["dataset"]["classes"] == ["a", "b"]
    assert found["metrics"] == metrics().to_json()
    assert found["metrics"]["baseline"] == {"class": "a", "pixel_accuracy": 0.5, "mean_iou": 0.25}
    assert found["timing"] == {
        "queued_seconds": 5.5,
        "prepare_seconds": 4.25,
        "train_seconds": 9.0,
        "train_images_per_second": 3.5,
        "first_step_seconds": 0.4,
        "total_seconds": 60.0,
    }
    assert (found["attempts"], found["peak_rss_bytes"], found["environment"]) == (2, 99, {"torch": "2"})
    assert found["finished_at"] == "2026-11-21T06:16:00+00:00"
    assert found["result"] is None
    json.dumps(found, allow_nan=False)


def test_issues_of_check_training_and_daemon_come_together_in_that_order() -> None:
    found = compose(trained(), Outcome.FAILED, report=report(), answer=TRAINING, issues=[OWN_ISSUE])
    assert [issue.code for issue in found.issues] == ["pair.missing_mask", "weights.none", "train.crashed"]
    assert set(found.to_json()["issues"][0]) >= {"code", "severity", "files", "count", "message", "fix"}


def test_what_was_noticed_in_the_inbox_is_in_the_answer_after_what_was_found() -> None:
    noticed = Issue.of(
        Code.REQUEST_LATE, "a.json came after a.zip had been claimed, and was not used", files=["a.json"]
    )
    job = trained().evolve(JobState.COMPUTED, issues=(noticed,))
    found = compose(job, Outcome.FAILED, report=report(), issues=[OWN_ISSUE])
    assert [issue.code for issue in found.issues] == ["pair.missing_mask", "train.crashed", "request.late"]
    assert found.issues[-1] == noticed


def test_a_zip_that_was_never_read_has_an_answer_of_the_same_form() -> None:
    issue = Issue.of(Code.ARCHIVE_NOT_A_ZIP, "a.zip does not begin like a ZIP", files=["a.zip"])
    found = compose(job_record(), Outcome.REJECTED, issues=[issue]).to_json()
    assert set(found) == PUBLIC
    assert found["status"] == "rejected"
    assert (found["request"], found["dataset"], found["metrics"], found["peak_rss_bytes"]) == (None, None, None, None)
    assert found["input"] == {"name": "a.zip", "bytes": 3, "sha256": None}
    assert set(found["timing"]) == TIMES
    assert found["timing"]["total_seconds"] == 60
    assert found["environment"] == {"segdrop": __version__}


def test_a_clock_that_was_set_back_gives_no_negative_times() -> None:
    job = trained().evolve(JobState.COMPUTED, queued_at=CLAIMED_AT + 100)
    found = compose(job, Outcome.SUCCEEDED, now=CLAIMED_AT - 3600)
    assert all(value >= 0 for value in found.to_json()["timing"].values())


def test_a_retry_names_the_job_that_it_repeats() -> None:
    assert "retry_of" not in compose(trained(), Outcome.SUCCEEDED).to_json()
    assert compose(job_record(retry_of="a-1"), Outcome.FAILED).to_json()["retry_of"] == "a-1"


def test_the_result_is_added_and_nothing_else_changes() -> None:
    before = compose(trained(), Outcome.SUCCEEDED, report=report(), answer=TRAINING)
    after = summary.with_result(before, "a-1.zip", PackedResult(bytes=5, sha256="cd"))
    assert after.to_json()["result"] == {"name": "a-1.zip", "bytes": 5, "sha256": "cd"}
    assert after.to_json() | {"result": None} == before.to_json()
    assert before.result is None


def test_request_and_fingerprint_are_those_that_the_training_states() -> None:
    done = TrainRequest(batch_size=2).resolved()
    stated = training(request=done, fingerprint="f")
    found = compose(trained(), Outcome.SUCCEEDED, report=report(), answer=stated)
    assert (found.request, found.fingerprint) == (done, "f")
    unknown = compose(trained(), Outcome.SUCCEEDED, report=report(), answer=training(fingerprint=None))
    assert "fingerprint" not in unknown.to_json()


@pytest.mark.parametrize(("asked", "done"), [(8, 4), (3, 1), (1, 1)])
def test_halved_batch_is_stated_also_where_the_training_left_no_answer(asked: int, done: int) -> None:
    request = TrainRequest(batch_size=asked).resolved()
    job = trained().evolve(JobState.COMPUTED, halved=True)
    found = compose(job, Outcome.FAILED, report=report(request=request), issues=[OWN_ISSUE])
    assert found.request == request.model_copy(update={"batch_size": done})
    stated = [issue.code for issue in found.issues]
    assert stated == ["pair.missing_mask", *(["train.batch_halved"] if asked != done else []), "train.crashed"]


# the schema


def conforming() -> dict[str, Result]:
    """A result of each outcome, with as much as each can know."""
    whole = compose(job_record(retry_of="a-1"), Outcome.SUCCEEDED, report=report(), answer=training(fingerprint="f"))
    found = {str(outcome): compose(trained(), outcome, report=report()) for outcome in Outcome}
    found["succeeded"] = summary.with_result(whole, "a.zip", PackedResult(bytes=5, sha256="cd"))
    found["duplicate"] = summary.duplicate(found["duplicate"], "a-1")
    found["unread"] = compose(job_record(), Outcome.REJECTED, issues=[OWN_ISSUE])
    return found


@pytest.mark.parametrize("name", conforming())
def test_result_of_each_outcome_conforms_to_the_schema(name: str) -> None:
    content = json.loads(json.dumps(conforming()[name].to_json()))
    assert json_schema.faults(content, result.json_schema()) == []
    assert TypeAdapter(Result).validate_json(json.dumps(content)).to_json() == content, (
        "read and written again, it is the same"
    )


@pytest.mark.parametrize(
    "change",
    [
        {"status": "done"},
        {"task": "predict"},
        {"job": None},
        {"result": {"name": "a.zip"}},
        {"request": {"level": 1}},
        {"issues": [{"code": "no.such"}]},
        {"metrics": {"mean_iou": "good"}},
    ],
)
def test_schema_refuses_what_is_no_result(change: dict[str, Any]) -> None:
    content = json.loads(json.dumps(conforming()["succeeded"].to_json()))
    assert json_schema.faults(content | change, result.json_schema())
