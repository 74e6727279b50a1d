"""Findings match what is on disk; health tells a dead daemon from a paused one."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segdrop import doctor, settings
from segdrop.spool import root
from segdrop.spool.layout import RootLayout

_NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    layout = RootLayout(tmp_path)
    root.create(layout)
    return layout


def _board(layout: RootLayout, *, age_seconds: float = 1, state: str = "running", reason: str = "") -> None:
    board = {
        "updated_at": (_NOW - timedelta(seconds=age_seconds)).isoformat(),
        "daemon": {"state": state, "reason": reason},
    }
    layout.status.write_text(json.dumps(board))


def test_a_board_that_a_dead_daemon_left_is_not_health(layout: RootLayout) -> None:
    _board(layout)
    assert doctor.health(layout, _NOW).ok is False


@pytest.mark.parametrize(
    ("age_seconds", "state", "reason", "healthy"),
    [
        (1, "running", "", True),
        (1, "paused", "inbox/PAUSE", True),
        (1, "paused", "disk.low: 5 bytes are free", False),
        (61, "running", "", False),
    ],
)
def test_health_is_a_fresh_board_and_no_fault(
    layout: RootLayout, age_seconds: float, state: str, reason: str, healthy: bool
) -> None:
    _board(layout, age_seconds=age_seconds, state=state, reason=reason)
    with root.held(layout):
        assert doctor.health(layout, _NOW).ok is healthy


@pytest.mark.parametrize("content", [None, "", "{}", "[]"])
def test_an_unreadable_board_is_not_health(layout: RootLayout, content: str | None) -> None:
    if content is not None:
        layout.status.write_text(content)
    with root.held(layout):
        assert doctor.health(layout, _NOW).ok is False


def test_a_root_that_was_never_made_is_found(tmp_path: Path) -> None:
    loaded = settings.load(None, {"root": tmp_path / "absent"}, {})
    findings = {finding.subject: finding.ok for finding in doctor.examine(loaded)}
    assert findings["root"] is False


def test_a_ready_root_passes_every_check(layout: RootLayout) -> None:
    loaded = settings.load(None, {"root": layout.root}, {"SEGDROP_QUEUE__RESERVE_BYTES": "1"})
    findings = {finding.subject: finding.ok for finding in doctor.examine(loaded)}
    assert all(findings[subject] for subject in ("root", "renames", "space"))
    assert not list(layout.inbox.iterdir())


def test_too_little_space_is_found(layout: RootLayout) -> None:
    loaded = settings.load(None, {"root": layout.root}, {"SEGDROP_QUEUE__RESERVE_BYTES": str(10**18)})
    findings = {finding.subject: finding.ok for finding in doctor.examine(loaded)}
    assert findings["space"] is False


def test_large_pages_that_are_switched_off_are_told_with_what_to_do(tmp_path: Path) -> None:
    enabled = tmp_path / "enabled"
    assert doctor.large_pages(enabled).detail == "unknown"
    enabled.write_text("always [madvise] never\n", encoding="ascii")
    assert doctor.large_pages(enabled).detail == "madvise"
    enabled.write_text("always madvise [never]\n", encoding="ascii")
    finding = doctor.large_pages(enabled)
    assert finding.ok is None
    assert f"echo madvise > {enabled}" in finding.detail
