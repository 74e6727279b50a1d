import itertools
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from builders.spool import job_record
from segdrop.errors import CorruptError
from segdrop.spool.job import Job, JobState, Outcome, new_id, slug

ALLOWED = {
    ("claimed", "claimed"),
    ("claimed", "checked"),
    ("claimed", "concluded"),
    ("checked", "checked"),
    ("checked", "running"),
    ("checked", "concluded"),
    ("running", "running"),
    ("running", "computed"),
    ("running", "concluded"),
    ("computed", "computed"),
    ("computed", "concluded"),
    ("concluded", "claimed"),
    ("concluded", "delivered"),
}


@pytest.mark.parametrize(("before", "after"), list(itertools.product(JobState, JobState)))
def test_every_pair_of_states_is_a_transition_or_is_refused(before: JobState, after: JobState) -> None:
    job = job_record(state=before)
    if (before.value, after.value) in ALLOWED:
        assert job.evolve(after).state is after
    else:
        with pytest.raises(CorruptError, match=f"from {before} to {after}"):
            job.evolve(after)


def test_from_every_state_a_job_can_come_to_its_end() -> None:
    reachable = {"delivered"}
    while more := {before for before, after in ALLOWED if after in reachable} - reachable:
        reachable |= more
    assert reachable == {state.value for state in JobState}


def test_a_transition_changes_what_it_says_and_nothing_else() -> None:
    before = job_record(priority=4)
    after = before.evolve(JobState.CHECKED, queued_at=9.0)
    assert (after.state, after.queued_at) == (JobState.CHECKED, 9.0)
    assert after.model_dump(exclude={"state", "queued_at"}) == before.model_dump(exclude={"state", "queued_at"})
    assert before.state is JobState.CLAIMED


def test_a_field_that_does_not_exist_is_refused() -> None:
    with pytest.raises(ValidationError):
        job_record().evolve(JobState.CHECKED, attemps=1)
    with pytest.raises(ValidationError):
        job_record(state="resting")


def test_a_record_survives_its_own_file_format() -> None:
    job = job_record(state=JobState.CONCLUDED, outcome=Outcome.REJECTED, sidecar_name="ä\n.json", retry_of="x")
    assert Job.model_validate_json(job.model_dump_json()) == job


def test_higher_priority_goes_first_then_the_earlier_arrival_then_the_name() -> None:
    jobs = [
        job_record(priority=1, arrival_ns=9, input_name="z"),
        job_record(priority=0, arrival_ns=1, input_name="b"),
        job_record(priority=0, arrival_ns=1, input_name="c"),
        job_record(priority=0, arrival_ns=2, input_name="a"),
        job_record(priority=-1, arrival_ns=0, input_name="a"),
    ]
    for shuffled in itertools.permutations(jobs):
        assert sorted(shuffled, key=lambda job: job.order) == jobs


@pytest.mark.parametrize(
    ("stem", "expected"),
    [
        ("camvid", "camvid"),
        ("My Dataset (final).v2", "my-dataset-final-v2"),
        ("Größe_é", "groe_e"),
        ("名前", "job"),
        ("", "job"),
        ("...", "job"),
        ("-rf", "rf"),
        ("../../etc/passwd", "etc-passwd"),
        ("a" * 100, "a" * 40),
        ("a" * 39 + " b", "a" * 39),
    ],
)
def test_slugs(stem: str, expected: str) -> None:
    assert slug(stem) == expected


@given(st.text(max_size=80))
def test_a_slug_is_safe_in_any_filesystem(stem: str) -> None:
    assert re.fullmatch(r"[a-z0-9_](?:[a-z0-9_-]{0,38}[a-z0-9_])?", slug(stem))


def test_an_id_is_slug_time_in_utc_and_nonce() -> None:
    local = datetime(2026, 11, 21, 8, 15, 1, tzinfo=timezone(timedelta(hours=2)))
    assert new_id("CamVid", local, 0x3F2A) == "camvid-20261121T061501Z-3f2a"
    assert new_id("x", datetime(2026, 1, 2, tzinfo=UTC), 1) == "x-20260102T000000Z-0001"
