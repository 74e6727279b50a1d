"""Deadlines are decided from given times; signs of progress are changes of a file."""

import os
from pathlib import Path

import pytest

from segdrop.execution import supervision
from segdrop.execution.runner import Cause
from segdrop.execution.supervision import Deadlines, Heartbeat


def _overdue(now: float, *, beat_at: float = 0.0, max_seconds: float = 0.0) -> Cause | None:
    return Deadlines(stall_seconds=5.0, max_seconds=max_seconds).passed(now, started_at=10.0, heartbeat=beat_at)


def test_a_child_has_the_whole_stall_time_from_its_start() -> None:
    assert _overdue(15.0) is None
    assert _overdue(15.1) is Cause.STALLED


def test_each_sign_of_progress_starts_the_stall_time_anew() -> None:
    assert _overdue(24.9, beat_at=20.0) is None
    assert _overdue(25.1, beat_at=20.0) is Cause.STALLED


def test_the_whole_time_ends_a_child_that_still_gets_on() -> None:
    assert _overdue(40.0, beat_at=39.0, max_seconds=30.0) is None
    assert _overdue(40.1, beat_at=40.0, max_seconds=30.0) is Cause.TOO_LONG


def test_only_a_changed_file_is_a_sign_of_progress(tmp_path: Path) -> None:
    progress = tmp_path / "progress.json"
    first = Heartbeat(progress, 0.0).look(1.0)
    assert first.signature is None
    progress.write_text("{}")
    second = first.look(2.0)
    assert second.since == 2.0
    assert second.look(3.0) is second
    os.utime(progress, ns=(5, 5))
    assert second.look(4.0).since == 4.0


@pytest.mark.parametrize(
    ("text", "expected"),
    [("nr_free_pages 3\noom_kill 7\npgfault 1\n", 7), ("nr_free_pages 3\n", None), ("oom_kill x\n", None)],
)
def test_the_kernels_count_of_oom_kills_is_read(tmp_path: Path, text: str, expected: int | None) -> None:
    (tmp_path / "vmstat").write_text(text)
    assert supervision.oom_kills(tmp_path / "vmstat") == expected


def test_a_system_without_vmstat_knows_no_count(tmp_path: Path) -> None:
    assert supervision.oom_kills(tmp_path / "absent") is None
