import json
from typing import Any

import pytest

from builders.spool import WALL, job_record
from segdrop import __version__
from segdrop.dataset.report import CheckReport, DatasetSummary
from segdrop.delivery import summary
from segdrop.errors import Issue
from segdrop.spool.job import Job, JobState, Outcome

CLAIMED_AT = WALL.timestamp()
CHECK_ISSUE = Issue.of("pair.missing_mask", "a.png has no mask", files=["a.png"])
TRAINING_ISSUE = Issue.of("weights.none", "random weights")
OWN_ISSUE = Issue.of("train.crashed", "ended by SIGKILL")
PUBLIC = {
    *("job", "task", "status", "request", "input", "result", "dataset", "metrics", "issues", "timing", "attempts"),
    *("peak_rss_bytes", "environment", "finished_at", "schema_version"),
}
TIMES = {"queued_seconds", "prepare_seconds", "train_seconds", "train_images_per_second", "total_seconds"}


def dataset() -> DatasetSummary:
    values: dict[str, Any] = {
        "layout": "paired",
        "reason": "images/ and masks/",
        "pairs": 3,
        "train": 2,
        "val": 1,
        "test": 0,
        "num_classes": 2,
        "classes": ["a", "b"],
        "mask_values": [0, 1],
        "ignore_index": None,
        "mask_encoding": "ids",
        "split": "made",
        "image_size": [32, 32],
        "class_pixels": [1, 2],
        "ignored_pixels": 0,
        "assumptions": ["so"],
    }
    return DatasetSummary(**values)


def report(**changes: Any) -> CheckReport:
    values: dict[str, Any] = {
        "input_bytes": 3,
        "input_sha256": "ab",
        "changed_while_read": False,
        "request": {"task": "train"},
        "issues": [CHECK_ISSUE.to_json()],
        "dataset": dataset(),
        "peak_rss_bytes": 7,
        "seconds": 1.0,
    }
    return CheckReport(**(values | changes))


def finished() -> Job:
    return job_record(
        state=JobState.TRAINED,
        queued_at=CLAIMED_AT + 10,
        started_at=CLAIMED_AT + 15.5,
        prepare_seconds=4.25,
        attempts=2,
    )


TRAINING = {
    "metrics": {"mean_iou": 0.5},
    "issues": [TRAINING_ISSUE.to_json()],
    "timing": {"train_seconds": 9.0, "train_images_per_second": 3.5, "first_step_seconds": 0.4},
    "peak_rss_bytes": 99,
    "environment": {"torch": "2"},
}


def compose(job: Job, outcome: Outcome, **parts: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {"report": None, "training": None, "issues": [], "now": CLAIMED_AT + 60}
    return summary.compose(job, outcome, **(arguments | parts))


def test_a_success_says_everything_in_the_public_words() -> None:
    found = compose(finished(), Outcome.SUCCEEDED, report=report(), training=TRAINING)
    assert set(found) == PUBLIC
    assert (found["status"], found["job"], found["task"]) == ("succeeded", finished().id, "train")
    assert found["input"] == {"name": "a.zip", "bytes": 3, "sha256": "ab"}
    assert found["dataset"]["classes"] == ["a", "b"]
    assert found["metrics"] == {"mean_iou": 0.5}
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
    found = compose(finished(), Outcome.FAILED, report=report(), training=TRAINING, issues=[OWN_ISSUE])
    assert [issue["code"] for issue in found["issues"]] == ["pair.missing_mask", "weights.none", "train.crashed"]
    assert set(found["issues"][0]) >= {"code", "severity", "files", "count", "message", "fix"}


def test_a_zip_that_was_never_read_has_an_answer_of_the_same_form() -> None:
    issue = Issue.of("archive.not_a_zip", "a.zip does not begin like a ZIP", files=["a.zip"])
    found = compose(job_record(), Outcome.REJECTED, issues=[issue])
    assert set(found) == PUBLIC
    assert found["status"] == "rejected"
    assert (found["request"], found["dataset"], found["metrics"], found["peak_rss_bytes"]) == (None, None, None, None)
    assert found["input"] == {"name": "a.zip", "bytes": 3, "sha256": None}
    assert set(found["timing"]) == TIMES
    assert found["timing"]["total_seconds"] == 60
    assert found["environment"] == {"segdrop": __version__}


def test_a_clock_that_was_set_back_gives_no_negative_times() -> None:
    job = finished().evolve(JobState.TRAINED, queued_at=CLAIMED_AT + 100)
    found = compose(job, Outcome.SUCCEEDED, now=CLAIMED_AT - 3600)
    assert all(value >= 0 for value in found["timing"].values())


def test_a_retry_names_the_job_that_it_repeats() -> None:
    assert "retry_of" not in compose(finished(), Outcome.SUCCEEDED)
    assert compose(job_record(retry_of="a-1"), Outcome.FAILED)["retry_of"] == "a-1"


def test_the_result_is_added_and_nothing_else_changes() -> None:
    before = compose(finished(), Outcome.SUCCEEDED, report=report(), training=TRAINING)
    after = summary.with_result(before, "a-1.zip", {"bytes": 5, "sha256": "cd"})
    assert after["result"] == {"name": "a-1.zip", "bytes": 5, "sha256": "cd"}
    assert after | {"result": None} == before
    assert before["result"] is None


@pytest.mark.parametrize("outcome", list(Outcome))
def test_each_outcome_is_a_public_status(outcome: Outcome) -> None:
    status = compose(finished(), outcome)["status"]
    assert status in {"succeeded", "failed", "rejected", "cancelled", "duplicate"}
