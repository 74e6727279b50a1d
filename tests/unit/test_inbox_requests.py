"""Wishes beside a ZIP: taken, or the ZIP waits, or it is said. None is passed over in silence."""

import os
import socket
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from builders.spool import job_record, small_zip
from segdrop.intake.inbox import Arrival, Inbox, QuickCheckAnswer
from segdrop.intake.settle import Stamp, stamp_of
from segdrop.settings import IntakeSettings
from segdrop.spool.job import Job

SETTINGS = IntakeSettings(settle_seconds=5, incomplete_seconds=300, scan_seconds=2)
LONG = 1000.0


def inbox_of(folder: Path, late_path: Path | None = None) -> Inbox:
    return Inbox(folder, SETTINGS, late_path=late_path)


def drop(folder: Path, *names: str) -> None:
    for name in names:
        if name.lower().endswith(".zip"):
            small_zip(folder / name)
        else:
            (folder / name).write_text("{}")


def make(path: Path, kind: str) -> None:
    match kind:
        case "link":
            path.symlink_to("/etc/hostname")
        case "dangling link":
            path.symlink_to("/nowhere")
        case "pipe":
            os.mkfifo(path)
        case "folder":
            path.mkdir()
        case "socket":
            with socket.socket(socket.AF_UNIX) as server:
                server.bind(os.path.relpath(path))


def settle_stamp(path: Path) -> Stamp:
    return stamp_of(path.lstat())


def settle(inbox: Inbox, now: float, *jobs: Job) -> None:
    inbox.scan(now, jobs)
    inbox.scan(now + SETTINGS.settle_seconds, jobs)


def taken(inbox: Inbox) -> dict[str, str | None]:
    """What would be checked next, with its request."""
    return {arrival.name: arrival.sidecar_name for arrival in inbox.to_check()}


def waiting(inbox: Inbox) -> dict[str, str]:
    return {name: arrival.reason for name, arrival in inbox.arrivals.items() if not arrival.settled}


def claimed(inbox: Inbox, name: str) -> Arrival:
    """As the admission does it."""
    arrival = inbox.arrivals[name]
    arrival.quick_check = QuickCheckAnswer([], accepted=True)
    arrival.job_id = f"{name}-job"
    (inbox.folder / name).unlink()
    if arrival.sidecar_name:
        (inbox.folder / arrival.sidecar_name).unlink()
    inbox.forget(arrival)
    return arrival


# requests that cannot be taken hold their ZIP


KINDS = ["link", "dangling link", "pipe", "folder", "socket"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["demo.json", "DEMO.json"])
def test_a_request_that_is_no_regular_file_holds_its_zip_and_is_named(tmp_path: Path, kind: str, name: str) -> None:
    drop(tmp_path, "demo.zip")
    make(tmp_path / name, kind)
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    inbox.scan(LONG)
    assert taken(inbox) == {}
    assert f"its request {name} cannot be taken: it is" in waiting(inbox)["demo.zip"]
    assert name in inbox.bystanders
    assert not inbox.unsettled(), "nothing that waits by itself would change this"


@pytest.mark.parametrize("kind", KINDS)
def test_it_goes_on_with_the_file_itself_once_it_has_settled(tmp_path: Path, kind: str) -> None:
    drop(tmp_path, "demo.zip")
    path = tmp_path / "demo.json"
    make(path, kind)
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()
    drop(tmp_path, "demo.json")
    inbox.scan(50)
    assert taken(inbox) == {}
    inbox.scan(55)
    assert taken(inbox) == {"demo.zip": "demo.json"}


def test_a_request_that_fits_two_zips_holds_both_until_it_has_the_name_of_one(tmp_path: Path) -> None:
    drop(tmp_path, "Demo.zip", "demo.zip", "DEMO.json")
    inbox = inbox_of(tmp_path)
    with capture_logs() as events:
        settle(inbox, 0)
        inbox.scan(LONG)
    assert taken(inbox) == {}
    assert all("DEMO.json" in reason for reason in waiting(inbox).values())
    assert len([event for event in events if event["event"] == "file.waiting"]) == 2, "said once for each"
    (tmp_path / "DEMO.json").rename(tmp_path / "demo.json")
    settle(inbox, LONG + 1)
    assert taken(inbox) == {"demo.zip": "demo.json", "Demo.zip": None}


def test_a_zip_does_not_go_without_its_request_while_people_are_putting_it_right(tmp_path: Path) -> None:
    """They take the wrong one away, and copy the right one a moment later."""
    drop(tmp_path, "demo.zip", "Demo.json", "DEMO.json")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    inbox.scan(LONG)
    (tmp_path / "Demo.json").unlink()
    (tmp_path / "DEMO.json").unlink()
    inbox.scan(LONG + 1)
    assert taken(inbox) == {}
    drop(tmp_path, "demo.json")
    settle(inbox, LONG + 3)
    assert taken(inbox) == {"demo.zip": "demo.json"}


# near misses are said


