"""A root on a small disk of its own, a job that is held at one point of its way, and somebody who reads its outbox."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from builders.daemons import Daemon, Root, wait_until
from builders.disks import Disk
from builders.machine import Machine
from builders.outbox_reader import OutboxReader

T = TypeVar("T")
#: one attempt only: whoever is charged fails
SETTINGS = {"training__max_attempts": 1, "queue__reserve_bytes": 0}
NAME = "good.zip"
EPOCHS = 2
#: Where a job can be held, in the order of its way. ``attempt``: queued, before its attempt is on record. ``epoch``: in
#: training, after the first checkpoint; ``model``: after the last one. The others are of ``builders.held``.
POINTS = ("inspect", "inspect-end", "check", "check-end", "attempt", "epoch", "model", "package", "package-end")
_HOLD_AT = {"epoch": 1, "model": EPOCHS}


class Site:
    def __init__(self, machine: Machine, folder: Path, source: Path, **settings: Any) -> None:
        """``source``: a good ZIP, to be dropped."""
        self.machine = machine
        self.disk = Disk(machine, folder / "root")
        self.root = Root(folder, seen_at=self.disk.seen_at, **(SETTINGS | settings))
        self.root.layout.sentinel.touch()
        self.reader = OutboxReader(self.root.layout)
        self.source = source

    def daemon(self) -> Daemon:
        return self.root.daemon(prefix=self.machine.entering())

    def wait(self, predicate: Callable[[], T], what: str) -> T:
        """As ``wait_until``, with an eye on the outbox."""

        def look_and_try() -> T:
            self.reader.look()
            return predicate()

        return wait_until(look_and_try, what)

    def wait_for_pause(self, daemon: Daemon) -> dict[str, Any]:
        """The event that tells of it."""
        return self.wait(lambda: daemon.events("queue.paused") + daemon.events("disk.low"), "a pause")[0]

    # points

    def drop_and_hold(self, daemon: Daemon, point: str) -> None:
        self._hold(point)
        self.root.drop(self.source, NAME)
        self.wait(lambda: self._is_held(daemon, point), f"held at {point}")

    def _hold(self, point: str) -> None:
        self.root.plan(good={"epochs": EPOCHS, "hold": _HOLD_AT.get(point)})
        if point == "attempt":
            (self.root.layout.inbox / "PAUSE").touch()
        elif point not in _HOLD_AT:
            self.root.flag(f"hold-{point}")

    def _is_held(self, daemon: Daemon, point: str) -> bool:
        if point == "attempt":
            return self.root.states().get(NAME) == "checked"
        if point in _HOLD_AT:
            return bool([event for event in daemon.events("epoch.finished") if event["epoch"] == _HOLD_AT[point]])
        return (self.root.control / f"held-{point}").exists()

    def release(self, point: str) -> None:
        if point == "attempt":
            (self.disk.kept_at / "inbox" / "PAUSE").unlink()
        elif point in _HOLD_AT:
            self.root.flag("release")
        else:
            (self.root.control / f"hold-{point}").unlink()

    # the disk

    def fill_disk(self, daemon: Daemon, but_pages: int) -> None:
        """Until the daemon cannot write its board: then nothing more becomes free by itself."""
        refusals = len(daemon.events("board.unwritable"))
        self.disk.fill()
        self.wait(lambda: len(daemon.events("board.unwritable")) > refusals, "the board is refused")
        self.disk.fill(but_pages)

    # the end

    def expect_success(self, daemon: Daemon) -> dict[str, Any]:
        """Answered and put away by the same daemon, and everything in its place."""
        answer = self.wait(lambda: self.root.answers().get(NAME), "the answer") or {}
        self.root.archived(answer)
        assert daemon.stop() == 0
        assert answer["status"] == "succeeded", answer["issues"]
        assert self.reader.audit({NAME: self.source.read_bytes()}, {}) == []
        return answer
