"""Daemons and children end at any moment: nothing is lost, nobody is left behind, and only crashes are held
against a job.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Root, is_alive, verified_zip, wait_until


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


def started(root: Root, times: int = 1) -> int:
    """The PID of the training that was started as the ``times``-th."""
    return wait_until(lambda: root.starts()[times - 1 : times], f"start {times} of a training")[0][1]


def faults(answer: dict[str, Any]) -> list[dict[str, Any]]:
    """Without what is to be said about so small a dataset."""
    return [issue for issue in answer["issues"] if issue["severity"] == "fault"]


def test_killed_daemon_leaves_no_child_and_the_next_one_resumes_at_the_checkpoint(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    root.plan(good={"epochs": 3, "hold": 2})
    root.drop(good)
    with root.daemon() as daemon:
        pid = started(root)
        daemon.wait_for("epoch.finished", epoch=2)
        daemon.kill()
        wait_until(lambda: not is_alive(pid), "the child's death")
    assert root.states() == {"good.zip": "running"}
    with root.daemon() as daemon:
        assert daemon.wait_for("job.resumed")["state"] == "running"
        started(root, 2)
        root.flag("release")
        answer = root.answer("good.zip")
    assert [first for _, _, first in root.starts()] == [0, 2]
    assert (answer["status"], answer["attempts"]) == ("succeeded", 2)
    verified_zip(root, answer)


def test_daemon_killed_during_the_check_checks_again(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    hold = root.flag("hold-check")
    root.drop(good)
    with root.daemon() as daemon:
        daemon.wait_for("job.claimed")
        (pid,) = wait_until(daemon.children, "the check")
        daemon.kill()
        wait_until(lambda: not is_alive(pid), "the child's death")
    hold.unlink()
    with root.daemon():
        assert root.answer("good.zip")["status"] == "succeeded"


@pytest.mark.parametrize("command", ["inspect", "check"])
@pytest.mark.parametrize(("kills", "status"), [(2, "succeeded"), (3, "rejected")])
def test_check_that_is_killed_from_outside_is_repeated_and_not_for_ever(
    tmp_path: Path, good: Path, command: str, kills: int, status: str
) -> None:
    """Nothing says that the ZIP is at fault: a machine short of memory kills, too."""
    root = Root(tmp_path / "run")
    hold = root.flag(f"hold-{command}")
    root.drop(good)
    with root.daemon() as daemon:
        if command == "check":
            daemon.wait_for("job.claimed")  # the cheap check is over
        held, killed = root.control / f"held-{command}", set[int]()
        for number in range(1, kills + 1):
            wait_until(held.exists, f"{command} number {number}, which has begun with the ZIP")
            (pid,) = wait_until(lambda: set(daemon.children()) - killed, "its process")
            if number == kills:
                hold.unlink()
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
            held.unlink()
        answer = root.answer("good.zip")
        root.archived(answer)
    assert answer["status"] == status
    assert [fault["code"] for fault in faults(answer)] == ["archive.reader_died"] * (status == "rejected")


def test_second_daemon_on_a_root_is_refused_and_the_first_goes_on(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    root.plan(good={"hold": 0})
    root.drop(good)
    with root.daemon() as daemon:
        pid = started(root)
        second = root.command("once")
        assert second.returncode == 75
        assert f"PID {daemon.pid}" in second.stderr
        assert daemon.process.poll() is None
        assert is_alive(pid)
    assert len(root.starts()) == 1


def test_sigterm_stops_the_training_and_the_attempt_is_not_held_against_the_job(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", training__max_attempts=1)
    root.plan(good={"epochs": 2, "hold": 0})
    root.drop(good)
    for number in (1, 2):
        with root.daemon() as daemon:
            pid = started(root, number)
            assert daemon.stop() == 0
            assert not is_alive(pid)
            assert daemon.events("child.crashed") == []
        assert root.states() == {"good.zip": "running"}
    assert root.status()["daemon"]["state"] == "stopped"
    root.flag("release")
    with root.daemon():
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"]) == ("succeeded", 3)


def test_training_that_does_not_stop_is_ended_in_time_and_not_held_against_the_job(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", training__max_attempts=1, service__stop_seconds=1.0)
    root.plan(good={"hold": 0, "deaf": True})
    root.drop(good)
    with root.daemon() as daemon:
        pid = started(root)
        assert daemon.stop() == 0
        assert not is_alive(pid)
        assert [event["reason"] for event in daemon.events("child.killed")] == ["it did not stop in time"]
    root.flag("release")
    with root.daemon():
        assert root.answer("good.zip")["status"] == "succeeded"


@pytest.mark.parametrize(
    ("ending", "detail"),
    [("raise", "told to raise"), ("die", "SIGKILL"), ("silent", "without an answer")],
)
def test_child_that_crashes_every_time_is_tried_again_and_then_answered(
    tmp_path: Path, good: Path, ending: str, detail: str
) -> None:
    root = Root(tmp_path / "run", training__max_attempts=2)
    root.plan(good={"ending": ending, "ending_at": 0})
    with root.daemon() as daemon:
        root.drop(good)
        answer = root.answer("good.zip")
        kept = root.archived(answer)
        assert len(daemon.events("child.crashed")) == 2
    assert (answer["status"], answer["attempts"], answer["result"]) == ("failed", 2, None)
    fault = faults(answer)[0]
    assert fault["code"] == "train.crashed"
    assert detail in fault["message"]
    assert kept.read_bytes() == good.read_bytes()
    log = (kept.parent / "log.txt").read_text()
    assert {"raise": "RuntimeError", "die": "standin.dying", "silent": ""}[ending] in log
    assert json.loads((kept.parent / "error.json").read_text())["job"] == answer["job"]


def test_crashes_that_bring_the_job_further_are_not_added_up(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", training__max_attempts=2)
    root.plan(good={"epochs": 3, "ending": "die", "further": True})
    root.drop(good)
    with root.daemon():
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"]) == ("succeeded", 4)
    assert [first for _, _, first in root.starts()] == [0, 1, 2, 3]


def test_fault_of_the_data_found_in_training_is_not_tried_again(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    root.plan(good={"ending": "not_finite"})
    root.drop(good)
    with root.daemon():
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"]) == ("failed", 1)
    assert [fault["code"] for fault in faults(answer)] == ["train.not_finite"]


def test_stalled_training_is_ended_and_tried_again(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", training__stall_seconds=1.0, training__max_attempts=2)
    root.plan(good={"hold": 0, "deaf": True})
    root.drop(good)
    with root.daemon() as daemon:
        pid = started(root)
        answer = root.answer("good.zip")
        assert not is_alive(pid)
        # one that had not begun yet, on a busy machine, is no attempt
        assert len(daemon.events("child.killed")) >= 2
    assert (answer["status"], answer["attempts"]) == ("failed", 2)
    assert [fault["code"] for fault in faults(answer)] == ["train.stalled"]


def test_once_stops_at_sigterm_with_try_later(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    root.plan(good={"hold": 0})
    root.drop(good)
    with root.daemon(command="once") as daemon:
        started(root)
        daemon.process.send_signal(signal.SIGTERM)
        assert daemon.process.wait(60) == 75
    assert root.states() == {"good.zip": "running"}