@pytest.mark.parametrize(
    "name",
    ["demo.zip.json", "demo.json.txt", "demo.jsn", "demo .json", "demo (1).json", "demo_request.json", "demo.yaml"],
)
def test_a_near_miss_is_said_in_the_status_the_log_and_the_answer(tmp_path: Path, name: str) -> None:
    drop(tmp_path, "demo.zip", name)
    inbox = inbox_of(tmp_path)
    with capture_logs() as events:
        settle(inbox, 0)
    assert taken(inbox) == {"demo.zip": None}, "it is taken as before"
    assert inbox.bystanders[name].endswith("call it demo.json")
    assert [event["file"] for event in events if event["event"] == "file.ignored"] == [name]
    (issue,) = inbox.arrivals["demo.zip"].remarks
    assert (issue.code, issue.severity, issue.files) == ("request.near_miss", "warning", (name,))


def test_a_zip_with_its_request_has_nothing_to_say_about_others(tmp_path: Path) -> None:
    drop(tmp_path, "demo.zip", "demo.json", "demo.json.bak", "demo (1).json", "demo (1).zip")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    assert taken(inbox) == {"demo.zip": "demo.json", "demo (1).zip": "demo (1).json"}
    assert [arrival.remarks for arrival in inbox.arrivals.values()] == [(), ()]


def test_a_sync_tools_conflict_copy_is_neither_input_nor_request_and_told(tmp_path: Path) -> None:
    copies = ["demo.sync-conflict-20260101-120000-ABCDEFG.zip", "demo (Anna's conflicted copy 2026-01-01).zip"]
    wish = "demo.sync-conflict-20260101-120000-ABCDEFG.json"
    drop(tmp_path, "demo.zip", wish, *copies)
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    assert taken(inbox) == {"demo.zip": None}
    assert all("rename it if it is wanted" in inbox.bystanders[name] for name in copies)
    assert [issue.files for issue in inbox.arrivals["demo.zip"].remarks] == [(wish,)]


# downloads


@pytest.mark.parametrize("suffix", [".aria2", ".lftp-pget-status", ".st", ".part"])
@pytest.mark.parametrize("beside", ["demo.zip", "demo.json"])
def test_a_whole_zip_with_a_downloader_beside_it_is_still_arriving(tmp_path: Path, suffix: str, beside: str) -> None:
    drop(tmp_path, "demo.zip", beside + suffix)
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    inbox.scan(299)
    assert taken(inbox) == {}
    assert "download" in waiting(inbox)["demo.zip"]
    assert inbox.unsettled()
    (tmp_path / (beside + suffix)).unlink()
    settle(inbox, 299.5)
    assert taken(inbox) == {"demo.zip": None}


def test_what_a_downloader_left_behind_holds_nobody_for_ever(tmp_path: Path) -> None:
    drop(tmp_path, "demo.zip", "demo.zip.aria2")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    inbox.scan(300)
    assert taken(inbox) == {"demo.zip": None}


# late requests


def job(name: str, sidecar: str | None = None, **changes: object) -> Job:
    return job_record(f"{name.lower()[:-4]}-20261121T061500Z-0001", input_name=name, sidecar_name=sidecar, **changes)


def test_a_request_that_comes_after_its_zip_is_told_and_kept_for_nobody(tmp_path: Path) -> None:
    drop(tmp_path, "Demo.json")
    inbox = inbox_of(tmp_path)
    inbox.scan(0, [job("demo.zip")])
    assert "touch it" in inbox.bystanders["Demo.json"]
    ((job_id, issue),) = inbox.late
    assert (job_id, issue.code, issue.severity) == ("demo-20261121T061500Z-0001", "request.late", "warning")
    assert issue.files == ("Demo.json",)
    drop(tmp_path, "demo.zip")
    settle(inbox, 10)  # the first job has ended
    assert taken(inbox) == {}
    assert "Demo.json" in waiting(inbox)["demo.zip"]
    assert not inbox.unsettled()


@pytest.mark.parametrize("still_at_work", [True, False])
def test_a_touch_gives_it_to_the_next_zip(tmp_path: Path, still_at_work: bool) -> None:
    first = [job("demo.zip")] if still_at_work else []
    drop(tmp_path, "demo.json")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0, job("demo.zip"))
    drop(tmp_path, "demo.zip")
    settle(inbox, 10, *first)
    os.utime(tmp_path / "demo.json", ns=(1, 1))
    settle(inbox, 20, *first)
    assert taken(inbox) == {"demo.zip": "demo.json"}


def test_its_removal_lets_the_next_zip_go_without(tmp_path: Path) -> None:
    drop(tmp_path, "demo.json")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0, job("demo.zip"))
    drop(tmp_path, "demo.zip")
    settle(inbox, 10)
    (tmp_path / "demo.json").unlink()
    settle(inbox, 20)
    assert taken(inbox) == {"demo.zip": None}


