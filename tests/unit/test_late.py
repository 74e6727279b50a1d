"""A request that came too late is nobody's until somebody says what it is for; no restart changes that."""

from dataclasses import replace
from pathlib import Path

from structlog.testing import capture_logs

from segdrop.intake.late import LateRequests
from segdrop.intake.settle import Stamp

STAMP = Stamp(device=1, inode=2, size=3, mtime_ns=4, ctime_ns=5)
TOUCHED = replace(STAMP, mtime_ns=99, ctime_ns=99)
NAME = "demo.json"


def marked(path: Path | None = None) -> LateRequests:
    """One request that came too late and has settled."""
    late = LateRequests(path, settle_seconds=5)
    late.look({NAME: STAMP}, {NAME}, now=0)
    late.look({NAME: STAMP}, {NAME}, now=5)
    return late


def test_a_request_that_comes_too_late_is_late_from_the_first_look_on() -> None:
    late = LateRequests(settle_seconds=5)
    late.look({NAME: STAMP, "other.json": STAMP}, {NAME}, now=0)
    assert (NAME, STAMP) in late
    assert ("other.json", STAMP) not in late


def test_it_stays_late_when_its_job_has_ended() -> None:
    late = marked()
    late.look({NAME: STAMP}, set(), now=1000)
    assert (NAME, STAMP) in late


def test_a_touch_frees_it_for_good_also_while_the_job_is_still_at_work() -> None:
    late = marked()
    for now in (6, 7, 100):
        late.look({NAME: TOUCHED}, {NAME}, now)
        assert (NAME, TOUCHED) not in late


def test_a_late_request_that_is_still_being_written_is_not_taken_for_touched() -> None:
    late = LateRequests(settle_seconds=5)
    late.look({NAME: replace(STAMP, size=0)}, {NAME}, now=0)
    late.look({NAME: STAMP}, set(), now=2)
    assert (NAME, STAMP) in late
    late.look({NAME: STAMP}, set(), now=6.9)
    late.look({NAME: TOUCHED}, set(), now=6.95)
    assert (NAME, TOUCHED) in late, "it has not been still for the settle time"


def test_one_that_was_taken_away_is_forgotten() -> None:
    late = marked()
    late.look({}, set(), now=6)
    late.look({NAME: STAMP}, set(), now=7)
    assert (NAME, STAMP) not in late


def test_one_that_cannot_be_looked_at_is_not_forgotten() -> None:
    late = marked()
    late.look({NAME: None}, set(), now=6)
    late.look({NAME: STAMP}, set(), now=7)
    assert (NAME, STAMP) in late


def test_what_is_known_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "late.json"
    marked(path)
    again = LateRequests(path, settle_seconds=5)
    again.look({NAME: STAMP}, set(), now=0)
    assert (NAME, STAMP) in again
    again.look({NAME: TOUCHED}, {NAME}, now=1)
    assert (NAME, TOUCHED) not in again
    third = LateRequests(path, settle_seconds=5)
    third.look({NAME: TOUCHED}, {NAME}, now=0)
    assert (NAME, TOUCHED) not in third, "nor is the touch forgotten"


def test_nothing_is_written_while_nothing_changes(tmp_path: Path) -> None:
    path = tmp_path / "late.json"
    LateRequests(path).look({NAME: STAMP}, set(), now=0)
    assert not path.exists()
    late = marked(path)
    before = path.stat()
    late.look({NAME: STAMP}, {NAME}, now=50)
    assert path.stat() == before


def test_a_file_of_ours_that_cannot_be_understood_stops_nothing(tmp_path: Path) -> None:
    path = tmp_path / "late.json"
    path.write_text('{"demo.json": 1}')
    with capture_logs() as events:
        late = LateRequests(path)
    late.look({NAME: STAMP}, set(), now=0)
    assert (NAME, STAMP) not in late
    assert [event["event"] for event in events] == ["inbox.memory_lost"]
