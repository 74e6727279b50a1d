"""Children that hang, that leave half an answer, or that the kernel ends for want of memory: the job has its answer,
and the daemon goes on.

Children that do not heed SIGTERM, that stall, crash or end silently: ``tests/integration/test_service_restart.py``.
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Daemon, Root, is_alive, wait_until
from builders.memory_cgroup import limited

pytestmark = pytest.mark.faults

#: for the daemon and its children together, without what is eaten
MEMORY_BYTES = 512 << 20
#: long, because a check that works has to be done in that time
CHECK_SECONDS = 15.0


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


def codes(answer: dict[str, Any]) -> set[str]:
    return {issue["code"] for issue in answer["issues"]}


# hanging


def test_check_that_hangs_is_ended_in_its_time_and_its_zip_answered(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", limits__check_seconds=CHECK_SECONDS)
    root.flag("hold-check")
    root.drop(good)
    with root.daemon() as daemon:
        child = frozen(root, daemon, "check")
        answer = root.answer("good.zip")
        kept = root.archived(answer)
        assert not is_alive(child)
        assert daemon.stop() == 0
    assert (answer["status"], answer["attempts"]) == ("rejected", 0)
    assert "check.too_long" in codes(answer)
    assert kept.read_bytes() == good.read_bytes()


def test_quick_check_that_hangs_is_ended_in_its_time_and_its_zip_gets_the_full_one(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", limits__quick_check_seconds=2.0)
    hold = root.flag("hold-inspect")
    root.drop(good)
    with root.daemon() as daemon:
        child = frozen(root, daemon, "inspect")
        hold.unlink()
        assert root.answer("good.zip")["status"] == "succeeded"
        assert not is_alive(child)
        assert [event["file"] for event in daemon.events("file.slow")] == ["good.zip"]


def frozen(root: Root, daemon: Daemon, point: str) -> int:
    """The PID of the child that has begun and is held there: now not even SIGTERM would reach it."""
    (child,) = wait_until(lambda: (root.control / f"held-{point}").exists() and daemon.children(), f"the {point}")
    os.kill(child, signal.SIGSTOP)
    return child


def test_packing_that_hangs_is_ended_and_tried_again(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run", training__stall_seconds=5.0, training__max_attempts=20)
    hold = root.flag("hold-package")
    root.drop(good)
    with root.daemon() as daemon:
        (child,) = wait_until(lambda: (root.control / "held-package").exists() and daemon.children(), "the packing")
        os.kill(child, signal.SIGSTOP)
        assert daemon.wait_for("child.killed")["reason"] == "stalled"
        hold.unlink()
        answer = root.answer("good.zip")
        assert not is_alive(child)
    assert answer["status"] == "succeeded"


def test_daemon_stops_in_its_time_although_its_children_are_frozen(tmp_path: Path, good: Path) -> None:
    """A job in training and another in its check."""
    root = Root(tmp_path / "run", service__stop_seconds=1.0, training__max_attempts=1)
    root.plan(good={"hold": 0})
    root.drop(good)
    with root.daemon() as daemon:
        wait_until(root.starts, "the training")
        hold = root.flag("hold-check")
        root.drop(good, "other.zip")
        children = wait_until(
            lambda: (root.control / "held-check").exists() and len(daemon.children()) == 2 and daemon.children(),
            "the check of the other",
        )
        for child in children:
            os.kill(child, signal.SIGSTOP)
        assert daemon.stop() == 0
        assert not any(is_alive(child) for child in children)
    hold.unlink()
    root.flag("release")
    with root.daemon():
        answers = [root.answer(name) for name in ("good.zip", "other.zip")]
    assert [answer["status"] for answer in answers] == ["succeeded", "succeeded"]


# half an answer


@pytest.mark.parametrize(
    ("point", "status"), [("inspect", "rejected"), ("check", "rejected"), ("package", "succeeded")]
)
def test_half_an_answer_is_none(tmp_path: Path, good: Path, point: str, status: str) -> None:
    """What reads a ZIP and says so little about it is taken to have crashed at it; what packs is started again."""
    root = Root(tmp_path / "run")
    root.flag(f"cut-{point}")
    with root.daemon() as daemon:
        root.drop(good)
        answer = root.answer("good.zip")
        root.drop(good, "other.zip")
        assert root.answer("other.zip")["status"] == "succeeded"
        assert len(daemon.events("child.crashed")) == 1
        assert daemon.events("stage.failed") == []
    assert answer["status"] == status
    assert ("archive.reader_died" in codes(answer)) == (status == "rejected")


@pytest.mark.parametrize(("times", "status", "attempts"), [(1, "succeeded", 2), (9, "failed", 3)])
def test_half_a_training_result_is_none(tmp_path: Path, good: Path, times: int, status: str, attempts: int) -> None:
    """The first attempt leaves a checkpoint; after it, two come no further."""
    root = Root(tmp_path / "run", training__max_attempts=2)
    root.plan(good={"ending": "cut", "times": times})
    root.drop(good)
    with root.daemon() as daemon:
        answer = root.answer("good.zip")
        root.archived(answer)
        assert daemon.events("stage.failed") == []
        assert daemon.stop() == 0
    assert (answer["status"], answer["attempts"]) == (status, attempts)
    assert ("train.crashed" in codes(answer)) == (status == "failed")


# no memory


def batch_size(root: Root) -> int:
    (spec,) = root.layout.work.glob("*/training.spec.json")
    return int(json.loads(spec.read_bytes())["request"]["batch_size"])


def test_training_that_the_kernel_ends_for_want_of_memory_goes_on_with_half_the_batch(
    tmp_path: Path, good: Path
) -> None:
    """It is not charged: there is one attempt."""
    root = Root(tmp_path / "run", training__max_attempts=1)
    root.plan(good={"ending": "eat", "ending_at": 0, "times": 1, "hold": 0})
    root.drop(good, request={"batch_size": 6})
    with limited(MEMORY_BYTES) as prefix, root.daemon(prefix=prefix) as daemon:
        assert daemon.wait_for("child.crashed")["reason"] == "train.out_of_memory"
        wait_until(lambda: len(root.starts()) == 2, "another start")
        assert batch_size(root) == 3
        root.flag("release")
        answer = root.answer("good.zip")
        assert daemon.stop() == 0
    assert (answer["status"], answer["attempts"]) == ("succeeded", 2)


def test_training_for_which_memory_never_suffices_fails_with_that_reason(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "run")
    root.plan(good={"ending": "eat", "ending_at": 0})
    root.drop(good)
    with limited(MEMORY_BYTES) as prefix, root.daemon(prefix=prefix) as daemon:
        answer = root.answer("good.zip")
        root.archived(answer)
        assert daemon.stop() == 0
    assert (answer["status"], answer["attempts"], len(root.starts())) == ("failed", 2, 2)
    assert "train.out_of_memory" in codes(answer)
