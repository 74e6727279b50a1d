"""What the service manager is told: real datagrams on a real socket."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from segdrop.service.systemd import Notifier


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        yield receiver


def test_ready_is_said_once_and_every_message_is_a_sign_of_life(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    notifier.alive("running; 0 queued")
    notifier.alive("running; 1 queued")
    assert manager.recv(4096).decode() == "READY=1\nSTATUS=running; 0 queued\nWATCHDOG=1"
    assert manager.recv(4096).decode() == "STATUS=running; 1 queued\nWATCHDOG=1"


def test_a_name_from_outside_cannot_add_a_message(manager: socket.socket) -> None:
    Notifier(manager.getsockname()).alive("training x\nMAINPID=1")
    assert "\nMAINPID" not in manager.recv(4096).decode()


def test_stopping_asks_for_the_time_that_it_may_take(manager: socket.socket) -> None:
    Notifier(manager.getsockname()).stopping(60.0)
    assert manager.recv(4096).decode() == "STOPPING=1\nSTATUS=stopping\nEXTEND_TIMEOUT_USEC=60000000"


def test_abstract_addresses_are_understood() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind("\0segdrop-test-notify")
        receiver.settimeout(5)
        Notifier("@segdrop-test-notify").alive("x")
        assert receiver.recv(4096).startswith(b"READY=1")


def test_without_a_service_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    Notifier().alive("x")


def test_a_message_that_nobody_took_stops_nothing_and_ready_is_said_again(tmp_path: Path) -> None:
    notifier = Notifier(str(tmp_path / "notify"))
    notifier.alive("nobody listens yet")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(5)
        notifier.alive("somebody does")
        assert receiver.recv(4096).startswith(b"READY=1\n")


def test_a_manager_that_does_not_listen_holds_nobody_up(manager: socket.socket) -> None:
    notifier = Notifier(manager.getsockname())
    for _message in range(5000):
        notifier.alive("more than its queue takes")
