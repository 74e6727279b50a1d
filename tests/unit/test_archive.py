import contextlib
import json
import os
from pathlib import Path

import pytest

from builders.kept import keep
from builders.spool import WALL, fresh_root, listing, stored_job
from segdrop import durable
from segdrop.intake import claim
from segdrop.results.archive import archive
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.store import Store

ANSWER = {"status": "failed"}


class CrashError(BaseException):
    """The end of the process: nothing after it runs."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


def delivered(store: Store, outcome: Outcome, sidecar: str | None = "a.json", name: str = "a.zip") -> Job:
    job = stored_job(store, state=JobState.DELIVERED, outcome=outcome, sidecar_name=sidecar, input_name=name)
    if sidecar:
        store.files(job).sidecar.write_bytes(b"{}")
    store.files(job).published.write_text(json.dumps(ANSWER))
    return job


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.DUPLICATE])
def test_the_input_of_a_success_goes_to_done_under_its_own_name(store: Store, outcome: Outcome) -> None:
    job = delivered(store, outcome)
    target = archive(store.layout, job, ANSWER, "log")
    assert target == store.layout.done / job.id
    assert listing(target) == ["a.json", "a.zip"]
    assert (target / "a.zip").read_bytes() == b"input of " + job.id.encode()


@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.REJECTED, Outcome.CANCELLED])
def test_the_input_of_anything_else_goes_to_failed_with_the_reason(store: Store, outcome: Outcome) -> None:
    job = delivered(store, outcome)
    target = archive(store.layout, job, ANSWER, "the last lines\n")
    assert target == store.layout.failed / job.id
    assert listing(target) == ["a.json", "a.zip", "error.json", "log.txt"]
    assert json.loads((target / "error.json").read_bytes()) == ANSWER
    assert (target / "log.txt").read_text() == "the last lines\n"
    assert (target / "a.zip").read_bytes() == b"input of " + job.id.encode()


def test_a_sidecar_never_takes_the_place_of_the_record_of_the_model(store: Store) -> None:
    job = delivered(store, Outcome.SUCCEEDED, sidecar="model.json", name="model.zip")
    keep(store.layout, job=job.id)
    record = store.layout.kept_model(job.id).read_bytes()
    target = archive(store.layout, job, ANSWER, "")
    assert (target / "model.json").read_bytes() == record
    assert (target / "request.json").read_bytes() == b"{}"


@pytest.mark.parametrize("sidecar", ["error.json", "Error.JSON"])
def test_a_sidecar_never_takes_the_place_of_the_reason(store: Store, sidecar: str) -> None:
    job = delivered(store, Outcome.REJECTED, sidecar=sidecar, name="error.zip")
    target = archive(store.layout, job, ANSWER, "")
    assert json.loads((target / "error.json").read_bytes()) == ANSWER
    assert (target / "request.json").read_bytes() == b"{}"


@pytest.mark.parametrize("outcome", [Outcome.SUCCEEDED, Outcome.FAILED])
@pytest.mark.parametrize("moves", range(5))
def test_archiving_that_was_cut_off_is_finished_by_the_next_start(
    store: Store, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, moves: int
) -> None:
    job = delivered(store, outcome)
    move = durable.move
    left = moves

    def crashing(source: Path, target: Path) -> None:
        nonlocal left
        if left == 0:
            raise CrashError
        left -= 1
        move(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(durable, "move", crashing)
        with contextlib.suppress(CrashError):
            archive(store.layout, job, ANSWER, "log")
    target = archive(store.layout, job, ANSWER, "log")
    expected = ["a.json", "a.zip"] + ([] if outcome is Outcome.SUCCEEDED else ["error.json", "log.txt"])
    assert listing(target) == expected
    assert not store.files(job).input.exists()


def test_archiving_does_not_need_the_outbox(store: Store) -> None:
    """People may have taken the answer away."""
    job = delivered(store, Outcome.REJECTED)
    assert listing(store.layout.outbox) == []
    assert json.loads((archive(store.layout, job, ANSWER, "") / "error.json").read_bytes()) == ANSWER


# a second try with what was kept


@pytest.mark.parametrize(
    ("name", "sidecar"),
    [
        ("a.zip", "a.json"),
        ("a.ZIP", "a.JSON"),
        ("a.zip", None),
        ("error.zip", "error.json"),
        ("model.zip", "model.json"),
    ],
)
@pytest.mark.parametrize("outcome", [Outcome.FAILED, Outcome.SUCCEEDED])
def test_a_retry_has_the_same_input_and_the_same_request(
    store: Store, name: str, sidecar: str | None, outcome: Outcome
) -> None:
    before = delivered(store, outcome, sidecar=sidecar, name=name)
    target = archive(store.layout, before, ANSWER, "")
    if outcome is Outcome.SUCCEEDED:
        keep(store.layout, job=before.id)
    kept = {path.name: path.read_bytes() for path in target.iterdir()}
    store.remove(before)
    job = claim.retry(store, before.id, WALL)
    assert job is not None
    assert (job.retry_of, job.input_name, job.state) == (before.id, name, JobState.CLAIMED)
    assert store.files(job).input.read_bytes() == kept[name]
    assert claim.identity_of(store.files(job).input) == job.identity
    assert store.files(job).sidecar.exists() == (sidecar is not None) == (job.sidecar_name is not None)
    if sidecar:
        assert store.files(job).sidecar.read_bytes() == b"{}"
    assert {path.name: path.read_bytes() for path in target.iterdir()} == kept, "what was kept stays"


def test_a_request_that_an_older_version_kept_under_the_name_of_the_record_is_retried_with(store: Store) -> None:
    before = delivered(store, Outcome.SUCCEEDED, sidecar="model.json", name="model.zip")
    target = archive(store.layout, before, ANSWER, "")
    (target / "request.json").rename(target / "model.json")
    store.remove(before)
    job = claim.retry(store, before.id, WALL)
    assert job is not None
    assert (job.sidecar_name, store.files(job).sidecar.read_bytes()) == ("model.json", b"{}")


def test_a_retry_has_the_same_owner(store: Store) -> None:
    before = delivered(store, Outcome.FAILED)
    archive(store.layout, before, ANSWER, "")
    job = claim.retry(store, before.id, WALL)
    assert job is not None
    assert job.owner_uid == os.geteuid()


def test_there_is_no_retry_of_what_is_not_there(store: Store) -> None:
    assert claim.retry(store, "a-1", WALL) is None
    (store.layout.failed / "a-1").mkdir()
    assert claim.retry(store, "a-1", WALL) is None
    assert listing(store.layout.work) == []
