import errno
import json
from pathlib import Path

import pytest

from builders.spool import WALL, fresh_root, listing, small_zip
from segdrop import durable
from segdrop.intake.claim import claim, fetch_sidecar, identity_of
from segdrop.intake.inbox import Arrival, Inbox
from segdrop.pipeline import Pipeline
from segdrop.settings import IntakeSettings, Settings
from segdrop.spool import recovery
from segdrop.spool.job import Job, JobState
from segdrop.spool.store import Store


class CrashError(BaseException):
    """The end of the process: nothing after it runs."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


def arrive(store: Store, *names: str) -> Arrival:
    """Drop files into the inbox, and see the ZIP among them."""
    for name in names:
        path = store.layout.inbox / name
        if path.suffix.lower() == ".zip":
            small_zip(path)
        else:
            path.write_text('{"level": 1}')
    inbox = Inbox(store.layout.inbox, IntakeSettings(settle_seconds=0))
    inbox.scan(0)
    (arrival,) = inbox.arrivals.values()
    return arrival


def fail_at(monkeypatch: pytest.MonkeyPatch, suffix: str, error: BaseException, *, after: bool = False) -> None:
    """Let the move of a name fail, before or after the rename itself."""
    move = durable.move

    def failing(source: Path, target: Path) -> None:
        if source.suffix == suffix:
            if after:
                source.rename(target)
            raise error
        move(source, target)

    monkeypatch.setattr(durable, "move", failing)


def test_a_claim_moves_the_zip_and_its_sidecar_unchanged(store: Store) -> None:
    arrival = arrive(store, "My Data.ZIP", "My Data.json")
    content = (store.layout.inbox / "My Data.ZIP").read_bytes()
    job = claim(store, arrival, 3, WALL)
    assert job is not None
    files = store.files(job)
    assert files.input.read_bytes() == content
    assert files.sidecar.read_text() == '{"level": 1}'
    assert listing(store.layout.inbox) == []
    assert store.load(job.id) == job
    assert (job.state, job.priority, job.input_name, job.sidecar_name) == (
        *(JobState.CLAIMED, 3),
        *("My Data.ZIP", "My Data.json"),
    )
    assert job.id.startswith("my-data-20261121T061500Z-")
    assert job.arrival_ns == arrival.observation.archive.ctime_ns
    assert job.claimed_at == WALL.timestamp()


def test_the_identity_on_record_is_still_that_of_the_input_after_the_rename(store: Store) -> None:
    job = claim(store, arrive(store, "a.zip"), 0, WALL)
    assert job is not None
    assert identity_of(store.files(job).input) == job.identity
    with store.files(job).input.open("ab") as stream:
        stream.write(b"a writer still has it open")
    assert identity_of(store.files(job).input) != job.identity


def test_a_withdrawn_zip_makes_no_job_and_keeps_its_sidecar_in_place(store: Store) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    (store.layout.inbox / "a.zip").unlink()
    assert claim(store, arrival, 0, WALL) is None
    assert listing(store.layout.work) == []
    assert listing(store.layout.inbox) == ["a.json"]


def test_of_two_claims_one_gets_the_file(store: Store) -> None:
    arrival = arrive(store, "a.zip")
    claims = [claim(store, arrival, 0, WALL) for _ in range(2)]
    assert [job is None for job in claims] == [False, True]
    assert len(listing(store.layout.work)) == 1


def test_a_sidecar_withdrawn_at_the_last_moment_does_not_stop_the_claim(store: Store) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    (store.layout.inbox / "a.json").unlink()
    job = claim(store, arrival, 0, WALL)
    assert job is not None
    assert store.load(job.id) == job
    (store.layout.inbox / "a.json").write_text("for another ZIP")
    fetch_sidecar(store, store.load(job.id))
    assert not store.files(job).sidecar.exists(), "what comes later belongs to somebody else"


def test_a_crash_before_the_rename_leaves_the_zip_in_the_inbox_alone(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    fail_at(monkeypatch, ".zip", CrashError())
    with pytest.raises(CrashError):
        claim(store, arrival, 0, WALL)
    assert recovery.recover(store) == []
    assert listing(store.layout.inbox) == ["a.json", "a.zip"]
    assert listing(store.layout.work) == []


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_between_the_two_renames_does_not_lose_the_request(
    store: Store, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    with monkeypatch.context() as patch:
        fail_at(patch, ".json", CrashError(), after=after)
        with pytest.raises(CrashError):
            claim(store, arrival, 0, WALL)
    (job,) = recovery.recover(store)
    fetch_sidecar(store, job)
    assert store.files(job).sidecar.read_text() == '{"level": 1}'
    assert listing(store.layout.inbox) == []


def test_the_check_of_a_recovered_job_is_given_its_sidecar(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    with monkeypatch.context() as patch:
        fail_at(patch, ".json", CrashError())
        with pytest.raises(CrashError):
            claim(store, arrival, 0, WALL)
    (job,) = recovery.recover(store)
    pipeline = Pipeline(Settings(root=store.layout.root), store)
    child = pipeline.start(job, 0, WALL)
    child.kill()
    spec = json.loads(store.files(job).spec("check").read_text())
    assert spec["sidecar"] == str(store.files(job).sidecar)


def claims_against_the_environment(store: Store, arrival: Arrival) -> list[Job]:
    with pytest.raises(OSError, match="no"):
        claim(store, arrival, 0, WALL)
    return recovery.load(store)


def test_a_rename_that_is_refused_leaves_no_job_behind(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = arrive(store, "a.zip", "a.json")
    fail_at(monkeypatch, ".zip", PermissionError(errno.EACCES, "no"))
    assert claims_against_the_environment(store, arrival) == []
    assert listing(store.layout.work) == []
    assert listing(store.layout.inbox) == ["a.json", "a.zip"]


def test_a_rename_that_happened_although_it_raised_is_a_claim(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    arrival = arrive(store, "a.zip")
    content = (store.layout.inbox / "a.zip").read_bytes()
    fail_at(monkeypatch, ".zip", OSError(errno.EIO, "no"), after=True)
    (job,) = claims_against_the_environment(store, arrival)
    assert store.files(job).input.read_bytes() == content


def test_what_is_not_a_regular_file_has_no_identity(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(small_zip(tmp_path / "a.zip"))
    assert identity_of(tmp_path / "link") is None
    assert identity_of(tmp_path) is None
