import errno
import os
import unicodedata
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from builders.spool import small_zip
from segdrop import regular_files
from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.intake.inbox import Arrival, Inbox, QuickCheckAnswer
from segdrop.intake.settle import FileEnding
from segdrop.settings import IntakeSettings

SETTINGS = IntakeSettings(settle_seconds=5, incomplete_seconds=300, scan_seconds=2)


def inbox_of(folder: Path, **changes: object) -> Inbox:
    return Inbox(folder, IntakeSettings(**(SETTINGS.model_dump() | changes)))


def only(inbox: Inbox) -> Arrival:
    (arrival,) = inbox.arrivals.values()
    return arrival


def accept(arrival: Arrival, priority: int = 0) -> None:
    arrival.quick_check = QuickCheckAnswer([], accepted=True, priority=priority)


def fail_to_read(path: Path) -> FileEnding:
    raise PermissionError(errno.EACCES, "Permission denied", str(path))


def test_a_whole_zip_settles_after_the_settle_time_and_not_before(tmp_path: Path) -> None:
    small_zip(tmp_path / "a.zip")
    inbox = inbox_of(tmp_path)
    inbox.scan(100)
    inbox.scan(104.9)
    assert inbox.to_check() == []
    inbox.scan(105)
    assert [arrival.name for arrival in inbox.to_check()] == ["a.zip"]


def test_a_file_that_grows_is_never_looked_into(tmp_path: Path) -> None:
    path = small_zip(tmp_path / "a.zip")
    looks = []
    inbox = Inbox(tmp_path, SETTINGS, lambda path: looks.append(path) or FileEnding.COMPLETE)
    for now in range(0, 40, 4):
        with path.open("ab") as stream:
            stream.write(b"more")
        inbox.scan(now)
    assert looks == []


