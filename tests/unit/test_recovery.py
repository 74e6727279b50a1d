import errno
import json
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from builders.spool import fresh_root, listing, stored_job
from segdrop import durable
from segdrop.spool import recovery
from segdrop.spool.job import Attempts, JobState, Outcome
from segdrop.spool.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


def test_every_job_is_found_again_and_those_at_work_are_told(store: Store) -> None:
    jobs = [
        stored_job(store, state=state, arrival_ns=position, outcome=Outcome.FAILED)
        for position, state in enumerate(JobState)
    ]
    with capture_logs() as events:
        assert recovery.recover(store).jobs == jobs
    resumed = [event["state"] for event in events if event["event"] == "job.resumed"]
    assert resumed == ["claimed", "checked", "running", "computed"]


def test_a_claim_whose_rename_never_happened_is_dropped(store: Store) -> None:
    stored_job(store, with_input=False)
    assert recovery.recover(store).jobs == []
    assert listing(store.layout.work) == []


def test_a_job_that_is_past_its_claim_needs_no_input(store: Store) -> None:
    job = stored_job(store, state=JobState.DELIVERED, outcome=Outcome.SUCCEEDED, with_input=False)
    assert recovery.recover(store).jobs == [job]


@pytest.mark.parametrize("left", [[], ["job.json"], ["job.json.tmp"], ["job.json", "job.json.tmp"]])
def test_a_claim_cut_off_before_its_manifest_leaves_nothing(store: Store, left: list[str]) -> None:
    folder = store.layout.work / "a-20261121T061500Z-0001"
    folder.mkdir()
    for name in left:
        (folder / name).write_text("{")
    assert recovery.recover(store).jobs == []
    assert listing(store.layout.work) == []
    assert listing(store.layout.failed) == []


@pytest.mark.parametrize("kept", ["input.zip", "sidecar.json", "model.pth", "of somebody else.doc"])
def test_a_folder_that_cannot_be_understood_goes_to_failed_whole_and_loudly(store: Store, kept: str) -> None:
    job = stored_job(store, with_input=False)
    store.files(job).manifest.write_text("{")
    (store.files(job).folder / kept).write_bytes(b"precious")
    good = stored_job(store)
    with capture_logs() as events:
        assert recovery.recover(store).jobs == [good]
    target = store.layout.failed / job.id
    assert (target / kept).read_bytes() == b"precious"
    assert json.loads((target / "error.json").read_text())["code"] == "spool.corrupt"
    assert listing(store.layout.work) == [good.id]
    (event,) = [event for event in events if event["event"] == "spool.corrupt"]
    assert event["log_level"] == "critical"


def test_what_is_set_aside_never_replaces_what_is_in_failed(store: Store) -> None:
    name = "x-20261121T061500Z-0001"
    taken = [store.layout.failed / name for name in (name, f"{name}-2")]
    for folder in taken:
        folder.mkdir()
    (store.layout.work / name).mkdir()
    (store.layout.work / name / "input.zip").write_bytes(b"new")
    recovery.recover(store)
    assert (store.layout.failed / f"{name}-3" / "input.zip").read_bytes() == b"new"
    assert [listing(folder) for folder in taken] == [[], []]


@pytest.mark.parametrize("name", ["notes.txt", "@eaDir", ".AppleDouble", "..AppleDouble.removed", ".x.removed", "a-1"])
def test_what_is_not_ours_in_work_is_left_alone_and_told(store: Store, name: str) -> None:
    (store.layout.work / name).mkdir()
    (store.layout.work / name / "mine").write_text("x")
    good = stored_job(store)
    found = recovery.recover(store)
    assert (found.jobs, found.foreign, found.stuck) == ([good], [name], {})
    assert listing(store.layout.work) == sorted([name, good.id])
    assert listing(store.layout.failed) == []


def test_job_that_cannot_be_moved_aside_is_stuck_and_the_others_are_found(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = stored_job(store), stored_job(store)
    store.files(bad).manifest.write_text("{")

    def refused(source: Path, target: Path) -> None:
        raise OSError(errno.EBUSY, "Device or resource busy", str(source), None, str(target))

    monkeypatch.setattr(durable, "move", refused)
    found = recovery.recover(store)
    assert found.jobs == [good]
    assert "busy" in found.stuck[bad.id]
    monkeypatch.undo()
    assert recovery.load(store).stuck == {}
    assert (store.layout.failed / bad.id / "input.zip").exists()


def test_removals_that_were_cut_off_are_finished(store: Store) -> None:
    for name in (".a-20261121T061500Z-0001.removed", ".inspection"):
        (store.layout.work / name).mkdir()
        (store.layout.work / name / "half").write_text("x")
    store.layout.daemon_lock.touch()
    recovery.recover(store)
    assert listing(store.layout.work) == [store.layout.daemon_lock.name]


def test_loading_again_finishes_removals_too(store: Store) -> None:
    """A full disk, or one that is not there for a while, cuts off a removal and not the daemon."""
    job = stored_job(store)
    for name in (".a-20261121T061500Z-0001.removed", "..inspection.removed"):
        (store.layout.work / name / "half").mkdir(parents=True)
    assert recovery.load(store).jobs == [job]
    assert listing(store.layout.work) == [job.id]


def test_loading_again_sweeps_nothing_that_a_child_may_be_using(store: Store) -> None:
    store.layout.quick_check.mkdir()
    job = stored_job(store)
    stored_job(store, with_input=False)
    assert recovery.load(store).jobs == [job]
    assert store.layout.quick_check.is_dir()


def test_recovery_repeated_finds_the_same(store: Store) -> None:
    stored_job(store)
    stored_job(store, state=JobState.RUNNING, attempts=Attempts(total=2))
    assert recovery.recover(store).jobs == recovery.recover(store).jobs
