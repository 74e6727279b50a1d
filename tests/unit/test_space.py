from pathlib import Path

import pytest

from builders.spool import fresh_root, job_record, stored_job
from segdrop.spool import space
from segdrop.spool.job import JobState
from segdrop.spool.store import Store

RESERVE, CACHE = 1_000_000, 70


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(fresh_root(tmp_path))


@pytest.mark.parametrize(
    ("state", "needed"),
    [
        (JobState.CLAIMED, RESERVE + CACHE),
        (JobState.CHECKED, RESERVE),
        (JobState.RUNNING, RESERVE),
        (JobState.COMPUTED, RESERVE),
    ],
)
def test_the_cache_has_to_be_written_once_and_the_reserve_stays(store: Store, state: JobState, needed: int) -> None:
    job = job_record(state=state, cache_bytes=CACHE)
    store.files(job).folder.mkdir()
    assert space.needed_bytes(job, store.files(job), RESERVE) == needed


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.COMPUTED])
def test_what_a_job_has_written_of_the_reserve_is_not_asked_for_again(store: Store, state: JobState) -> None:
    """Else its own checkpoints could keep it from its end, and so from making room."""
    job = stored_job(store, state=state)
    files = store.files(job)
    (files.cache).mkdir()
    (files.cache / "images.u8").write_bytes(bytes(500_000))
    before = space.needed_bytes(job, files, RESERVE)
    files.checkpoint.write_bytes(bytes(300_000))
    assert space.needed_bytes(job, files, RESERVE) <= before - 300_000
    files.model.write_bytes(bytes(2 * RESERVE))
    assert space.needed_bytes(job, files, RESERVE) == 0


def test_only_caches_that_are_still_to_come_are_promised() -> None:
    states = [JobState.CLAIMED, JobState.CHECKED, JobState.CLAIMED, JobState.RUNNING]
    jobs = [job_record(state=state, cache_bytes=10**number) for number, state in enumerate(states)]
    assert space.promised_bytes(jobs) == 101
