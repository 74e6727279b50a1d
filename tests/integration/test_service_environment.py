"""What the machine does wrong is nobody's fault: the queue waits, no attempt is charged, and it goes on by itself."""

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Root, obey_permissions, wait_until


@pytest.fixture
def good(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "good.zip")


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    """A root whose daemon cannot read or write what permissions forbid, even if it runs as root."""
    probe = tmp_path / "probe"
    probe.write_text("")
    probe.chmod(0)
    command = [sys.executable, "-c", f"open({str(probe)!r})"]
    try:
        tried = subprocess.run(command, capture_output=True, check=False, preexec_fn=obey_permissions)
    except subprocess.SubprocessError:
        pytest.skip("this user may override permissions, and may not give that up")
    if tried.returncode == 0:
        pytest.skip("permissions are not enforced here")
    root = Root(tmp_path / "run")
    yield root
    for folder in (root.layout.root, *root.layout.folders):
        if folder.exists():
            folder.chmod(0o755)


def paused(root: Root) -> str:
    """Why the daemon pauses, by its log: the status may be unwritable."""
    return wait_until(
        lambda: [line for line in (root.folder / "daemon.log").read_text().splitlines() if '"queue.paused"' in line],
        "a pause",
    )[-1]


def test_unreadable_file_waits_with_its_reason_and_is_taken_once_it_can_be_read(root: Root, good: Path) -> None:
    target = root.layout.inbox / "locked.zip"
    shutil.copyfile(good, tmp := root.folder / "tmp.zip")
    tmp.chmod(0)
    tmp.rename(target)
    with root.daemon(obeys_permissions=True) as daemon:
        wait_until(lambda: root.reason("locked.zip").startswith("unreadable"), "the status says so")
        root.drop(good, "other.zip")
        assert root.answer("other.zip")["status"] == "succeeded"
        warnings = len(daemon.events("file.waiting"))
        target.chmod(0o644)
        assert root.answer("locked.zip")["status"] == "succeeded"
        assert daemon.events("queue.paused") == []
    assert warnings == 1  # said once, however often it is looked at


def test_unreadable_sidecar_holds_its_zip_back(root: Root, good: Path) -> None:
    sidecar = root.folder / "good.json"
    sidecar.write_text('{"seed": 7}')
    sidecar.chmod(0)
    sidecar = sidecar.rename(root.layout.inbox / "good.json")
    root.drop(good)
    with root.daemon(obeys_permissions=True):
        wait_until(lambda: root.reason("good.zip").startswith("unreadable"), "the status says so")
        sidecar.chmod(0o644)
        assert root.answer("good.zip")["request"]["seed"] == 7


def test_outbox_that_cannot_be_written_pauses_and_then_everything_is_delivered(root: Root, good: Path) -> None:
    root.plan(good={"hold": 0})
    with root.daemon(obeys_permissions=True) as daemon:
        root.drop(good)
        wait_until(root.starts, "the training")
        root.layout.outbox.chmod(0o555)
        root.flag("release")
        assert "ermission denied" in paused(root)
        wait_until(lambda: root.states().get("good.zip") == "concluded", "concluded")
        root.layout.outbox.chmod(0o755)
        answer = root.answer("good.zip")
        daemon.wait_for("queue.resumed")
    assert (answer["status"], answer["attempts"]) == ("succeeded", 1)


def test_work_folder_that_cannot_be_removed_goes_once_it_can_and_keeps_nobody_waiting(root: Root, good: Path) -> None:
    root.plan(good={"hold": 0})
    with root.daemon(obeys_permissions=True) as daemon:
        root.drop(good)
        wait_until(root.starts, "the training")
        next(root.layout.work.glob("good-*/cache")).chmod(0o555)
        root.flag("release")
        answer = root.answer("good.zip")
        reason = daemon.wait_for("job.waiting", job=answer["job"])["reason"]
        assert "ermission denied" in reason
        assert str(root.layout.work) in reason
        root.drop(good, "other.zip")
        assert root.answer("other.zip")["status"] == "succeeded"
        assert daemon.events("queue.paused") == []
        (half,) = root.layout.work.glob(".good-*.removed")
        (half / "cache").chmod(0o755)
        wait_until(lambda: not half.exists(), "the rest is removed")
        assert root.archived(answer).read_bytes() == good.read_bytes()