@pytest.mark.parametrize(
    "earlier",
    [
        job("demo.zip", "demo.json"),  # it had its own
        job("other.zip"),
        job("demo.zip", retry_of="demo-20261120T061500Z-0001"),  # somebody's order, and no claim
        job("DEMO.zip"),  # the request has the exact name of the one that comes now
    ],
)
def test_the_documented_order_works_while_other_jobs_are_at_work(tmp_path: Path, earlier: Job) -> None:
    drop(tmp_path, "demo.json")
    inbox = inbox_of(tmp_path)
    drop(tmp_path, "demo.zip")
    settle(inbox, 0, earlier)
    assert inbox.late == []
    assert taken(inbox) == {"demo.zip": "demo.json"}


def test_a_request_that_lay_there_unseen_at_the_claim_is_late(tmp_path: Path) -> None:
    """Also where the job has been answered before the next scan: a bad ZIP is within milliseconds."""
    drop(tmp_path, "demo.zip")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    claimed(inbox, "demo.zip")
    drop(tmp_path, "demo.json")
    inbox.scan(7)
    assert "touch it" in inbox.bystanders["demo.json"]
    inbox.scan(LONG)
    assert "touch it" in inbox.bystanders["demo.json"]


def test_a_second_request_that_was_passed_over_is_not_taken_by_the_next_zip(tmp_path: Path) -> None:
    drop(tmp_path, "demo.zip", "demo.json", "DEMO.json")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    assert claimed(inbox, "demo.zip").sidecar_name == "demo.json"
    inbox.scan(7)
    drop(tmp_path, "demo.zip")
    settle(inbox, 10)
    assert taken(inbox) == {}
    assert "DEMO.json" in waiting(inbox)["demo.zip"]


def test_a_withdrawn_zip_makes_no_request_late(tmp_path: Path) -> None:
    drop(tmp_path, "demo.zip")
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    (tmp_path / "demo.zip").unlink()
    inbox.forget(inbox.arrivals["demo.zip"])
    drop(tmp_path, "demo.json")
    inbox.scan(7)
    assert inbox.bystanders == {"demo.json": "a request without its ZIP"}


def test_a_restart_forgets_no_late_request(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    drop(folder, "demo.json")
    settle(inbox_of(folder, tmp_path / "late.json"), 0, job("demo.zip"))
    drop(folder, "demo.zip")
    inbox = inbox_of(folder, tmp_path / "late.json")  # the job has ended meanwhile
    settle(inbox, 0)
    assert taken(inbox) == {}
    os.utime(folder / "demo.json", ns=(1, 1))
    settle(inbox, 10)
    assert taken(inbox) == {"demo.zip": "demo.json"}


def test_a_request_that_could_not_follow_its_zip_yet_is_not_given_to_the_next_one(tmp_path: Path) -> None:
    """Somebody has it open on the share, so the rename was refused."""
    drop(tmp_path, "demo.json", "demo.zip")
    identity = settle_stamp(tmp_path / "demo.json").identity
    first = job("demo.zip", "demo.json", sidecar_identity=identity)
    inbox = inbox_of(tmp_path)
    settle(inbox, 0, first)
    assert taken(inbox) == {}
    assert first.id in waiting(inbox)["demo.zip"]
    assert first.id in inbox.bystanders["demo.json"]
    (tmp_path / "demo.json").unlink()
    drop(tmp_path, "demo.json")  # its own
    os.utime(tmp_path / "demo.json", ns=(1, 1))
    settle(inbox, 10, first)
    assert taken(inbox) == {"demo.zip": "demo.json"}


# everything has an outcome


ENTRIES = [
    "a.zip",
    "a.json",
    "a.txt",
    "a.rar",
    "a",
    "PAUSE",
    "x.cancel",
    "x.RETRY",
    "PAUSE.txt",
    "x.cancel.json",
    "a.yaml",
]


@pytest.mark.parametrize("kind", ["file", *KINDS])
@pytest.mark.parametrize("name", ENTRIES)
def test_every_entry_is_taken_or_obeyed_or_has_a_reason(tmp_path: Path, name: str, kind: str) -> None:
    if kind == "file":
        drop(tmp_path, name)
    else:
        make(tmp_path / name, kind)
    inbox = inbox_of(tmp_path)
    settle(inbox, 0)
    obeyed = {order.name for order in inbox.orders} | ({name} if inbox.paused else set())
    outcomes = [name in taken(inbox), name in obeyed, bool(inbox.bystanders.get(name))]
    assert sum(outcomes) == 1
    if kind != "file":
        assert inbox.bystanders[name]
        assert not inbox.paused


def test_one_entry_that_cannot_be_looked_at_stops_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drop(tmp_path, "good.zip", "bad.zip", "demo.zip", "demo.json")
    lstat = Path.lstat

    def failing(path: Path) -> os.stat_result:
        if path.name in ("bad.zip", "demo.json"):
            raise OSError(5, "Input/output error", str(path))
        return lstat(path)

    inbox = inbox_of(tmp_path)
    monkeypatch.setattr(Path, "lstat", failing)
    settle(inbox, 0)
    assert taken(inbox) == {"good.zip": None}
    assert "demo.json" in waiting(inbox)["demo.zip"], "not without the request that is there"
    assert inbox.bystanders["bad.zip"] == "unreadable: Input/output error"
