"""What disks, shares and permissions do to a daemon, for real: it waits, nobody is charged, nothing is lost or seen
half-written, and it goes on by itself.

A job is held at one point of its way while the accident happens (``builders.site``), and there is one attempt only.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from builders import write_dataset
from builders.daemons import Root, is_alive
from builders.disks import PAGE_BYTES
from builders.machine import Account, Machine
from builders.outbox_reader import OutboxReader
from builders.site import NAME, POINTS, Site

pytestmark = pytest.mark.faults

SEGDROP = Account("segdrop", 61020, 61020)


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    # not below pytest's folders, which nobody else may pass
    folder = Path(tempfile.mkdtemp(prefix="segdrop-machine-"))
    folder.chmod(0o755)
    try:
        with Machine(folder, [SEGDROP], {}) as made:
            yield made
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_dataset(tmp_path_factory.mktemp("source") / NAME)


@pytest.fixture
def folder(machine: Machine) -> Path:
    return Path(tempfile.mkdtemp(prefix="run-", dir=machine.folder))


# the disk is full


@pytest.mark.parametrize("point", POINTS)
def test_full_disk_delays_the_job_wherever_it_is(machine: Machine, folder: Path, good: Path, point: str) -> None:
    site = Site(machine, folder, good)
    with site.daemon() as daemon:
        site.drop_and_hold(daemon, point)
        site.fill_disk(daemon, but_pages=0)
        site.release(point)
        site.wait_for_pause(daemon)
        assert site.root.answers() == {}
        site.disk.empty()
        site.expect_success(daemon)
        assert daemon.events("queue.resumed")
        assert daemon.events("child.crashed") == []


@pytest.mark.parametrize(("point", "pages"), [("check", 3), *(("package-end", pages) for pages in range(1, 5))])
def test_full_disk_in_the_middle_of_a_stage_delays_the_job(
    machine: Machine, folder: Path, good: Path, point: str, pages: int
) -> None:
    """While the images are decoded; and while the result is delivered, if the pages last for so long."""
    site = Site(machine, folder, good)
    with site.daemon() as daemon:
        site.drop_and_hold(daemon, point)
        site.fill_disk(daemon, but_pages=pages)
        site.release(point)
        site.wait(lambda: daemon.events("queue.paused") or site.root.answers(), "a pause, or the answer")
        site.disk.empty()
        site.expect_success(daemon)


def test_images_that_do_not_fit_beside_those_of_the_queue_wait_for_room(
    machine: Machine, folder: Path, good: Path
) -> None:
    """20 MB of decoded images each, on 32 MB: nobody pauses for it, because the first job makes room."""
    site = Site(machine, folder, good, defaults__image_size=900)
    with site.daemon() as daemon:
        site.drop_and_hold(daemon, "epoch")
        site.root.drop(good, "second.zip")
        site.wait(lambda: site.root.reason("second.zip") == "waits for disk space", "the board says why it waits")
        assert (site.root.layout.inbox / "second.zip").exists()
        site.release("epoch")
        assert site.root.answer("second.zip")["status"] == "succeeded"
        assert site.root.answer(NAME)["status"] == "succeeded"
        assert daemon.events("queue.paused") + daemon.events("disk.low") == []


def test_job_ends_in_the_space_that_was_left_for_it(machine: Machine, folder: Path, good: Path) -> None:
    """Its own checkpoints are out of the reserve: else they could keep it from its end, and so from making room."""
    reserve, checkpoints, board = 8 << 20, 3 << 20, 64 << 10
    site = Site(machine, folder, good, queue__reserve_bytes=reserve)
    with site.daemon() as daemon:
        site.drop_and_hold(daemon, "model")
        site.disk.fill(but_pages=(reserve + board) // PAGE_BYTES)
        (job,) = site.reader.manifests()
        (site.root.layout.job(job).folder / "best.pth").write_bytes(bytes(checkpoints))
        site.release("model")
        site.wait(site.root.answers, "the answer")
        site.disk.empty()
        site.expect_success(daemon)
        assert daemon.events("disk.low") == []


# the disk is read-only, or gone


@pytest.mark.parametrize("point", POINTS)
def test_disk_that_becomes_read_only_delays_the_job(machine: Machine, folder: Path, good: Path, point: str) -> None:
    site = Site(machine, folder, good)
    with site.daemon() as daemon:
        site.drop_and_hold(daemon, point)
        site.disk.make_read_only()
        site.release(point)
        site.wait_for_pause(daemon)
        site.disk.make_writable()
        site.expect_success(daemon)
        assert daemon.events("child.crashed") == []


@pytest.mark.parametrize("point", POINTS)
def test_share_that_is_gone_for_a_while_delays_the_job_and_nothing_is_made_below_it(
    machine: Machine, folder: Path, good: Path, point: str
) -> None:
    site = Site(machine, folder, good, service__require_sentinel=True)
    with site.daemon() as daemon:
        site.drop_and_hold(daemon, point)
        children = daemon.children()
        site.disk.unmount()
        # by the mark that is missing, or by the first folder that was looked for
        reason = site.wait_for_pause(daemon)["reason"]
        assert "not mounted" in reason or "No such file or directory" in reason
        site.release(point)
        site.wait(lambda: not any(is_alive(child) for child in children), "the end of the child that had no disk")
        assert list(site.disk.seen_at.iterdir()) == []
        site.disk.mount()
        site.expect_success(daemon)
        assert daemon.events("child.crashed") == []


# permissions


@pytest.mark.parametrize("name", ["inbox", "work", "outbox", "done"])
def test_folder_that_may_not_be_used_for_a_while_delays_the_job(
    machine: Machine, folder: Path, good: Path, name: str
) -> None:
    """As another user, whom permissions bind: root has taken the folder away from it."""
    root = Root(folder, training__max_attempts=1)
    for path in (folder, *folder.rglob("*")):
        os.chown(path, SEGDROP.uid, SEGDROP.gid)
    root.plan(good={"epochs": 2, "hold": 1})
    root.drop(good)
    reader = OutboxReader(root.layout)
    with root.daemon(prefix=machine.entering(SEGDROP)) as daemon:
        assert Path(f"/proc/{daemon.pid}").stat().st_uid == SEGDROP.uid
        daemon.wait_for("epoch.finished", epoch=1)
        taken = root.layout.root / name
        os.chown(taken, 0, 0)
        taken.chmod(0o700)
        root.flag("release")
        assert "ermission denied" in daemon.wait_for("queue.paused")["reason"]
        os.chown(taken, SEGDROP.uid, SEGDROP.gid)
        answer = root.answer(NAME)
        reader.look()
        root.archived(answer)
        assert daemon.stop() == 0
        assert daemon.events("child.crashed") == []
    assert answer["status"] == "succeeded", answer["issues"]
    assert reader.audit({NAME: good.read_bytes()}, {}) == []