def test_inbox_that_cannot_be_changed_pauses_and_no_claim_is_left_half_done(root: Root, good: Path) -> None:
    with root.daemon(obeys_permissions=True) as daemon:
        root.layout.inbox.chmod(0o555)
        root.drop(good)
        assert "ermission denied" in paused(root)
        root.layout.inbox.chmod(0o755)
        answer = root.answer("good.zip")
        assert answer["status"] == "succeeded"
        root.archived(answer)
        assert daemon.process.poll() is None
    assert [name for name, _, _ in root.starts()] == ["good.zip"]
    assert [path.name for path in root.layout.work.iterdir() if not path.name.startswith(".")] == []


def test_inbox_that_disappears_pauses_and_its_return_resumes(root: Root, good: Path) -> None:
    with root.daemon() as daemon:
        gone = root.layout.inbox.rename(root.folder / "gone")
        daemon.wait_for("queue.paused")
        assert not root.layout.inbox.exists()
        gone.rename(root.layout.inbox)
        root.drop(good)
        assert root.answer("good.zip")["status"] == "succeeded"


def test_pause_does_not_keep_the_processor_busy(root: Root) -> None:
    """The deadline is the machine's; the measure is not: processor time against time that passed."""
    with root.daemon() as daemon:
        root.layout.inbox.rename(root.folder / "gone")
        daemon.wait_for("queue.paused")
        before, board = daemon.cpu_seconds(), root.status()["updated_at"]
        seen = {board}
        wait_until(lambda: seen.add(root.status()["updated_at"]) or len(seen) > 4, "four more seconds on the board")
        spent = daemon.cpu_seconds() - before
    assert spent < 1.0


def test_full_disk_in_training_is_not_held_against_the_job(root: Root, good: Path) -> None:
    root.configure(training__max_attempts=1)
    root.plan(good={"ending": "full", "times": 3})
    root.drop(good)
    with root.daemon() as daemon:
        answer = root.answer("good.zip")
        assert os.strerror(errno.ENOSPC) in daemon.events("queue.paused")[0]["reason"]
        assert daemon.events("child.crashed") == []
    assert (answer["status"], answer["attempts"]) == ("succeeded", 4)


@pytest.mark.parametrize("flag", ["inspect-full", "inspect-stopped"])
def test_cheap_check_that_cannot_work_condemns_no_zip(root: Root, good: Path, flag: str) -> None:
    path = root.flag(flag)
    root.drop(good)
    with root.daemon() as daemon:
        if flag == "inspect-full":
            daemon.wait_for("queue.paused")
            path.unlink()
        assert root.answer("good.zip")["status"] == "succeeded"


def test_too_little_space_holds_back_claims_until_there_is_enough(root: Root, good: Path) -> None:
    root.configure(queue__reserve_bytes=1 << 60)
    root.drop(good)
    with root.daemon() as daemon:
        daemon.wait_for("disk.low")
        assert daemon.stop() == 0
    assert (root.layout.inbox / "good.zip").read_bytes() == good.read_bytes()
    assert root.starts() == []
    assert root.command("once").returncode == 75
    root.configure()
    assert root.command("once").returncode == 0


def test_stop_during_a_pause_is_an_ordinary_stop(root: Root, good: Path) -> None:
    root.plan(good={"hold": 0})
    root.drop(good)
    with root.daemon(obeys_permissions=True) as daemon:
        wait_until(root.starts, "the training")
        next(root.layout.work.glob("good-*")).chmod(0o555)  # not even the job's state can be written
        assert daemon.stop() == 0
        next(root.layout.work.glob("good-*")).chmod(0o755)
    root.flag("release")
    with root.daemon():
        assert root.answer("good.zip")["status"] == "succeeded"


def test_root_without_its_sentinel_is_refused_and_nothing_is_made_in_it(tmp_path: Path) -> None:
    root = Root(tmp_path / "run", service__require_sentinel=True)
    root.layout.inbox.rmdir()
    for command in ("run", "once"):
        result = root.command(command, standin=False)
        assert result.returncode == 75
        assert ".segdrop-root" in result.stderr
        assert "Traceback" not in result.stderr
    assert list(root.layout.root.iterdir()) == []
    assert root.command("init", root.layout.root, standin=False).returncode == 0
    assert root.command("once", standin=False).returncode == 0


def test_training_is_the_child_that_keeps_its_memory(tmp_path: Path, good: Path) -> None:
    root = Root(tmp_path / "training")
    root.plan(good={"hold": 0})
    with root.daemon():
        root.drop(good)
        ((_, pid, _),) = wait_until(root.starts, "the start of the training")
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        root.flag("release")
        assert root.answer("good.zip")["status"] == "succeeded"
    # glibc ends each of them with a zero byte as it reads them
    assert b"GLIBC_TUNABLES=glibc.malloc.hugetlb=1" in environment
    assert b"glibc.malloc.trim_threshold=" in environment
