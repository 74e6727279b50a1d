from pathlib import Path

import pytest

from builders.spool import WALL, fresh_root, job_record, listing, stored_job
from segdrop.errors import CorruptError
from segdrop.spool.job import JobState, Outcome
from segdrop.spool.store import Store, read_optional


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


def test_a_stored_job_is_read_back_equal(store: Store) -> None:
    job = stored_job(store, input_name="Größe\n\x1b[31m.zip", sidecar_name="x.json")
    assert store.load(job.id) == job
    assert store.list().jobs == [job]


def test_a_transition_is_on_disk_when_it_returns(store: Store) -> None:
    job = store.transition(stored_job(store), JobState.CONCLUDED, outcome=Outcome.REJECTED)
    assert Store(store.layout).load(job.id) == job
    assert job.outcome is Outcome.REJECTED


def test_a_refused_transition_leaves_the_disk_as_it_is(store: Store) -> None:
    job = stored_job(store)
    before = store.files(job).manifest.read_bytes()
    with pytest.raises(CorruptError):
        store.transition(job, JobState.DELIVERED)
    assert store.files(job).manifest.read_bytes() == before


def test_ids_that_are_taken_in_work_or_in_the_outbox_are_never_used_again(tmp_path: Path) -> None:
    nonces = iter([1, 1, 2, 3])
    store = Store(fresh_root(tmp_path), nonce=lambda: next(nonces))
    first = stored_job(store)
    store.layout.published_json("a-20261121T061500Z-0002").write_text("{}")
    second = stored_job(store)
    assert (first.id, second.id) == ("a-20261121T061500Z-0001", "a-20261121T061500Z-0003")


def test_jobs_are_listed_in_the_order_of_service(store: Store) -> None:
    late = stored_job(store, arrival_ns=9)
    urgent = stored_job(store, arrival_ns=99, priority=1)
    early = stored_job(store, arrival_ns=1)
    assert [job.id for job in store.list().jobs] == [urgent.id, early.id, late.id]


def corrupt(store: Store, how: str) -> str:
    job = stored_job(store)
    path = store.files(job).manifest
    match how:
        case "missing":
            path.unlink()
        case "empty":
            path.write_bytes(b"")
        case "cut off":
            path.write_bytes(path.read_bytes()[:-20])
        case "not UTF-8":
            path.write_bytes(path.read_bytes().replace(b"a.zip", b"\xff.zip"))
        case "unknown state":
            path.write_bytes(path.read_bytes().replace(b'"claimed"', b'"resting"'))
        case "unknown key":
            path.write_bytes(path.read_bytes().replace(b'"priority"', b'"importance"'))
        case "about another job":
            path.write_bytes(path.read_bytes().replace(job.id.encode(), b"b-20261121T061500Z-0001"))
        case "a folder":
            path.unlink()
            path.mkdir()
    return job.id


HOW = ["missing", "empty", "cut off", "not UTF-8", "unknown state", "unknown key", "about another job", "a folder"]


@pytest.mark.parametrize("how", HOW)
def test_a_folder_that_cannot_be_understood_is_listed_as_corrupt_beside_the_good_ones(store: Store, how: str) -> None:
    bad, good = corrupt(store, how), stored_job(store)
    listing = store.list()
    assert listing.jobs == [good]
    assert [name for name, _error in listing.corrupt] == [bad]


def test_what_is_not_called_as_jobs_are_is_none_and_what_is_ours_is_not_foreign(store: Store) -> None:
    (store.layout.work / "notes.txt").write_text("x")
    (store.layout.work / ".hidden").mkdir()
    store.layout.quick_check.mkdir()
    for path in (store.layout.daemon_lock, store.layout.measurements, store.layout.status_draft):
        path.touch()
    (store.layout.work / "a-20261121T061500Z-0001").write_text("a file")
    listing = store.list()
    assert listing.jobs == []
    assert [name for name, _error in listing.corrupt] == ["a-20261121T061500Z-0001"]
    assert listing.foreign == [".hidden", "notes.txt"]


def test_a_removed_job_leaves_nothing(store: Store) -> None:
    job = stored_job(store)
    store.remove(job)
    store.remove(job)
    assert listing(store.layout.work) == []


def test_a_manifest_has_one_line_a_field_for_people(store: Store) -> None:
    job = stored_job(store)
    assert f'\n  "id": "{job.id}",\n' in store.files(job).manifest.read_text()


def test_read_optional_tells_absence_from_emptiness(tmp_path: Path) -> None:
    assert read_optional(tmp_path / "x") is None
    (tmp_path / "x").touch()
    assert read_optional(tmp_path / "x") == b""


def test_a_failed_record_is_no_job(store: Store) -> None:
    with pytest.raises(ZeroDivisionError):
        store.create("a", WALL, lambda _job_id: job_record(priority=1 // 0))
    assert store.list().jobs == []
