"""What the live status says, to programs that go by its schema, and to readers of other versions."""

import json
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import json_schema
from builders.spool import WALL, fresh_root, job_record
from segdrop.answers import CheckProgress, TrainProgress, read_progress
from segdrop.results import live_status, reading
from segdrop.results.live_status import Status, progress_of
from segdrop.service.status import State, StatusPublisher, status_line
from segdrop.service.systemd import Notifier
from segdrop.spool.job import Attempts, JobState, Outcome
from segdrop.spool.layout import RootLayout

TRAINING = {"stage": "train", "epoch": 2, "epochs": 5, "step": 3, "steps": 10, "loss": 0.5, "rss_bytes": 9}


def published(layout: RootLayout, **changes: Any) -> dict[str, Any]:
    """What a daemon publishes that has one job in training and one that waits."""
    jobs = [
        job_record("a-20261121T061500Z-0001", state=JobState.RUNNING, attempts=Attempts(total=1)),
        job_record("b-20261121T061500Z-0002", state=JobState.CHECKED),
    ]
    progress_path = layout.job(jobs[0].id).progress
    progress_path.parent.mkdir(parents=True)
    progress_path.write_text(json.dumps(TRAINING))
    values: dict[str, Any] = {
        "state": "running",
        "alive": True,
        "reason": "",
        "now": 1.0,
        "wall": WALL,
        "scan_age_seconds": 0.25,
        "jobs": jobs,
        "reasons": {jobs[1].id: "it may not be read"},
        "arrivals": [],
        "bystanders": {"notes.txt": "not a ZIP"},
        "outcomes": Counter({Outcome.REJECTED: 2}),
        "at_work": frozenset({jobs[0].id}),
    }
    StatusPublisher(layout, WALL, None, Notifier()).publish(State(**(values | changes)))
    content: dict[str, Any] = json.loads(layout.status.read_bytes())
    return content


def test_published_status_conforms_to_the_schema_and_is_the_same_when_read(tmp_path: Path) -> None:
    layout = fresh_root(tmp_path)
    content = published(layout)
    assert json_schema.faults(content, live_status.json_schema()) == []
    found = reading.read_status(layout.status)
    assert found.content == content
    assert found.to_json() | {"content": content} == content | {"content": content}
    assert [job.progress for job in found.jobs] == [TrainProgress(**TRAINING), None]
    assert content["updated_at"] == "2026-11-21T06:15:00+00:00"
    assert "reason" not in content["jobs"][0]
    assert "progress" not in content["jobs"][1]


@pytest.mark.parametrize("change", [{"updated_at": None}, {"daemon": {"state": "asleep"}}, {"jobs": [{"job": "a"}]}])
def test_schema_refuses_what_is_no_status(tmp_path: Path, change: dict[str, Any]) -> None:
    assert json_schema.faults(published(fresh_root(tmp_path)) | change, live_status.json_schema())


def test_status_of_another_version_is_read_as_far_as_it_is_understood() -> None:
    jobs = [{"job": "a", "input": "a.zip", "state": "dreaming", "mood": 1, "progress": {"stage": "dream", "done": 1}}]
    value = {"updated_at": "2026-11-21T06:15:00Z", "daemon": {"state": "humming", "tea": True}, "jobs": jobs}
    found = Status.model_validate(value)
    assert (found.jobs[0].state, found.jobs[0].progress) == ("dreaming", None)
    assert found.age_seconds(datetime(2026, 11, 21, 6, 16, tzinfo=UTC)) == 60


def test_line_for_the_service_manager_has_the_epoch_and_the_queue(tmp_path: Path) -> None:
    status = Status.model_validate(published(fresh_root(tmp_path)))
    assert status_line(status) == "running; training a-20261121T061500Z-0001 epoch 2/5; 1 queued, 0 in the inbox"


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"stage": "train"}', '{"stage": "dream", "done": 1}'])
def test_progress_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "progress.json"
    assert read_progress(path) is None, "there is no file"
    path.write_text(content)
    assert read_progress(path) is None


def test_progress_of_another_stage_than_the_jobs_says_nothing(tmp_path: Path) -> None:
    files = fresh_root(tmp_path).job("a-20261121T061500Z-0001")
    files.progress.parent.mkdir(parents=True)
    files.progress.write_text('{"stage": "check", "done": 1, "total": 4}')
    assert progress_of(job_record(), files) == CheckProgress(stage="check", done=1, total=4)
    assert progress_of(job_record(state=JobState.RUNNING), files) is None
