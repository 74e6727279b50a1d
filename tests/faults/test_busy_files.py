"""A file that cannot be renamed (open on a share, a mount, immutable) waits with its reason, and keeps nobody else."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Root, wait_until

pytestmark = [pytest.mark.faults, pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")]


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    made = Root(tmp_path / "run")
    yield made
    for path in made.layout.inbox.iterdir():
        if path.is_mount():
            release(path)


def hold(path: Path) -> None:
    """Make a file one that cannot be renamed: EBUSY, as a file gives that a server holds open."""
    subprocess.run(["mount", "--bind", path, path], check=True)


def release(path: Path) -> None:
    subprocess.run(["umount", path], check=True)


@pytest.mark.parametrize("is_good", [True, False])
def test_busy_zip_waits_alone_and_is_answered_once_it_is_free(root: Root, good: Path, *, is_good: bool) -> None:
    busy = root.drop(good, "busy.zip")
    if not is_good:
        busy.write_bytes(b"no ZIP at all")
    hold(busy)
    with root.daemon() as daemon:
        wait_until(lambda: "resource busy" in root.reason("busy.zip"), "the status says why it waits")
        root.drop(good, "other.zip")
        (root.layout.inbox / "bad.zip").write_bytes(b"no ZIP either")
        assert root.answer("other.zip")["status"] == "succeeded"
        assert root.answer("bad.zip")["status"] == "rejected"
        assert daemon.events("queue.paused") == []
        assert root.command("health").returncode == 0
        assert "busy.zip" not in root.answers()
        release(busy)
        answer = root.answer("busy.zip")
        root.archived(answer)
        assert daemon.stop() == 0
    assert answer["status"] == ("succeeded" if is_good else "rejected")
    assert root.states() == {}
    assert len([name for name, _, _ in root.starts() if name == "busy.zip"]) == is_good


@pytest.mark.parametrize("is_good", [True, False])
def test_busy_request_keeps_its_zip_waiting_and_no_other(root: Root, good: Path, *, is_good: bool) -> None:
    request = root.layout.inbox / "wish.json"
    request.write_text('{"seed": 7}' if is_good else '{"sed": 7}')
    hold(request)
    root.drop(good, "wish.zip")
    with root.daemon() as daemon:
        wait_until(lambda: "wish.json" in str(root.status()["jobs"]), "the status names the request")
        assert "without its ZIP" not in str(root.status()["ignored"])
        root.drop(good, "other.zip")
        assert root.answer("other.zip")["status"] == "succeeded"
        assert daemon.events("queue.paused") == []
        release(request)
        answer = root.answer("wish.zip")
        kept = root.archived(answer)
        assert daemon.stop() == 0
    if is_good:
        assert (answer["status"], answer["request"]["seed"]) == ("succeeded", 7)
    else:
        assert "request.unknown_key" in [issue["code"] for issue in answer["issues"]]
    assert (kept.parent / "wish.json").exists()
    assert list(root.layout.inbox.iterdir()) == []


def test_request_of_a_claimed_zip_is_not_taken_by_the_next_one_of_its_name(root: Root, good: Path) -> None:
    request = root.layout.inbox / "wish.json"
    request.write_text('{"seed": 7}')
    hold(request)
    root.drop(good, "wish.zip")
    with root.daemon():
        wait_until(lambda: root.states() == {"wish.zip": "claimed"}, "claimed")
        # its record is there first: what is put over it before it has left the inbox is what is claimed
        wait_until(lambda: not (root.layout.inbox / "wish.zip").exists(), "it has left the inbox")
        root.drop(good, "other.zip")
        (root.layout.inbox / "other.zip").rename(root.layout.inbox / "wish.zip")
        root.drop(good, "third.zip")
        assert root.answer("third.zip")["status"] == "succeeded"
        release(request)
        wait_until(lambda: len(list(root.layout.outbox.glob("wish-*.json"))) == 2, "both answers")
        seeds = sorted(answer["request"]["seed"] for answer in answers_to(root, "wish.zip"))
    assert seeds == [0, 7]


def answers_to(root: Root, name: str) -> list[dict[str, dict[str, int]]]:

    found = [json.loads(path.read_bytes()) for path in root.layout.outbox.glob("*.json") if path != root.layout.status]
    return [answer for answer in found if answer["input"]["name"] == name]


def test_immutable_zip_waits_alone(root: Root, good: Path) -> None:
    """EPERM at the rename, as some servers give for a file that is open elsewhere."""
    path = root.drop(good, "fixed.zip")
    if subprocess.run(["chattr", "+i", path], capture_output=True, check=False).returncode != 0:
        pytest.skip("this filesystem has no immutable files")
    try:
        with root.daemon() as daemon:
            wait_until(lambda: "not permitted" in root.reason("fixed.zip"), "the status says why it waits")
            root.drop(good, "other.zip")
            assert root.answer("other.zip")["status"] == "succeeded"
            assert daemon.events("queue.paused") == []
            subprocess.run(["chattr", "-i", path], check=True)
            assert root.answer("fixed.zip")["status"] == "succeeded"
    finally:
        subprocess.run(["chattr", "-i", path], check=False, capture_output=True)


@pytest.mark.parametrize("name", ["busy.zip", "busy.json"])
def test_once_does_not_wait_for_what_is_busy_and_says_what_it_leaves(root: Root, good: Path, name: str) -> None:
    root.drop(good, "other.zip")
    root.drop(good, "busy.zip", {"seed": 7})
    hold(root.layout.inbox / name)
    with root.daemon(command="once") as daemon:
        assert daemon.process.wait(60) == 75
        left = [event for event in daemon.events() if event["event"] in ("file.left", "job.left")]
    assert root.answers()["other.zip"]["status"] == "succeeded"
    assert any("resource busy" in event["reason"] for event in left), left
    release(root.layout.inbox / name)
    assert root.command("once").returncode == 0
    assert root.answers()["busy.zip"]["request"]["seed"] == 7
