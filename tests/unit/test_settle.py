from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segdrop.intake.settle import FileEnding, Stamp, observe, remaining_seconds

STAMP = Stamp(device=1, inode=2, size=3, mtime_ns=4, ctime_ns=5)
SIDECAR = Stamp(device=1, inode=9, size=1, mtime_ns=1, ctime_ns=1)


def remaining(since: float, now: float, ending: FileEnding | None) -> float:
    observation = observe(None, STAMP, None, since)
    return remaining_seconds(observation, ending, now, settle_seconds=5, incomplete_seconds=300)


def test_what_has_not_changed_keeps_its_start() -> None:
    first = observe(None, STAMP, SIDECAR, 10)
    assert observe(first, STAMP, SIDECAR, 99) is first
    assert first.since == 10


@pytest.mark.parametrize("field", ["device", "inode", "size", "mtime_ns", "ctime_ns"])
def test_every_part_of_the_identity_starts_the_clock_again(field: str) -> None:
    first = observe(None, STAMP, SIDECAR, 10)
    changed = replace(STAMP, **{field: 77})
    assert observe(first, changed, SIDECAR, 12).since == 12
    assert observe(first, STAMP, replace(SIDECAR, **{field: 77}), 13).since == 13


def test_a_sidecar_that_comes_or_goes_starts_the_clock_again() -> None:
    alone = observe(None, STAMP, None, 10)
    joined = observe(alone, STAMP, SIDECAR, 11)
    assert joined.since == 11
    assert observe(joined, STAMP, None, 12).since == 12


def test_a_downloader_that_writes_beside_it_starts_the_clock_again() -> None:
    first = observe(None, STAMP, None, 10, progress=SIDECAR)
    assert observe(first, STAMP, None, 11, progress=SIDECAR) is first
    assert observe(first, STAMP, None, 12, progress=replace(SIDECAR, mtime_ns=77)).since == 12
    assert observe(first, STAMP, None, 13).since == 13, "it is done: the usual time from now on"


def test_a_whole_file_with_a_downloader_beside_it_may_still_be_arriving() -> None:
    observation = observe(None, STAMP, None, 10, progress=SIDECAR)
    seconds = {"settle_seconds": 5, "incomplete_seconds": 300}
    assert remaining_seconds(observation, None, 10, **seconds) == 5, "then it is looked at, and said"
    assert remaining_seconds(observation, FileEnding.COMPLETE, 10, **seconds) == 300


@pytest.mark.parametrize(
    ("ending", "now", "left"),
    [
        (None, 10, 5),
        (None, 15, 0),
        (FileEnding.COMPLETE, 14, 1),
        (FileEnding.COMPLETE, 15, 0),
        (FileEnding.NOT_A_ZIP, 15, 0),
        (FileEnding.INCOMPLETE, 15, 295),
        (FileEnding.GAPS, 15, 295),
        (FileEnding.INCOMPLETE, 310, 0),
        (FileEnding.INCOMPLETE, 311, -1),
    ],
)
def test_how_long_a_file_must_be_unchanged_depends_on_its_ending(
    ending: FileEnding | None, now: float, left: float
) -> None:
    assert remaining(10, now, ending) == left


@given(st.lists(st.tuples(st.floats(0, 100), st.integers(0, 2)), min_size=1, max_size=20))
def test_nothing_settles_before_it_was_unchanged_for_the_whole_time(looks: list[tuple[float, int]]) -> None:
    """Whatever the rhythm of the looks, a file settles only after a row of equal ones that lasts long enough."""
    now, observation, equal_since, before = 0.0, None, 0.0, None
    for wait, size in looks:
        now += wait
        stamp = replace(STAMP, size=size)
        observation = observe(observation, stamp, None, now)
        equal_since = equal_since if stamp == before else now
        before = stamp
        left = remaining_seconds(observation, FileEnding.COMPLETE, now, settle_seconds=5, incomplete_seconds=300)
        assert (left <= 0) == (equal_since + 5 - now <= 0)
