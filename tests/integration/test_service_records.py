"""What is on record about a job is what was done: by which weights, in which batches, how far it is by now."""

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Daemon, Root, wait_until

WEIGHTS = "mine.pth"
ASKED = {"pretrained": WEIGHTS}


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    root = Root(tmp_path / "run")
    root.layout.models.mkdir(parents=True)
    install(root, b"one")
    return root


def install(root: Root, content: bytes) -> None:
    """Weights under the same name; a new file, as the tools that fetch such files write them."""
    new = root.layout.root / "new.pth"
    new.write_bytes(content)
    new.rename(root.layout.models / WEIGHTS)


def again(root: Root, good: Path, name: str, request: dict[str, Any] | None = None) -> dict[str, Any]:
    """The answer to the same bytes under another name."""
    drop_again(root, good, name, request)
    return root.answer(name)


def drop_again(root: Root, good: Path, name: str, request: dict[str, Any] | None = None) -> None:
    copy = good.with_name(name)
    copy.write_bytes(good.read_bytes())
    root.drop(copy, request=ASKED if request is None else request)


def trained(root: Root) -> list[str]:
    """The inputs on which a training has begun."""
    return [name for name, _, _ in root.starts()]


# duplicates


def test_same_weights_answer_and_exchanged_ones_under_the_same_name_do_not(root: Root, good: Path) -> None:
    with root.daemon():
        first = again(root, good, "first.zip")
        assert again(root, good, "same.zip")["duplicate_of"] == first["job"]
        install(root, b"two")
        other = again(root, good, "other.zip")
        assert other["status"] == "succeeded"
        assert again(root, good, "other2.zip")["duplicate_of"] == other["job"]
        install(root, b"one")
        assert again(root, good, "back.zip")["duplicate_of"] == first["job"]
    assert trained(root) == ["first.zip", "other.zip"]


def queued(root: Root, name: str) -> None:
    wait_until(lambda: root.states().get(name) == "checked", f"{name} in the queue")


def test_job_is_compared_by_the_weights_that_are_there_when_it_starts(root: Root, good: Path) -> None:
    root.plan(first={"hold": 0})
    with root.daemon():
        drop_again(root, good, "first.zip")
        wait_until(lambda: trained(root), "the training of the first")
        drop_again(root, good, "waiting.zip")
        queued(root, "waiting.zip")
        install(root, b"two")
        root.flag("release")
        # the stand-in reads the weights at its end: so both are of the second
        assert root.answer("first.zip")["status"] == "succeeded"
        assert root.answer("waiting.zip")["status"] == "duplicate"


def test_job_whose_weights_come_back_while_it_waits_is_answered_by_the_result_that_they_gave(
    root: Root, good: Path
) -> None:
    with root.daemon():
        first = again(root, good, "first.zip")
        install(root, b"two")
        pause = root.layout.inbox / "PAUSE"
        pause.touch()
        drop_again(root, good, "waiting.zip")
        queued(root, "waiting.zip")
        install(root, b"one")
        pause.unlink()
        answer = root.answer("waiting.zip")
    assert (answer["status"], answer["duplicate_of"]) == ("duplicate", first["job"])
    assert trained(root) == ["first.zip"]


def test_job_whose_weights_are_exchanged_while_it_waits_is_not_answered_by_the_result_of_the_old_ones(
    root: Root, good: Path
) -> None:
    with root.daemon():
        first = again(root, good, "first.zip")
        pause = root.layout.inbox / "PAUSE"
        pause.touch()
        published = root.layout.published_json(first["job"])
        published.rename(root.folder / "hidden.json")  # so that the check finds no result
        drop_again(root, good, "waiting.zip")
        queued(root, "waiting.zip")
        (root.folder / "hidden.json").rename(published)
        install(root, b"two")
        pause.unlink()
        assert root.answer("waiting.zip")["status"] == "succeeded"
    assert trained(root) == ["first.zip", "waiting.zip"]


