"""When the service manager hears from the loop, and when it must not."""

import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from segdrop.intake.watch import Wakeup
from segdrop.service import loop as service_module
from segdrop.service.loop import Clock, Service
from segdrop.settings import IntakeSettings, Settings
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout


@dataclass
class Time:
    now: float = 1000.0

    def clock(self) -> Clock:
        return Clock(lambda: self.now, lambda: datetime.fromtimestamp(1_700_000_000 + self.now, UTC))


class SleepWell(Wakeup):
    """Notes how long it is asked to sleep, lets that time pass, and stops after some turns."""

    def __init__(self, time: Time, turns: int, hear: Callable[[], list[str]]) -> None:
        super().__init__()
        self.slept: list[float] = []
        self.heard: list[str] = []  #: until now: the kernel keeps about ten messages
        self._hear = hear
        self._time = time
        self._turns = turns

    def wait(self, seconds: float) -> bool:
        self.slept.append(seconds)
        self.heard += self._hear()
        self._time.now += seconds
        self.stop_requested = len(self.slept) >= self._turns
        return False


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[str]]]:
    """Takes all the messages so far."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", receiver.getsockname())

        def messages() -> list[str]:
            found = []
            while True:
                try:
                    found.append(receiver.recv(4096).decode())
                except BlockingIOError:
                    return found

        yield messages


def build(tmp_path: Path, time: Time, wakeup: Wakeup, **intake: float) -> Service:
    layout = RootLayout(tmp_path / "root")
    spool_root.create(layout)
    settings = Settings(root=layout.root, intake=IntakeSettings(**intake))
    return Service(settings, wakeup, clock=time.clock())


def test_ready_comes_with_the_first_turn_and_a_sign_of_life_with_each(
    tmp_path: Path, manager: Callable[[], list[str]]
) -> None:
    time = Time()
    service = build(tmp_path, time, Wakeup())
    service.recover()
    assert manager() == [], "ready before the inbox was seen"
    for _turn in range(3):
        service.turn()
        time.now += 2
    heard = manager()
    assert [message.startswith("READY=1\n") for message in heard] == [True, False, False]
    assert all(message.endswith("\nWATCHDOG=1") for message in heard)


def test_rare_scans_are_no_reason_to_be_taken_for_dead(tmp_path: Path, manager: Callable[[], list[str]]) -> None:
    time = Time()
    wakeup = SleepWell(time, turns=40, hear=manager)
    service = build(tmp_path, time, wakeup, scan_seconds=300.0)
    service.run()
    assert max(wakeup.slept) <= 10
    signs = [message for message in wakeup.heard if "WATCHDOG=1" in message]
    assert len(signs) == 40


def test_a_scan_that_is_overdue_is_no_sign_of_life(
    tmp_path: Path, manager: Callable[[], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    time = Time()
    service = build(tmp_path, time, Wakeup())
    service.turn()
    assert len(manager()) == 1
    monkeypatch.setattr(service, "_take_in", lambda now, wall: None)  # a defect: turns, and looks at nothing
    time.now += service_module._OVERDUE_SECONDS / 2
    service.turn()
    assert len(manager()) == 1
    time.now += service_module._OVERDUE_SECONDS
    service.turn()
    assert manager() == []


def test_a_pause_by_the_environment_is_alive_and_says_why(tmp_path: Path, manager: Callable[[], list[str]]) -> None:
    time = Time()
    service = build(tmp_path, time, Wakeup())
    service.turn()
    manager()
    service.layout.inbox.rmdir()
    for _turn in range(5):
        time.now += 60
        service.turn()
    heard = manager()
    assert len(heard) == 5
    assert all("STATUS=paused: " in message and "WATCHDOG=1" in message for message in heard)


def test_a_stop_asks_for_more_time_than_the_training_may_take(tmp_path: Path, manager: Callable[[], list[str]]) -> None:
    time = Time()
    service = build(tmp_path, time, SleepWell(time, turns=1, hear=manager))
    service.run()
    last = manager()[-1]
    assert last.startswith("STOPPING=1\n")
    assert int(last.rpartition("EXTEND_TIMEOUT_USEC=")[2]) > Settings().service.stop_seconds * 1_000_000
