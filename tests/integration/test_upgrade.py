"""An upgrade in place: this version goes on with what earlier ones left, and everything ends once.

The roots were recorded by the code of two commits (``tests/fixtures/README.md``).
"""

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from builders.daemons import Root, wait_until
from builders.outbox_reader import OutboxReader
from builders.recorded_root import BEFORE_TASKS, VERSION_0_1, RecordedRoot, relocate_specs, unpack
from segdrop import child_runtime
from segdrop.errors import Exit

#: long enough for the copy that was under way to be completed
INCOMPLETE_SECONDS = 60.0
#: by the input's name, less ``.zip``: what becomes of it, and the epoch that a training begins with, if there is one
KILLED: dict[str, tuple[str, int | None]] = {
    "claimed": ("succeeded", 0),
    "claimed-halfway": ("succeeded", 0),
    "claim-begun": ("succeeded", 0),
    "check-killed": ("succeeded", 0),
    "queued": ("succeeded", 0),
    "unwanted": ("cancelled", None),
    "started": ("succeeded", 0),
    "started-no-child": ("succeeded", 0),
    "resumable": ("succeeded", 1),
    "cancelled": ("cancelled", None),
    "answered": ("succeeded", None),
    "trained": ("succeeded", None),
    "packed": ("succeeded", None),
    "succeeded": ("succeeded", None),
    "half-delivered": ("succeeded", None),
    "delivered": ("succeeded", None),
    "rejected": ("rejected", None),
    "delivered-rejected": ("rejected", None),
    "removed": ("rejected", None),
    "failed": ("failed", None),
    "done": ("succeeded", None),
    "done-failed": ("failed", None),
    "settled": ("succeeded", 0),
    "waiting": ("succeeded", 0),
    "arriving": ("succeeded", 0),
}
STOPPED: dict[str, tuple[str, int | None]] = {
    "resumable": ("succeeded", 1),
    "queued": ("succeeded", 0),
    "waiting": ("succeeded", 0),
}
RETRIED = "retried"
RECORDINGS = pytest.mark.parametrize("recording", [VERSION_0_1, BEFORE_TASKS], ids=["0.1", "before tasks"])


class Upgrade:
    """A recorded root below a daemon of this version, and somebody who has read its outbox before."""

    def __init__(self, folder: Path, name: str, recording: Path = VERSION_0_1) -> None:
        self.root = Root(folder / "run", intake__incomplete_seconds=INCOMPLETE_SECONDS)
        self.recorded: RecordedRoot = unpack(recording, name, self.root.layout.root)
        self.root.plan(others={"epochs": 3})
        self.reader = OutboxReader(self.root.layout)
        self.reader.look()
        self.results = self.seen_results()
        self.measurements = self.root.layout.measurements.read_bytes() if name == "killed" else b""

    def seen_results(self) -> dict[str, tuple[int, int, bytes]]:
        """Inode, modification time and content of everything that a job of the old version had published."""
        paths = [path for path in self.root.layout.outbox.iterdir() if path != self.root.layout.status]
        return {p.name: (p.stat().st_ino, p.stat().st_mtime_ns, p.read_bytes()) for p in paths}

    def complete_the_copy(self) -> None:
        """Once this daemon has seen that it is not whole."""
        wait_until(lambda: self.root.reason("arriving.zip").startswith("looks incomplete"), "arriving.zip is seen")
        with (self.root.layout.inbox / "arriving.zip").open("ab") as stream:
            stream.write(self.recorded.rest)

    def all_put_away(self, answers: int) -> bool:
        self.reader.look()
        layout = self.root.layout
        left = [*layout.work.glob("[!.]*"), *layout.work.glob(".*.removed"), *layout.inbox.iterdir()]
        return len(self.reader.answers) >= answers and not left

    def expect(self, expected: dict[str, tuple[str, int | None]]) -> None:
        """Each answered once and put away whole; trained where it was not yet, and nowhere else."""
        assert self.reader.audit(self.recorded.inputs, self.recorded.sidecars) == []
        statuses = {_stem(a): a["status"] for a in self.reader.answers.values() if "retry_of" not in a}
        assert statuses == {name: status for name, (status, _) in expected.items()}
        starts = {name.removesuffix(".zip"): epoch for name, _, epoch in self.root.starts()}
        assert starts == {name: epoch for name, (_, epoch) in expected.items() if epoch is not None}
        assert set(Counter(name for name, _, _ in self.root.starts()).values()) == {1}
        after = self.seen_results()
        assert {name: after[name] for name in self.results} == self.results, "what had been delivered is as it was"