@pytest.mark.parametrize(
    "change", [lambda answer: answer.pop("fingerprint"), lambda answer: answer.update(fingerprint=None)]
)
def test_result_that_does_not_say_what_it_started_from_answers_nothing(
    root: Root, good: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    """As those of version 0.1 are."""
    with root.daemon():
        first = again(root, good, "first.zip")
    change(first)
    root.layout.published_json(first["job"]).write_text(json.dumps(first))
    with root.daemon():
        assert again(root, good, "second.zip")["status"] == "succeeded"


def test_weights_that_the_check_cannot_read_are_no_fault_of_the_data(root: Root, good: Path) -> None:
    (root.layout.models / WEIGHTS).chmod(0)
    with root.daemon(obeys_permissions=True) as daemon:
        drop_again(root, good, "first.zip")
        queued_or_further(daemon)


def queued_or_further(daemon: Daemon) -> None:
    assert daemon.wait_for("job.queued")
    assert daemon.events("job.rejected") == daemon.events("job.failed") == []


# batches


def test_halved_batch_is_published_as_it_was_with_what_was_asked(root: Root, good: Path) -> None:
    root.plan(big={"ending": "no_memory", "times": 1})
    asked = {"batch_size": 8}
    with root.daemon():
        answer = again(root, good, "big.zip", asked)
        assert answer["status"] == "succeeded"
        duplicate = again(root, good, "same.zip", asked)
    assert answer["request"]["batch_size"] == 4
    (issue,) = [issue for issue in answer["issues"] if issue["code"] == "train.batch_halved"]
    assert issue["severity"] == "warning"
    assert "4" in issue["message"]
    assert "8" in issue["message"]
    with zipfile.ZipFile(root.layout.published_zip(answer["job"])) as result:
        text = result.read("README.txt").decode()
        inside = json.loads(result.read("metrics.json"))
    assert "train.batch_halved" in text
    assert "batch_size = 4" in text
    assert inside["request"]["batch_size"] == 4
    assert (duplicate["status"], duplicate["duplicate_of"]) == ("duplicate", answer["job"])


def test_job_that_fails_with_half_the_batch_too_says_which_it_was(root: Root, good: Path) -> None:
    root.plan(big={"ending": "no_memory"})
    with root.daemon():
        answer = again(root, good, "big.zip", {"batch_size": 8})
    assert answer["status"] == "failed"
    assert [issue["code"] for issue in answer["issues"] if issue["code"].startswith("train")] == [
        "train.batch_halved",
        "train.out_of_memory",
    ]
    assert answer["request"]["batch_size"] == 4


# progress


def test_job_at_rest_shows_no_progress_and_one_at_work_its_own(root: Root, good: Path) -> None:
    root.plan(first={"hold": 1, "epochs": 2})
    with root.daemon():
        drop_again(root, good, "first.zip")
        line = wait_until(
            lambda: shown(root, "first.zip", "running", with_progress=True), "the progress of the training"
        )
        assert line["progress"]["stage"] == "train"
        drop_again(root, good, "second.zip", {"seed": 1})
        assert "progress" not in wait_until(lambda: shown(root, "second.zip", "checked"), "the second in the queue")
        for command in ("status", "jobs"):
            assert not re.search(r"checked \d+ of", root.command(command).stdout)


def test_training_that_was_stopped_shows_no_progress(root: Root, good: Path) -> None:
    root.plan(first={"hold": 1, "epochs": 2})
    with root.daemon() as daemon:
        drop_again(root, good, "first.zip")
        wait_until(lambda: shown(root, "first.zip", "running", with_progress=True), "the progress of the training")
        daemon.stop()
    (line,) = root.status()["jobs"]
    assert (line["state"], line.get("progress")) == ("running", None)
    assert "epoch" not in root.command("jobs").stdout


def shown(root: Root, name: str, state: str, *, with_progress: bool = False) -> dict[str, Any] | None:
    lines = [line for line in root.status()["jobs"] if (line["input"], line["state"]) == (name, state)]
    return next((line for line in lines if "progress" in line or not with_progress), None)
