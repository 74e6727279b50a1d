import errno
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from builders.spool import fresh_root, listing, stored_job
from segdrop import durable
from segdrop.results import outbox
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable

ANSWER, RESULT, RECORD = b'{"status": "succeeded"}', b"PK result", b'{"sha256": "ab"}'


class CrashError(BaseException):
    """The end of the process: nothing after it runs."""


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


def concluded(store: Store, *, with_result: bool = True) -> Job:
    job = stored_job(store, state=JobState.CONCLUDED, outcome=Outcome.SUCCEEDED)
    store.files(job).outcome.write_bytes(ANSWER)
    if with_result:
        store.files(job).result_zip.write_bytes(RESULT)
        store.files(job).kept_model.write_bytes(RECORD)
    return job


def assert_delivered(store: Store, job: Job) -> None:
    assert store.layout.published_json(job.id).read_bytes() == ANSWER
    assert store.layout.published_zip(job.id).read_bytes() == RESULT
    assert listing(store.layout.outbox) == [f"{job.id}.json", f"{job.id}.zip"]
    assert not store.files(job).outcome.exists()
    assert not store.files(job).result_zip.exists()
    assert store.files(job).published.read_bytes() == ANSWER
    assert store.layout.kept_model(job.id).read_bytes() == RECORD
    assert not store.files(job).kept_model.exists()


def no_hard_links(_source: object, _target: object) -> None:
    raise OSError(errno.EPERM, "Operation not permitted")


def test_the_zip_comes_first_and_the_json_last(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between them the record of the model: who sees the answer can start from it."""
    job = concluded(store)
    changes: list[str] = []
    publish, move = durable.publish, durable.move
    monkeypatch.setattr(durable, "publish", lambda a, b: (changes.append(b.suffix), publish(a, b)))
    monkeypatch.setattr(durable, "move", lambda a, b: (changes.append(b.name), move(a, b)))
    outbox.deliver(store.layout, job)
    assert changes == [".zip", "model.json", ".json"]
    assert_delivered(store, job)


def test_a_job_without_a_result_delivers_its_answer_alone(store: Store) -> None:
    job = concluded(store, with_result=False)
    outbox.deliver(store.layout, job)
    assert listing(store.layout.outbox) == [f"{job.id}.json"]
    assert listing(store.layout.done) == []


def test_delivery_repeated_changes_nothing(store: Store) -> None:
    job = concluded(store)
    for _ in range(3):
        outbox.deliver(store.layout, job)
        assert_delivered(store, job)


def crash_points() -> list[tuple[str, int]]:
    twice = [(call, number) for call in ("link", "unlink", "sync_file") for number in (1, 2)]
    return [*twice, ("make_dir", 1), ("move", 1)]


@pytest.mark.parametrize(("call", "number"), crash_points())
@pytest.mark.parametrize("after", [False, True])
def test_a_crash_at_any_point_delivers_once_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, call: str, number: int, after: bool
) -> None:
    job = concluded(store)
    owner: object = {"link": os, "unlink": Path}.get(call, durable)
    crash_around(monkeypatch, owner, call, number, after)
    with pytest.raises(CrashError):
        outbox.deliver(store.layout, job)
    monkeypatch.undo()
    outbox.deliver(store.layout, job)
    assert_delivered(store, job)


def crash_around(monkeypatch: pytest.MonkeyPatch, owner: object, name: str, number: int, after: bool) -> None:
    """Crash before or after the n-th call."""
    real: Callable[..., object] = getattr(owner, name)
    calls = 0

    def crashing(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            raise CrashError
        result = real(*arguments, **options)
        if calls == number:
            raise CrashError
        return result

    monkeypatch.setattr(owner, name, crashing)


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("after", [False, True])
def test_without_hard_links_a_crash_between_reservation_and_rename_delivers_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch, number: int, after: bool
) -> None:
    job = concluded(store)
    monkeypatch.setattr(os, "link", no_hard_links)
    with monkeypatch.context() as patch:
        crash_around(patch, Path, "touch", number, after)
        with pytest.raises(CrashError):
            outbox.deliver(store.layout, job)
    outbox.deliver(store.layout, job)
    assert_delivered(store, job)


def test_what_people_take_away_at_once_is_neither_missed_nor_delivered_twice(store: Store) -> None:
    """A script that moves results away may be faster than our own record of the delivery."""
    job = concluded(store)
    outbox.deliver(store.layout, job)
    shutil.rmtree(store.layout.outbox)
    store.layout.outbox.mkdir()
    outbox.deliver(store.layout, job)
    assert listing(store.layout.outbox) == []
    assert store.files(job).published.read_bytes() == ANSWER


def test_a_name_that_somebody_took_is_never_replaced(store: Store) -> None:
    job = concluded(store)
    store.layout.published_zip(job.id).write_bytes(b"somebody's")
    with pytest.raises(FileExistsError):
        outbox.deliver(store.layout, job)
    assert store.layout.published_zip(job.id).read_bytes() == b"somebody's"
    assert not store.layout.published_json(job.id).exists()
    assert store.files(job).outcome.exists()


def test_a_published_answer_is_final_whatever_work_says_later(store: Store) -> None:
    job = concluded(store)
    store.layout.published_json(job.id).write_bytes(b'{"status": "first"}')
    outbox.deliver(store.layout, job)
    assert store.layout.published_json(job.id).read_bytes() == b'{"status": "first"}'