def _stem(answer: dict[str, Any]) -> str:
    return str(answer["input"]["name"]).removesuffix(".zip")


@RECORDINGS
def test_root_whose_daemon_was_killed_in_every_state_comes_to_its_end(tmp_path: Path, recording: Path) -> None:
    upgrade = Upgrade(tmp_path, "killed", recording)
    expected = KILLED | {RETRIED: ("failed", 0)}  # the training is the retry's
    with upgrade.root.daemon() as daemon:
        upgrade.complete_the_copy()
        wait_until(lambda: upgrade.all_put_away(len(expected) + 1), "everything answered")
        assert daemon.stop() == 0
        assert daemon.events("queue.paused") + daemon.events("spool.corrupt") + daemon.events("child.crashed") == []
    upgrade.expect(expected)
    retries = [answer for answer in upgrade.reader.answers.values() if "retry_of" in answer]
    assert [(_stem(answer), answer["status"]) for answer in retries] == [(RETRIED, "succeeded")]
    assert upgrade.root.layout.measurements.read_bytes() == upgrade.measurements


@RECORDINGS
def test_root_whose_daemon_was_stopped_comes_to_its_end(tmp_path: Path, recording: Path) -> None:
    upgrade = Upgrade(tmp_path, "stopped", recording)
    with upgrade.root.daemon() as daemon:
        wait_until(lambda: upgrade.all_put_away(len(STOPPED)), "everything answered")
        assert daemon.stop() == 0
    upgrade.expect(STOPPED)
    assert [answer["attempts"] for answer in upgrade.reader.answers.values() if _stem(answer) == "queued"] == [1]


@RECORDINGS
def test_commands_read_what_an_earlier_version_left(tmp_path: Path, recording: Path) -> None:
    """Its results and its board; no daemon runs yet."""
    upgrade = Upgrade(tmp_path, "killed", recording)
    (done,) = [job for job in upgrade.reader.answers if job.startswith("done-2")]
    for words, status in ((("jobs",), 0), (("show", done), 0), (("status",), None), (("health",), 75)):
        ended = upgrade.root.command(*words, standin=False)
        assert "Traceback" not in ended.stderr, ended.stderr
        assert status in (None, ended.returncode), ended.stdout + ended.stderr
    assert done in upgrade.root.command("jobs", standin=False).stdout
    assert upgrade.seen_results() == upgrade.results


@pytest.mark.parametrize(
    ("command", "spec"),
    [
        (("segdrop.dataset", "inspect"), ".inspection/spec.json"),
        (("segdrop.dataset", "check"), "queued-*/check.spec.json"),
        (("segdrop.training",), "started-[0-9]*/training.spec.json"),
        (("segdrop.delivery",), "packed-*/package.spec.json"),
    ],
    ids=["inspect", "check", "train", "package"],
)
def test_order_of_a_0_1_daemon_is_carried_out_by_newer_children_or_charged_to_nobody(
    tmp_path: Path, command: tuple[str, ...], spec: str
) -> None:
    """While the old daemon still runs, its children are of the new code. It takes every other end than these, and than
    a fault of the data, for the ZIP's or the job's own: it knows no status for a child that could not begin.
    """
    recorded = unpack(VERSION_0_1, "killed", tmp_path / "root")
    relocate_specs(recorded)
    (path,) = recorded.layout.work.glob(spec)
    environment = {key: value for key, value in os.environ.items() if not key.startswith("SEGDROP_")}
    done = subprocess.run(
        [sys.executable, "-m", *command, path],
        env=environment | {child_runtime.PARENT_VARIABLE: str(os.getpid())},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode in (Exit.OK, Exit.ENVIRONMENT, Exit.TRY_LATER), done.stdout + done.stderr
