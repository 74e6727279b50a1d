"""Who is served when: settling, pairing with the sidecar, order, the bounded queue, writers that are not done."""

import hashlib
import json
import os
from datetime import datetime
from pathlib import Path

import pytest

from builders import broken, write_dataset
from builders.daemons import Root, is_alive, wait_until


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


def started(root: Root, name: str) -> int:
    """The PID of the training of that input, once it runs."""
    return wait_until(lambda: [pid for other, pid, _ in root.starts() if other == name], f"the start of {name}")[-1]


def test_text_file_is_answered_while_a_job_trains_and_the_queue_is_full(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", queue__capacity=1)
    root.plan(long={"hold": 0})
    with root.daemon() as daemon:
        root.drop(good, "long.zip")
        started(root, "long.zip")
        for name in ("a.zip", "b.zip", "c.zip"):
            root.drop(good, name)
        daemon.wait_for("queue.full")
        text = tmp_path / "text.zip"
        broken.not_a_zip(text)
        root.drop(text)
        encrypted = tmp_path / "encrypted.zip"
        broken.encrypted(encrypted)
        root.drop(encrypted)
        assert root.answer("text.zip")["issues"][0]["code"] == "archive.not_a_zip"
        assert root.answer("encrypted.zip")["issues"][0]["code"] == "archive.encrypted"
        wait_until(lambda: sorted(root.states().values()) == ["checked", "running"], "the answered ones put away")
        wait_until(lambda: root.reason("c.zip") == "waits for a slot in the queue", "the board says what it waits for")
        root.flag("release")
        for name in ("long.zip", "a.zip", "b.zip", "c.zip"):
            assert root.answer(name)["status"] == "succeeded"
        # said once, however many turns it was full for
        assert [event["capacity"] for event in daemon.events("queue.full")] == [1]


def test_higher_priority_goes_first_then_who_came_first(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", queue__capacity=1)
    root.plan(long={"hold": 0})
    with root.daemon() as daemon:
        root.drop(good, "long.zip")
        started(root, "long.zip")
        root.drop(good, "queued.zip")
        wait_until(lambda: root.states().get("queued.zip") == "checked", "the one slot taken")
        root.drop(good, "z_first.zip")
        root.drop(good, "low.zip", {"priority": -5})
        root.drop(good, "a_second.zip")
        root.drop(good, "urgent.zip", {"priority": 7})
        waiting = ("z_first.zip", "low.zip", "a_second.zip", "urgent.zip")
        wait_until(lambda: all(root.reason(name).startswith("waits for") for name in waiting), "all four waiting")
        root.flag("release")
        root.answer("low.zip")
        assert daemon.stop() == 0
    trained = [name for name, _, _ in root.starts()]
    assert trained == ["long.zip", "queued.zip", "urgent.zip", "z_first.zip", "a_second.zip", "low.zip"]


def test_zip_that_is_deleted_while_it_waits_is_withdrawn(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", queue__capacity=1)
    root.plan(long={"hold": 0})
    with root.daemon() as daemon:
        for name in ("long.zip", "queued.zip"):
            root.drop(good, name)
        started(root, "long.zip")
        withdrawn = root.drop(good, "withdrawn.zip")
        wait_until(lambda: root.reason("withdrawn.zip").startswith("waits for"), "it waits")
        withdrawn.unlink()
        root.flag("release")
        root.archived(root.answer("queued.zip"))
        wait_until(lambda: not root.status()["inbox"] and not root.status()["jobs"], "nothing left to do")
        assert daemon.stop() == 0
    assert "withdrawn.zip" not in root.answers()
    assert root.states() == {}


def test_sidecar_that_comes_after_its_zip_within_the_settle_time_is_used(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", intake__settle_seconds=2.0)
    with root.daemon() as daemon:
        root.drop(good, "late.zip")
        daemon.wait_for("file.seen", file="late.zip")
        (root.layout.inbox / "late.JSON").write_text('{"level": 5, "seed": 42}')
        request = root.answer("late.zip")["request"]
    assert (request["level"], request["seed"], request["epochs"]) == (5, 42, 30)


def test_sidecar_without_its_zip_is_left_alone_and_named_in_the_status(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    (root.layout.inbox / "alone.json").write_text("{}")
    (root.layout.inbox / "folder").mkdir()
    (root.layout.inbox / "data.rar").write_bytes(b"Rar!")
    with root.daemon():
        root.drop(good, "other.zip")
        root.answer("other.zip")
        ignored = {entry["name"]: entry["reason"] for entry in root.status()["ignored"]}
    assert set(ignored) == {"alone.json", "folder", "data.rar"}
    assert "without its ZIP" in ignored["alone.json"]
    assert "pack" in ignored["folder"]


def test_zip_that_arrives_in_pieces_is_taken_whole_and_once(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", intake__incomplete_seconds=60.0)
    content = good.read_bytes()
    with root.daemon() as daemon:
        with (root.layout.inbox / "slow.zip").open("wb") as stream:
            stream.write(content[:2000])
            stream.flush()
            wait_until(lambda: "incomplete" in root.reason("slow.zip"), "it is known to be incomplete")
            stream.write(content[2000:])
        answer = root.answer("slow.zip")
        assert [event["input"] for event in daemon.events("job.claimed")] == ["slow.zip"]
    assert answer["status"] == "succeeded"
    assert answer["input"]["sha256"] == hashlib.sha256(content).hexdigest()


def test_file_that_a_writer_changes_before_its_check_is_read_as_it_is_in_the_end(tmp_path: Path, good: Path) -> None:
    """A complete ZIP, claimed, and then replaced through the handle that its writer still has."""
    longer = write_dataset(tmp_path / "longer.zip", count=9).read_bytes()
    root = Root(tmp_path / "run", intake__settle_seconds=1.0)
    hold = root.flag("hold-check")
    with root.daemon() as daemon:
        target = root.drop(good, "open.zip")
        with target.open("r+b") as writer:
            daemon.wait_for("job.claimed")
            assert not target.exists()
            # the check has been started, and has not looked at the file yet
            wait_until(daemon.children, "the check's start")
            writer.write(longer)
            writer.flush()
            os.fsync(writer.fileno())
            hold.unlink()
            answer = root.answer("open.zip")
        kept = root.archived(answer)
        changed, queued = (
            datetime.fromisoformat(daemon.wait_for(event)["timestamp"]) for event in ("file.waiting", "job.queued")
        )
    assert (queued - changed).total_seconds() >= 1.0  # it settled again before it was read again
    assert answer["status"] == "succeeded"
    assert answer["dataset"]["pairs"] == 9
    assert answer["input"]["bytes"] == len(longer)
    assert answer["input"]["sha256"] == hashlib.sha256(longer).hexdigest()
    assert kept.read_bytes() == longer


def test_file_that_grows_after_the_claim_settles_again_before_it_is_checked(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", intake__settle_seconds=1.0)
    longer = write_dataset(tmp_path / "longer.zip", count=9).read_bytes()
    hold = root.flag("hold-check")
    with root.daemon() as daemon:
        root.drop(good, "first.zip")  # keeps the one check busy
        daemon.wait_for("job.claimed", input="first.zip")
        target = root.drop(good, "open.zip")
        with target.open("r+b") as writer:
            daemon.wait_for("job.claimed", input="open.zip")
            writer.write(longer)
            writer.flush()
            hold.unlink()
            answer = root.answer("open.zip")
        waits = daemon.events("file.waiting")
    assert [event["file"] for event in waits] == ["open.zip"]
    assert answer["dataset"]["pairs"] == 9
    assert answer["input"]["bytes"] == len(longer)


def test_same_name_again_is_another_job(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    with root.daemon() as daemon:
        first = root.drop(good, "data.zip")
        wait_until(lambda: not first.exists(), "the claim")
        write_dataset(first, count=7)
        wait_until(lambda: len(daemon.events("job.delivered")) == 2, "two deliveries")
    jobs = {event["job"] for event in daemon.events("job.delivered")}
    assert len(jobs) == 2
    assert {path.stem for path in root.layout.outbox.glob("data-*.json")} == jobs


def test_same_input_and_request_again_is_answered_by_the_result_that_is_there(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    with root.daemon() as daemon:
        root.drop(good)
        first = root.answer("good.zip")
        (tmp_path / "again.zip").write_bytes(good.read_bytes())
        root.drop(tmp_path / "again.zip")
        again = root.answer("again.zip")
        kept = root.archived(again)
        root.drop(tmp_path / "again.zip", request={"seed": 1})
        wait_until(lambda: len(daemon.events("job.delivered")) == 2, "another request is another job")
    assert (again["status"], again["duplicate_of"], again["result"]) == ("duplicate", first["job"], None)
    assert kept.parent.parent == root.layout.done
    assert [name for name, _, _ in root.starts()] == ["good.zip", "again.zip"]


def test_pause_file_holds_back_training_and_not_the_answers(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    (root.layout.inbox / "PAUSE").touch()
    with root.daemon():
        root.drop(good)
        broken.not_a_zip(tmp_path / "text.zip")
        root.drop(tmp_path / "text.zip")
        assert root.answer("text.zip")["status"] == "rejected"
        wait_until(lambda: root.states().get("good.zip") == "checked", "checked")
        wait_until(lambda: root.status()["daemon"]["state"] == "paused", "the status says so")
        assert root.starts() == []
        (root.layout.inbox / "PAUSE").unlink()
        assert root.answer("good.zip")["status"] == "succeeded"


def test_cancelled_job_ends_its_child_and_keeps_its_input(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    root.plan(good={"hold": 0, "deaf": True})
    with root.daemon() as daemon:
        root.drop(good)
        pid = started(root, "good.zip")
        job = daemon.wait_for("job.started")["job"]
        (root.layout.inbox / f"{job}.cancel").touch()
        answer = root.answer("good.zip")
        assert answer["status"] == "cancelled"
        assert not is_alive(pid)
        kept = root.archived(answer)
        assert kept.read_bytes() == good.read_bytes()
        assert list(root.layout.inbox.iterdir()) == []
        # and again, with a second name for the same input
        root.flag("release")
        (root.layout.inbox / f"{job}.retry").touch()
        again = wait_until(lambda: daemon.events("job.delivered"), "the retry")[0]["job"]
    result = json.loads(root.layout.published_json(again).read_bytes())
    assert (result["status"], result["retry_of"]) == ("succeeded", job)
    assert kept.exists()
