"""A change that is refused in the middle of something: it is made later, and charged to nobody.

What refuses is a link to itself in the place of the temporary file, which refuses root as well (ELOOP).
"""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Root, wait_until


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """One job, with one attempt: whoever is charged for what the disk did fails."""
    root = Root(tmp_path / "run", training__max_attempts=1)
    root.drop(write_dataset(tmp_path / "good.zip"))
    return root


def work_folder(root: Root) -> Path:
    return next(root.layout.work.glob("good-*"))


def refuse(root: Root, name: str) -> Path:
    """Let nothing of that name be written to the job's folder; the obstacle."""
    obstacle = work_folder(root) / f"{name}.tmp"
    obstacle.symlink_to(obstacle.name)
    return obstacle


def manifest(root: Root) -> dict[str, Any]:
    return dict(json.loads((work_folder(root) / "job.json").read_bytes()))


def queue(root: Root) -> Path:
    """Have the job checked and not begun; the control file that holds it."""
    control = root.layout.inbox / "PAUSE"
    control.touch()
    return control


def test_attempt_that_cannot_begin_is_taken_back_each_time(root: Root) -> None:
    control = queue(root)
    with root.daemon() as daemon:
        wait_until(lambda: root.states() == {"good.zip": "checked"}, "checked")
        obstacle = refuse(root, "training.spec.json")
        control.unlink()
        daemon.wait_for("job.waiting")
        records: set[int] = set()
        wait_until(
            lambda: records.add((work_folder(root) / "job.json").stat().st_mtime_ns) or len(records) > 3,
            "two more attempts on record, each taken back",
        )
        obstacle.unlink()
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"], len(root.starts())) == ("succeeded", 1, 1)


def test_attempt_that_could_not_begin_is_taken_back_when_the_daemon_stops(root: Root) -> None:
    control = queue(root)
    for _ in range(2):
        with root.daemon() as daemon:
            wait_until(lambda: root.states().get("good.zip") in ("checked", "running"), "the check")
            if control.exists():
                obstacle = refuse(root, "training.spec.json")
                control.unlink()
            daemon.wait_for("job.waiting")
            assert daemon.stop() == 0
        assert (manifest(root)["attempts"]["total"], manifest(root)["attempts"]["fruitless"]) == (0, 0)
    obstacle.unlink()
    with root.daemon():
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"]) == ("succeeded", 1)


@pytest.mark.parametrize(("end", "attempts_charged"), [(None, 0), (signal.SIGTERM, 0), (signal.SIGKILL, 1)])
def test_end_of_a_training_is_recorded_later_for_what_it_was(
    root: Root, end: signal.Signals | None, attempts_charged: int
) -> None:
    root.configure(training__max_attempts=attempts_charged + 1)
    root.plan(good={"hold": 0})
    with root.daemon() as daemon:
        ((_, pid, _),) = wait_until(root.starts, "the training")
        obstacle = refuse(root, "job.json")
        if end is None:
            root.flag("release")
        else:
            os.kill(pid, end)
        daemon.wait_for("job.waiting")
        assert (manifest(root)["state"], manifest(root)["attempts"]["total"]) == ("running", 0)
        obstacle.unlink()
        root.flag("release")
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"]) == ("succeeded", 1 if end is None else 2)


def test_cancellation_that_was_taken_is_carried_out_later(root: Root) -> None:
    root.plan(good={"hold": 0})
    with root.daemon() as daemon:
        wait_until(root.starts, "the training")
        obstacle = refuse(root, "outcome.json")
        control = root.layout.inbox / f"{work_folder(root).name}.cancel"
        control.touch()
        daemon.wait_for("job.waiting")
        assert not control.exists()
        assert root.answers() == {}
        obstacle.unlink()
        answer = root.answer("good.zip")
    assert (answer["status"], answer["attempts"]) == ("cancelled", 1)
