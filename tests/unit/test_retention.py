"""Expiry removes what is ours and old, and nothing else."""

import json
import time
from pathlib import Path

import pytest
import structlog

from segdrop.spool import retention
from segdrop.spool.layout import RootLayout

_DAY = 86_400.0


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    layout = RootLayout(tmp_path)
    for folder in layout.folders:
        folder.mkdir()
    for folder in (layout.done / "a", layout.failed / "b"):
        folder.mkdir()
        (folder / "input.zip").write_bytes(b"x")
    layout.published_zip("c").write_bytes(b"zip")
    layout.published_json("c").write_text(json.dumps({"job": "c"}))
    layout.status.write_text("{}")
    (layout.outbox / "notes.json").write_text("{}")
    return layout


def _sweep(layout: RootLayout, *, after_days: float, **days: float) -> int:
    limits = {"done_days": 0.0, "failed_days": 0.0, "outbox_days": 0.0} | days
    return retention.sweep(layout, time.time() + after_days * _DAY, **limits)


def test_nothing_expires_by_default(layout: RootLayout) -> None:
    assert _sweep(layout, after_days=10_000) == 0


def test_nothing_expires_early(layout: RootLayout) -> None:
    assert _sweep(layout, after_days=6.9, done_days=7, failed_days=7, outbox_days=7) == 0


@pytest.mark.parametrize(("key", "gone"), [("done_days", "done/a"), ("failed_days", "failed/b")])
def test_old_inputs_go_from_their_own_folder_only(layout: RootLayout, key: str, gone: str) -> None:
    assert _sweep(layout, after_days=7.1, **{key: 7.0}) == 1
    left = {str(path.relative_to(layout.root)) for path in layout.root.glob("[df]*/*")}
    assert left == {"done/a", "failed/b"} - {gone}


def test_old_results_go_with_their_zip_and_foreign_files_stay(layout: RootLayout) -> None:
    assert _sweep(layout, after_days=7.1, outbox_days=7) == 1
    assert sorted(path.name for path in layout.outbox.iterdir()) == ["notes.json", "status.json"]


def test_looks_are_an_hour_apart_by_the_clock_that_nobody_sets() -> None:
    schedule = retention.Schedule()
    looks = [schedule.due(seconds, 1e9 + seconds) for seconds in (5.0, 6.0, 3604.0, 3605.0, 3606.0, 7205.0)]
    assert looks == [True, False, False, True, False, True]


@pytest.mark.parametrize("jump", [400 * _DAY, -400 * _DAY])
def test_nothing_expires_by_a_jump_of_the_wall_clock_that_is_set_right_within_the_hour(jump: float) -> None:
    schedule = retention.Schedule()
    assert schedule.due(0.0, 1e9)
    with structlog.testing.capture_logs() as events:
        assert not schedule.due(3600.0, 1e9 + 3600 + jump)
        assert not schedule.due(7200.0, 1e9 + 7200)
    assert [(event["event"], event["seconds"]) for event in events] == [
        ("clock.jumped", round(jump)),
        ("clock.jumped", -round(jump)),
    ]
    assert schedule.due(10_800.0, 1e9 + 10_800)


def test_a_clock_that_stays_where_it_was_set_is_believed_after_an_hour() -> None:
    schedule = retention.Schedule()
    looks = [schedule.due(3600.0 * hour, 1e9 + 3600 * hour + (400 * _DAY if hour else 0)) for hour in range(3)]
    assert looks == [True, False, True]