def test_a_zip_that_looks_incomplete_waits_with_a_reason_and_is_then_checked(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(small_zip(tmp_path / "b.tmp").read_bytes()[:-5])
    inbox = inbox_of(tmp_path)
    for now in (0, 5, 299):
        inbox.scan(now)
    assert inbox.to_check() == []
    assert "incomplete" in only(inbox).reason
    inbox.scan(300)
    assert inbox.to_check() == [only(inbox)]


def test_what_cannot_be_a_zip_is_checked_after_the_settle_time(tmp_path: Path) -> None:
    """It need not wait for an end that will never come; the check says what it is instead."""
    (tmp_path / "a.zip").write_text("hello")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    inbox.scan(5)
    assert inbox.to_check() == [only(inbox)]


@pytest.mark.parametrize(
    ("archive", "sidecar"),
    [
        ("a.zip", "a.json"),
        ("a.ZIP", "a.json"),
        ("a.zip", "a.JSON"),
        ("a.b.zip", "a.b.json"),
        ("Demo.zip", "demo.json"),
        ("DEMO.ZIP", "Demo.Json"),
        ("Straße.zip", "STRASSE.json"),
        (unicodedata.normalize("NFC", "Zoë.zip"), unicodedata.normalize("NFD", "Zoë.json")),
        (unicodedata.normalize("NFD", "Zoë.zip"), unicodedata.normalize("NFC", "Zoë.json")),
    ],
)
def test_a_sidecar_belongs_to_the_zip_of_the_same_stem(tmp_path: Path, archive: str, sidecar: str) -> None:
    small_zip(tmp_path / archive)
    (tmp_path / sidecar).write_text("{}")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    assert only(inbox).sidecar_name == sidecar
    assert inbox.bystanders == {}


def test_a_request_of_another_name_is_never_used(tmp_path: Path) -> None:
    small_zip(tmp_path / "a.zip")
    (tmp_path / "b.json").write_text("{}")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    assert only(inbox).sidecar_name is None
    assert inbox.bystanders == {"b.json": "a request without its ZIP"}


def test_which_sidecar_is_used_does_not_depend_on_the_order_of_the_listing(tmp_path: Path) -> None:
    for name in ("a.zip", "a.ZIP"):
        small_zip(tmp_path / name)
    for name in ("a.json", "a.JSON", "a.Json"):
        (tmp_path / name).write_text("{}")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    assert {arrival.name: arrival.sidecar_name for arrival in inbox.arrivals.values()} == {
        "a.ZIP": "a.JSON",
        "a.zip": "a.json",
    }
    assert inbox.bystanders == {"a.Json": "a second request beside a.json"}, "it is shown, not forgotten"


def test_a_late_or_changed_sidecar_makes_the_pair_settle_again(tmp_path: Path) -> None:
    small_zip(tmp_path / "a.zip")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    inbox.scan(5)
    accept(only(inbox))
    (tmp_path / "a.json").write_text("{}")
    inbox.scan(6)
    assert inbox.ready() == []
    assert only(inbox).sidecar_name == "a.json"
    inbox.scan(11)
    assert len(inbox.to_check()) == 1


def test_a_zip_that_is_replaced_after_its_check_is_checked_again(tmp_path: Path) -> None:
    small_zip(tmp_path / "a.zip")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    inbox.scan(5)
    accept(only(inbox))
    small_zip(tmp_path / "new.tmp", "another").rename(tmp_path / "a.zip")
    inbox.scan(6)
    assert only(inbox).quick_check is None
    assert inbox.to_check() == []


def test_a_withdrawn_zip_is_forgotten(tmp_path: Path) -> None:
    path = small_zip(tmp_path / "a.zip")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    path.unlink()
    inbox.scan(5)
    assert inbox.arrivals == {}


def test_a_zip_that_goes_while_it_is_looked_at_is_no_error(tmp_path: Path) -> None:
    path = small_zip(tmp_path / "a.zip")

    def withdraw(_path: Path) -> FileEnding:
        path.unlink()
        raise FileNotFoundError

    inbox = Inbox(tmp_path, SETTINGS, withdraw)
    inbox.scan(0)
    inbox.scan(5)
    assert inbox.to_check() == []
    inbox.scan(6)
    assert inbox.arrivals == {}


def test_an_unreadable_zip_waits_with_a_reason_and_is_taken_once_it_can_be_read(tmp_path: Path) -> None:
    small_zip(tmp_path / "a.zip")
    looks = 0

    def read(path: Path) -> FileEnding:
        nonlocal looks
        looks += 1
        return fail_to_read(path) if looks < 3 else FileEnding.COMPLETE

    inbox = Inbox(tmp_path, SETTINGS, read)
    inbox.scan(0)
    inbox.scan(5)
    assert only(inbox).reason == "unreadable: Permission denied"
    assert not inbox.unsettled(), "nothing that waits by itself would change this"
    inbox.scan(7)
    inbox.scan(9)
    assert len(inbox.to_check()) == 1


def test_an_unreadable_sidecar_is_found_by_the_scan_and_by_no_child(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_zip(tmp_path / "a.zip")
    (tmp_path / "a.json").write_text("{}")
    original = regular_files.open_descriptor

    def refusing(path: Path) -> int:
        return fail_to_read(path) if path.name == "a.json" else original(path)  # type: ignore[return-value]

    inbox = inbox_of(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(regular_files, "open_descriptor", refusing)
        for now in (0, 5, 7, 9):
            inbox.scan(now)
            assert inbox.to_check() == []
    assert only(inbox).reason == "unreadable: Permission denied"
    inbox.scan(11)
    assert len(inbox.to_check()) == 1


def test_what_cannot_be_read_is_not_tried_more_often_than_scans_are_set(tmp_path: Path) -> None:
    small_zip(tmp_path / "a.zip")
    inbox = Inbox(tmp_path, SETTINGS, fail_to_read)
    inbox.scan(0)
    inbox.scan(5)
    assert inbox.next_due(5) == SETTINGS.scan_seconds
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    inbox.scan(5)
    inbox.postpone(only(inbox), "unreadable: its sidecar")
    assert inbox.next_due(5) == SETTINGS.scan_seconds


def test_a_postponed_zip_is_checked_again_and_complained_about_once(tmp_path: Path) -> None:
    small_zip(tmp_path / "a.zip")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    with capture_logs() as events:
        for now in (5, 7, 9):
            inbox.scan(now)
            (arrival,) = inbox.to_check()
            inbox.postpone(arrival, "unreadable: its sidecar")
            assert inbox.to_check() == []
    assert [event["reason"] for event in events if event["event"] == "file.waiting"] == ["unreadable: its sidecar"]


def test_an_unreadable_folder_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        inbox_of(tmp_path / "gone").scan(0)


def test_order_is_priority_then_arrival_then_name(tmp_path: Path) -> None:
    for name in ("c.zip", "b.zip", "a.zip", "d.zip"):
        small_zip(tmp_path / name)
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    inbox.scan(5)
    arrived = {"a.zip": 30, "b.zip": 20, "c.zip": 20, "d.zip": 99}
    for arrival in inbox.to_check():
        observed = arrival.observation
        stamp = replace(observed.archive, ctime_ns=arrived[arrival.name])
        arrival.observation = replace(observed, archive=stamp)
        accept(arrival, priority=7 if arrival.name == "d.zip" else 0)
    assert [arrival.name for arrival in inbox.ready()] == ["d.zip", "b.zip", "c.zip", "a.zip"]


def test_an_old_modification_time_does_not_push_a_new_file_forward(tmp_path: Path) -> None:
    """Copying tools keep modification times; first come is who arrived first."""
    small_zip(tmp_path / "first.zip")
    os.utime(small_zip(tmp_path / "second.zip"), ns=(0, 0))
    inbox = inbox_of(tmp_path, settle_seconds=0)
    inbox.scan(0)
    assert [arrival.name for arrival in inbox.to_check()] == ["first.zip", "second.zip"]


def test_the_next_scan_is_due_when_something_settles(tmp_path: Path) -> None:
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    assert inbox.next_due(0) == 2
    small_zip(tmp_path / "a.zip")
    inbox.scan(10)
    assert inbox.next_due(10) == 2
    assert inbox.next_due(14) == 1
    assert inbox.next_due(14.999) == pytest.approx(0.05), "never so soon that the loop spins"
    inbox.scan(15)
    assert inbox.next_due(15) == 2


def test_rejected_and_accepted_are_kept_apart(tmp_path: Path) -> None:
    small_zip(tmp_path / "good.zip")
    small_zip(tmp_path / "bad.zip")
    inbox = inbox_of(tmp_path, settle_seconds=0)
    inbox.scan(0)
    for arrival in inbox.to_check():
        is_good = arrival.name == "good.zip"
        arrival.quick_check = QuickCheckAnswer(
            [] if is_good else [Issue.of(Code.ARCHIVE_EMPTY, "nothing")], accepted=is_good
        )
    assert [arrival.name for arrival in inbox.ready()] == ["good.zip"]
    assert [arrival.name for arrival in inbox.rejected()] == ["bad.zip"]
    for arrival in [*inbox.ready(), *inbox.rejected()]:
        inbox.forget(arrival)
        inbox.forget(arrival)
    assert inbox.arrivals == {}


def test_bystanders_have_reasons_and_links_folders_and_pipes_are_never_opened(tmp_path: Path) -> None:
    (tmp_path / "folder.zip").mkdir()
    (tmp_path / "link.zip").symlink_to(small_zip(tmp_path / "elsewhere.part"))
    os.mkfifo(tmp_path / "pipe.zip")
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "PAUSE").touch()
    inbox = inbox_of(tmp_path, settle_seconds=0)
    inbox.scan(0)
    assert inbox.arrivals == {}
    assert inbox.bystanders == {
        "folder.zip": "it is a folder: pack datasets as a ZIP",
        "link.zip": "it is a symbolic link: copy the file itself",
        "pipe.zip": "it is a named pipe (FIFO): copy an ordinary file",
        "notes.txt": "not a .zip or .json file, nor an image or a video",
        "elsewhere.part": "hidden or temporary name",
    }


def test_what_people_left_without_an_answer_is_told_apart_from_what_nobody_waits_for(tmp_path: Path) -> None:
    for name in ("notes.txt", "lone.json", "x.rar", "pause", ".hidden", "a.zip.part", "Thumbs.db"):
        (tmp_path / name).touch()
    (tmp_path / "folder").mkdir()
    small_zip(tmp_path / "a.zip")
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    left = inbox.left_behind()
    assert set(left) == {"notes.txt", "lone.json", "x.rar", "pause", "folder", "a.zip"}
    assert all(left.values())


def test_the_board_gets_at_most_200_bystanders(tmp_path: Path) -> None:
    for number in range(230):
        (tmp_path / f"{number}.txt").touch()
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    assert len(inbox.bystanders) == 230
    assert len(list(inbox.reported_bystanders())) == 200


def test_what_was_meant_for_us_comes_first_on_a_board_that_does_not_show_all(tmp_path: Path) -> None:
    for number in range(230):
        (tmp_path / f".{number}").touch()
    small_zip(tmp_path / "z.zip")
    meant = ["PAUSE.txt", "z.json.txt", "z.sync-conflict-20260101-120000.zip"]
    for name in (*meant, "notes.txt"):
        (tmp_path / name).touch()
    inbox = inbox_of(tmp_path)
    inbox.scan(0)
    shown = [name for name, _reason in inbox.reported_bystanders()]
    assert sorted(shown[:3]) == sorted(meant)
    assert shown[3] == "notes.txt"
