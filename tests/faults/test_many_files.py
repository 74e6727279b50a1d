"""Thousands of ZIPs at once: the inbox is the queue, the daemon stays small and keeps looking."""

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from builders import broken, write_dataset
from builders.daemons import Daemon, Root, verified_zip, wait_until

pytestmark = pytest.mark.faults

NUM_ZIPS = 2_000
CAPACITY = 8
MAX_RSS_BYTES = 80_000_000
#: how long a person waits for the answer that a text file is no ZIP, however many ZIPs came with it
ANSWER_SECONDS = 15.0
#: the board tells how old the last scan is; it is replaced every second
MAX_SCAN_AGE_SECONDS = 10.0
WAITS = "waits for a slot in the queue"


class Watch:
    """The largest memory, and the oldest scan, of all looks."""

    def __init__(self, root: Root, daemon: Daemon) -> None:
        self.root = root
        self.daemon = daemon
        self.rss_bytes = 0
        self.scan_age_seconds = 0.0

    def look(self) -> dict[str, Any]:
        """The board."""
        assert self.daemon.process.poll() is None, "the daemon ended"
        self.rss_bytes = max(self.rss_bytes, self.daemon.rss_bytes())
        board = self.root.status()
        if "updated_at" in board and board["daemon"]["pid"] == self.daemon.pid:
            silence = (datetime.now(UTC) - datetime.fromisoformat(board["updated_at"])).total_seconds()
            self.scan_age_seconds = max(self.scan_age_seconds, silence + board["daemon"]["scan_age_seconds"])
        return board

    def all_checked(self) -> bool:
        return sum(entry["reason"] == WAITS for entry in self.look()["inbox"]) == NUM_ZIPS - CAPACITY

    def expect_small_and_awake(self) -> None:
        print(f"largest RSS {self.rss_bytes / 1e6:.1f} MB, oldest scan {self.scan_age_seconds:.1f} s")
        assert self.rss_bytes < MAX_RSS_BYTES
        assert self.scan_age_seconds < MAX_SCAN_AGE_SECONDS


def test_two_thousand_zips_at_once_are_claimed_or_wait_and_nobody_is_kept_waiting_for_an_answer(
    tmp_path: Path,
) -> None:
    root = Root(tmp_path / "run", queue__capacity=CAPACITY)
    (root.layout.inbox / "PAUSE").touch()
    good = write_dataset(tmp_path / "good.zip", count=2)
    names = [f"{number:04}.zip" for number in range(NUM_ZIPS)]
    with root.daemon() as daemon:
        watch = Watch(root, daemon)
        for name in names[: NUM_ZIPS // 2]:
            root.drop(good, name)
        (root.layout.inbox / "text.zip").write_text("no ZIP")
        dropped_at = time.monotonic()
        for name in names[NUM_ZIPS // 2 :]:
            root.drop(good, name)
        wait_until(lambda: watch.look() and "text.zip" in root.answers(), "the answer to a text file")
        seconds = time.monotonic() - dropped_at
        print(f"text file answered after {seconds:.1f} s")
        assert root.answers()["text.zip"]["issues"][0]["code"] == "archive.not_a_zip"
        assert seconds < ANSWER_SECONDS

        wait_until(watch.all_checked, "all ZIPs checked", deadline_seconds=300)
        waiting = {entry["name"] for entry in root.status()["inbox"]}
        claimed = root.states()
        assert len(claimed) == CAPACITY
        assert waiting | set(claimed) == set(names)
        assert not waiting & set(claimed)
        assert root.starts() == []  # PAUSE
        watch.expect_small_and_awake()
        # a plainly bad ZIP is answered ahead of those that wait
        broken.encrypted(tmp_path / "encrypted.zip")
        root.drop(tmp_path / "encrypted.zip")
        wait_until(lambda: watch.look() and "encrypted.zip" in root.answers(), "the answer to an encrypted ZIP")
        watch.expect_small_and_awake()

    # a restart looks at everything again, and loses none
    with root.daemon() as daemon:
        watch = Watch(root, daemon)
        wait_until(lambda: len(watch.look()["inbox"]) == NUM_ZIPS - CAPACITY, "the waiting ZIPs seen again")
        (root.layout.inbox / "PAUSE").unlink()
        for name in sorted(claimed):
            answer = root.answer(name)
            assert answer["status"] == "succeeded"
            verified_zip(root, answer)
        watch.look()
        watch.expect_small_and_awake()
    still_there = {path.name for path in root.layout.inbox.glob("*.zip")}
    assert still_there | set(root.states()) | set(root.answers()) == {*names, "text.zip", "encrypted.zip"}
