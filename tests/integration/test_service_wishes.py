"""What people say by the names of files: requests, orders, files that are not whole yet. Nothing of it is lost."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Root, commented, wait_until
from segdrop import durable
from segdrop.intake.watch import Wakeup
from segdrop.service.loop import Service
from segdrop.settings import IntakeSettings, Settings
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout

REQUEST = {"epochs": 3, "image_size": 48}


@pytest.fixture
def root(tmp_path: Path) -> Root:
    return Root(tmp_path / "run")


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


def ignored(root: Root) -> dict[str, str]:
    return {entry["name"]: entry["reason"] for entry in root.status()["ignored"]}


def codes(answer: dict[str, Any]) -> list[str]:
    return [issue["code"] for issue in answer["issues"]]


def started(root: Root, name: str) -> int:
    return wait_until(lambda: [pid for other, pid, _ in root.starts() if other == name], f"the start of {name}")[-1]


# requests


@pytest.mark.parametrize(("archive", "request_name"), [("Demo.zip", "demo.json"), ("STRASSE.ZIP", "Straße.Json")])
def test_a_request_in_another_case_is_the_request(root: Root, good: Path, archive: str, request_name: str) -> None:
    (root.layout.inbox / request_name).write_text(json.dumps(REQUEST))
    with root.daemon():
        root.drop(good, archive)
        answer = root.answer(archive)
        kept = root.archived(answer).parent
    request = answer["request"]
    assert (answer["status"], request["epochs"], request["image_size"]) == ("succeeded", 3, 48)
    assert list(root.layout.inbox.iterdir()) == []
    assert {path.name for path in kept.iterdir()} == {archive, request_name, "model.json"}


def test_requests_that_cannot_be_taken_hold_their_zips_and_nobody_else(root: Root, good: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text('{"epochs": 1, "classes": ["of somebody else"]}')
    (root.layout.inbox / "link.json").symlink_to(secret)
    os.mkfifo(root.layout.inbox / "fifo.json")
    (root.layout.inbox / "folder.json").mkdir()
    (root.layout.inbox / "TWO.json").write_text("{}")
    held = ("link.zip", "fifo.zip", "folder.zip", "two.zip", "Two.zip")
    with root.daemon():
        for name in (*held, "good.zip"):
            root.drop(good, name)
        assert root.answer("good.zip")["status"] == "succeeded"
        wait_until(lambda: "symbolic link" in root.reason("link.zip"), "the link is told")
        wait_until(lambda: "named pipe" in root.reason("fifo.zip"), "the FIFO is told")
        wait_until(lambda: "folder" in root.reason("folder.zip"), "the folder is told")
        wait_until(
            lambda: "TWO.json" in root.reason("two.zip") and "TWO.json" in root.reason("Two.zip"), "both are told"
        )
        (root.layout.inbox / "link.json").unlink()
        (root.layout.inbox / "link.json").write_text(json.dumps(REQUEST))
        assert root.answer("link.zip")["request"]["epochs"] == 3
    assert sorted(root.answers()) == ["good.zip", "link.zip"]


@pytest.mark.parametrize("name", ["demo.zip.json", "demo.json.txt", "demo (1).json"])
def test_a_near_miss_is_said_in_the_answer_the_status_and_the_log(root: Root, good: Path, name: str) -> None:
    (root.layout.inbox / name).write_text(json.dumps(REQUEST))
    with root.daemon() as daemon:
        root.drop(good, "demo.zip")
        answer = root.answer("demo.zip")
        assert daemon.wait_for("file.ignored", file=name)["reason"].endswith("call it demo.json")
        assert len(daemon.events("file.ignored")) == 1
        assert daemon.wait_for("request.missed", job=answer["job"])["files"] == [name]
    assert answer["status"] == "succeeded"
    assert answer["request"]["epochs"] != 3
    (issue,) = [issue for issue in answer["issues"] if issue["code"] == "request.near_miss"]
    assert (issue["severity"], issue["files"]) == ("warning", [name])


def test_a_late_request_is_said_and_never_taken_by_the_next_zip_unless_it_is_touched(root: Root, good: Path) -> None:
    root.plan(late={"hold": 0})
    request = root.layout.inbox / "Late.json"
    with root.daemon() as daemon:
        root.drop(good, "late.zip")
        started(root, "late.zip")
        request.write_text(json.dumps(REQUEST))
        daemon.wait_for("request.missed", code="request.late")
        wait_until(lambda: "touch it" in ignored(root).get("Late.json", ""), "the status says so")
        root.flag("release")
        first = root.answer("late.zip")
        root.archived(first)
        assert daemon.stop() == 0
    assert (first["status"], codes(first).count("request.late")) == ("succeeded", 1)
    again = root.layout.inbox / "late.zip"
    with root.daemon():  # after a restart
        again.write_bytes(commented(good, "another"))
        wait_until(lambda: "Late.json" in root.reason("late.zip"), "the next one waits, and says for what")
        os.utime(request)
        published = wait_until(lambda: newer(root, first), "it was touched")
    assert (published["request"]["epochs"], codes(published).count("request.late")) == (3, 0)
    assert list(root.layout.inbox.iterdir()) == []


def newer(root: Root, first: dict[str, Any]) -> dict[str, Any] | None:
    answers = [json.loads(path.read_bytes()) for path in root.layout.outbox.glob("late-*.json")]
    return next((answer for answer in answers if answer["job"] != first["job"]), None)


def test_conflict_copies_of_sync_tools_are_no_jobs_and_told(root: Root, good: Path) -> None:
    copies = ["demo.sync-conflict-20260101-120000-ABCDEFG.zip", "demo (Anna's conflicted copy 2026-01-01).zip"]
    with root.daemon():
        for name in (*copies, "demo.zip"):
            root.drop(good, name)
        assert root.answer("demo.zip")["status"] == "succeeded"
        wait_until(lambda: all("conflict copy" in ignored(root).get(name, "") for name in copies), "both are told")
    assert list(root.answers()) == ["demo.zip"]


# orders


@pytest.mark.parametrize("spelling", [lambda job: f"{job}.CANCEL", lambda job: f"{job.upper()}.Cancel"])
def test_a_cancellation_in_any_case_is_obeyed(root: Root, good: Path, spelling: Callable[[str], str]) -> None:
    root.plan(good={"hold": 0})
    with root.daemon() as daemon:
        root.drop(good)
        started(root, "good.zip")
        job = daemon.wait_for("job.started")["job"]
        (root.layout.inbox / spelling(job)).touch()
        answer = root.answer("good.zip")
        assert answer["status"] == "cancelled"
        root.archived(answer)
        root.flag("release")
        (root.layout.inbox / f"{job}.Retry").touch()
        assert daemon.wait_for("job.delivered")["outcome"] == "succeeded"
        assert list(root.layout.inbox.iterdir()) == []


def test_pause_in_any_case_is_obeyed(root: Root, good: Path) -> None:
    (root.layout.inbox / "pause").touch()
    with root.daemon():
        root.drop(good)
        wait_until(lambda: root.states().get("good.zip") == "checked", "checked")
        wait_until(lambda: root.status()["daemon"]["state"] == "paused", "the status says so")
        assert root.starts() == []
        (root.layout.inbox / "pause").unlink()
        assert root.answer("good.zip")["status"] == "succeeded"


def test_orders_that_miss_their_name_or_kind_are_answered(root: Root) -> None:
    for name in ("PAUSE.txt", "x.cancel.txt", "pause.json", "y.CANCEL", "z.retry"):
        (root.layout.inbox / name).touch()
    (root.layout.inbox / "PAUSE").mkdir()
    (root.layout.inbox / "w.cancel").symlink_to("/nowhere")
    os.mkfifo(root.layout.inbox / "v.retry")
    expected = {
        "PAUSE.txt": "not obeyed: call it PAUSE, without .txt",
        "pause.json": "not obeyed: call it PAUSE, without .json",
        "x.cancel.txt": "not obeyed: call it x.cancel, without .txt",
        "y.CANCEL": "there is no such job at work",
        "z.retry": "there is no such job in failed/ or done/",
        "PAUSE": "not obeyed: it is a folder, and an order is an ordinary file (it may be empty)",
        "w.cancel": "not obeyed: it is a symbolic link, and an order is an ordinary file (it may be empty)",
        "v.retry": "not obeyed: it is a named pipe (FIFO), and an order is an ordinary file (it may be empty)",
    }
    with root.daemon() as daemon:
        wait_until(lambda: ignored(root) == expected, "each has its reason")
        assert root.status()["daemon"]["state"] == "running"
        said = {event["file"] for event in daemon.events("file.ignored")}
        assert said == set(expected)
        assert len(daemon.events("file.ignored")) == len(expected), "once each"


# what is not whole yet


def test_a_segmented_download_that_stalls_is_not_judged_before_it_is_whole(tmp_path: Path) -> None:
    root = Root(tmp_path / "run", intake__incomplete_seconds=600.0)
    content = write_dataset(tmp_path / "seg.zip", count=60, size=(64, 64)).read_bytes()
    quarter = len(content) // 4
    path = root.layout.inbox / "seg.zip"
    with root.daemon() as daemon, path.open("w+b") as stream:
        control = root.layout.inbox / "seg.zip.aria2"
        control.write_bytes(b"x")
        stream.truncate(len(content))
        for part in (slice(0, quarter), slice(len(content) - quarter, len(content))):
            stream.seek(part.start)
            stream.write(content[part])
        stream.flush()
        wait_until(lambda: "still arriving" in root.reason("seg.zip"), "it is told to be arriving")
        control.unlink()  # another tool has none
        daemon.wait_for("file.waiting", reason="looks incomplete: parts in the middle are missing, still arriving")
        stream.seek(quarter)
        stream.write(content[quarter : len(content) - quarter])
        stream.close()
        answer = root.answer("seg.zip")
    assert answer["status"] == "succeeded", answer["issues"]


# links that take the place of files


@pytest.mark.parametrize("name", ["good.zip", "good.json"])
def test_a_link_swapped_in_at_the_claim_is_answered_and_never_followed(
    tmp_path: Path, good: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    layout = RootLayout(tmp_path / "root")
    spool_root.create(layout)
    (layout.inbox / "good.json").write_text("{}")
    (layout.inbox / "good.zip").write_bytes(good.read_bytes())
    secret = tmp_path / "secret"
    secret.write_bytes(good.read_bytes() if name == "good.zip" else b'{"epochs": 1}')
    move = durable.move

    def swapping(source: Path, target: Path) -> None:
        if source == layout.inbox / name:
            source.unlink()
            source.symlink_to(secret)
        move(source, target)

    monkeypatch.setattr(durable, "move", swapping)
    service = Service(Settings(root=layout.root, intake=IntakeSettings(settle_seconds=0)), Wakeup())
    service.recover()

    def answer() -> dict[str, Any] | None:
        service.turn()
        return next((json.loads(path.read_bytes()) for path in layout.outbox.glob("good-*.json")), None)

    found = wait_until(answer, "the answer")
    service.stop()
    assert (found["status"], codes(found)) == ("rejected", ["input.not_regular"])
    assert secret.exists()


# once


def once(root: Root) -> tuple[int, dict[str, str]]:
    """Exit status, and what was said to have been left."""
    with root.daemon(command="once") as daemon:
        status = daemon.process.wait(60)
        left = daemon.events("file.left")
    assert len(left) == len({event["file"] for event in left}), "one line each"
    return status, {event["file"]: event["reason"] for event in left}


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("mydata", "folder"),
        ("x.rar", "pack the dataset as .zip"),
        ("y.json", "a request without its ZIP"),
        ("z.zip", "symbolic link"),
        ("notes.txt", "not a .zip or .json file, nor an image or a video"),
        ("pipe.zip", "named pipe"),
        ("PAUSE", "no job is started while it is there"),
        ("PAUSE.txt", "call it PAUSE"),
        ("x.cancel", "no such job"),
        ("x.sync-conflict-20260101-120000.zip", "conflict copy"),
    ],
)
def test_once_says_what_it_left_behind_and_exits_with_75(root: Root, name: str, reason: str) -> None:
    path = root.layout.inbox / name
    match name:
        case "mydata":
            path.mkdir()
        case "z.zip":
            path.symlink_to("/etc/hostname")
        case "pipe.zip":
            os.mkfifo(path)
        case _:
            path.write_text("{}")
    status, left = once(root)
    assert status == 75
    assert reason in left.pop(name)
    assert left == {}


def test_once_exits_with_0_where_nobody_waits_for_what_is_left(root: Root, good: Path) -> None:
    for name in (".hidden", "Thumbs.db", "x.zip.part", "~$notes.docx"):
        (root.layout.inbox / name).touch()
    (root.layout.inbox / "@eaDir").mkdir()
    root.drop(good)
    assert once(root) == (0, {})


def test_once_says_which_zips_wait_and_why(root: Root, good: Path) -> None:
    root.drop(good, "held.zip")
    (root.layout.inbox / "held.json").symlink_to("/etc/hostname")
    root.drop(good, "good.zip")
    status, left = once(root)
    assert status == 75
    assert sorted(left) == ["held.json", "held.zip"]
    assert list(root.answers()) == ["good.zip"]


def test_once_says_which_jobs_a_pause_holds_back(root: Root, good: Path) -> None:
    (root.layout.inbox / "PAUSE").touch()
    root.drop(good)
    with root.daemon(command="once") as daemon:
        assert daemon.process.wait(60) == 75
        (event,) = daemon.events("job.left")
    assert (event["input"], event["state"], event["reason"]) == ("good.zip", "checked", "inbox/PAUSE")


def test_once_does_not_call_it_a_success_where_a_wish_was_not_read(root: Root, good: Path) -> None:
    (root.layout.inbox / "good.json.txt").write_text(json.dumps(REQUEST))
    root.drop(good)
    status, left = once(root)
    assert (status, list(left)) == (75, ["good.json.txt"])
    assert root.answers()["good.zip"]["status"] == "succeeded"


# what somebody names on the command line is theirs to name


def test_check_follows_a_link_that_the_caller_names(root: Root, good: Path, tmp_path: Path) -> None:
    (tmp_path / "link.zip").symlink_to(good)
    assert root.command("check", tmp_path / "link.zip").returncode == 0


def test_train_takes_a_conflict_copy_that_the_caller_names(root: Root, good: Path, tmp_path: Path) -> None:
    copy = good.rename(tmp_path / "good (Anna's conflicted copy 2026-01-01).zip")
    result = root.command("train", copy, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
