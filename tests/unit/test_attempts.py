"""An attempt is counted once, whenever it is counted, and only if its child has begun."""

import itertools

import pytest

from builders.spool import job_record
from segdrop.spool.job import Attempts, JobState
from segdrop.stages.attempts import Marks, counted, with_success

RUNNING = job_record(state=JobState.RUNNING)


def test_an_attempt_whose_child_never_began_costs_nothing() -> None:
    assert counted(RUNNING, Marks(None, None)) is RUNNING
    again = counted(RUNNING, Marks("1", None))
    assert counted(again, Marks(None, None)).attempts == again.attempts, "its mark is swept before the next child"


@pytest.mark.parametrize(
    ("marks", "is_charged"), list(itertools.product([Marks("1", None), Marks("1", "c")], [True, False]))
)
def test_counting_twice_counts_once(marks: Marks, *, is_charged: bool) -> None:
    once = counted(RUNNING, marks, is_charged=is_charged)
    assert counted(once, marks) is once
    assert once.attempts.total == 1


def test_what_did_not_come_further_is_fruitless_and_a_new_checkpoint_starts_anew() -> None:
    job = RUNNING
    for number in range(1, 4):
        job = counted(job, Marks(f"{number}", "c1"))
        assert job.attempts.fruitless == number - 1, "the first saved the checkpoint"
    job = counted(job, Marks("4", "c2"))
    assert (job.attempts.total, job.attempts.fruitless) == (4, 0)


def test_what_is_no_fault_of_the_jobs_is_an_attempt_and_not_a_fruitless_one() -> None:
    job = counted(counted(RUNNING, Marks("1", None)), Marks("2", None), is_charged=False)
    assert (job.attempts.total, job.attempts.fruitless) == (2, 1)


def test_tries_of_the_packing_are_no_attempts_at_the_work_and_checks_are_none_at_all() -> None:
    packed = counted(job_record(state=JobState.COMPUTED), Marks("1", "c"))
    assert (packed.attempts.total, packed.attempts.fruitless) == (0, 0), "the checkpoint is new to it"
    packed = counted(packed, Marks("2", "c"))
    assert (packed.attempts.total, packed.attempts.fruitless) == (0, 1)
    checked = counted(job_record(), Marks("1", None))
    assert checked.attempts == Attempts(begun_mark="1")
    assert counted(checked.evolve(JobState.CHECKED).evolve(JobState.RUNNING), Marks("1", None)).attempts.total == 0, (
        "it was the check's"
    )


def test_success_holds_nothing_against_the_next_stage() -> None:
    job = counted(RUNNING, Marks("1", None))
    assert (with_success(job).attempts.total, with_success(job).attempts.fruitless) == (1, 0)
