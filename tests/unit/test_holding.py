"""Who holds the root is looked up: by whoever may not look into work/, from another PID namespace, after a kill."""

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from builders.commands import give_up_capabilities
from builders.spool import fresh_root
from segdrop.cli import doctor
from segdrop.spool import holding, root
from segdrop.spool.layout import RootLayout

_NOW = datetime(2026, 1, 1, tzinfo=UTC)
_HOLD = """
import sys
from pathlib import Path
from segdrop.spool import root
from segdrop.spool.layout import RootLayout
with root.held(RootLayout(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""
_LOOK = """
import dataclasses, json, sys
from datetime import UTC, datetime
from pathlib import Path
from segdrop.cli import doctor
from segdrop.spool import holding
from segdrop.spool.layout import RootLayout
layout, now = RootLayout(Path(sys.argv[1])), datetime.fromisoformat(sys.argv[2])
found, health = holding.look(layout), doctor.health(layout, now)
print(json.dumps([found.held, found.pid, found.reason, health.ok, health.detail]))
"""


@pytest.fixture
def layout(tmp_path: Path) -> RootLayout:
    return fresh_root(tmp_path)


@pytest.fixture
def daemon(layout: RootLayout) -> Iterator["subprocess.Popen[str]"]:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(layout.root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def write_board(layout: RootLayout, *, age_seconds: float = 1, state: str = "running", pid: int = 123) -> None:
    updated_at = (_NOW - timedelta(seconds=age_seconds)).isoformat()
    layout.status.write_text(
        json.dumps({"updated_at": updated_at, "daemon": {"pid": pid, "state": state, "reason": ""}})
    )


def look(layout: RootLayout, *prefix: str, powerless: bool = False) -> list[Any]:
    """[held, PID, reason, healthy, detail] as another process sees it."""
    finished = subprocess.run(
        [*prefix, sys.executable, "-c", _LOOK, str(layout.root), _NOW.isoformat()],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=give_up_capabilities if powerless else None,
    )
    assert finished.returncode == 0, finished.stderr
    found: list[Any] = json.loads(finished.stdout)
    return found


@pytest.mark.parametrize("content", ["", "1\n", None])
def test_looking_who_holds_a_root_never_takes_its_lock(
    layout: RootLayout, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    """Not even shared, and not even for a moment: a daemon that starts just then would be refused."""
    if content is not None:
        layout.daemon_lock.write_text(content)
    locked = []
    flock = fcntl.flock

    def noted(file: Any, operation: int) -> None:
        locked.append(os.fstat(file if isinstance(file, int) else file.fileno()).st_ino)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", noted)
    assert root.holder(layout) is None
    assert doctor.health(layout, _NOW).ok is False
    assert not layout.daemon_lock.exists() or layout.daemon_lock.stat().st_ino not in locked
    assert layout.daemon_lock.exists() is (content is not None), "and nothing is made"


def test_a_running_daemon_is_found_with_its_pid(layout: RootLayout, daemon: "subprocess.Popen[str]") -> None:
    assert holding.look(layout) == holding.Holder(held=True, pid=daemon.pid)


def test_a_killed_daemon_is_known_to_be_gone_at_once_though_its_board_is_fresh(
    layout: RootLayout, daemon: "subprocess.Popen[str]"
) -> None:
    write_board(layout, pid=daemon.pid)
    daemon.send_signal(signal.SIGKILL)
    daemon.wait(timeout=30)
    assert layout.daemon_lock.read_text(), "its PID is still there"
    assert holding.look(layout) == holding.Holder(held=False)
    assert doctor.health(layout, _NOW).ok is False


def test_a_lock_that_waits_for_another_is_none(layout: RootLayout, daemon: "subprocess.Popen[str]") -> None:
    with layout.daemon_lock.open("rb") as stream:
        waiting = subprocess.Popen(["flock", str(stream.fileno())], pass_fds=[stream.fileno()])
        try:
            assert holding.look(layout).pid == daemon.pid
        finally:
            waiting.kill()
            waiting.wait()


@pytest.mark.parametrize("mode", [0o000, 0o600])
def test_whoever_may_not_look_into_work_is_told_so_and_answered_by_the_board(
    layout: RootLayout, daemon: "subprocess.Popen[str]", mode: int
) -> None:
    layout.work.chmod(mode)
    try:
        write_board(layout, pid=daemon.pid)
        held, pid, reason, healthy, detail = look(layout, powerless=True)
        assert (held, pid, reason, healthy) == (None, None, "work/ cannot be looked into: Permission denied", True)
        assert detail == f"{reason}; by status.json the daemon was alive 1 s ago (PID {daemon.pid}), running"
        write_board(layout, age_seconds=300)
        assert look(layout, powerless=True)[3:] == [
            False, f"{reason}; by status.json the daemon was alive 300 s ago (PID 123)",
        ]  # fmt: skip
        write_board(layout, state="stopped")
        assert look(layout, powerless=True)[3:] == [False, f"{reason}; by status.json the daemon stopped 1 s ago"]
        write_board(layout, age_seconds=-300)
        assert "the clocks differ" in look(layout, powerless=True)[4]
        layout.status.chmod(0)
        assert look(layout, powerless=True)[4].endswith("outbox/status.json cannot be read: Permission denied")
        layout.status.unlink()
        assert look(layout, powerless=True)[4].endswith("there is no outbox/status.json")
    finally:
        layout.work.chmod(0o700)


def test_a_lock_file_that_cannot_be_read_is_still_seen_to_be_locked(
    layout: RootLayout, daemon: "subprocess.Popen[str]"
) -> None:
    layout.daemon_lock.chmod(0)
    assert look(layout, powerless=True)[:2] == [True, daemon.pid]


def test_from_another_pid_namespace_the_board_decides(layout: RootLayout, daemon: "subprocess.Popen[str]") -> None:
    inside = ("unshare", "--pid", "--fork", "--mount-proc")
    if subprocess.run([*inside, "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no namespaces here")
    write_board(layout, pid=daemon.pid)
    held, _, reason, healthy, detail = look(layout, *inside)
    assert (held, healthy) == (None, True)
    assert "cannot be seen from here" in reason
    assert detail.startswith(reason)
    write_board(layout, age_seconds=300)
    assert look(layout, *inside)[3] is False


def test_where_the_kernel_lists_no_locks_at_all_the_board_decides(
    layout: RootLayout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "locks").write_text("")
    monkeypatch.setattr(holding, "_LOCKS", tmp_path / "locks")
    layout.daemon_lock.write_text(holding.signature())
    assert holding.look(layout).held is None


def test_another_file_with_the_same_inode_number_is_not_the_lock(
    layout: RootLayout, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layout.daemon_lock.write_text("7\n")
    inode = layout.daemon_lock.stat().st_ino
    monkeypatch.setattr(holding, "_LOCKS", tmp_path / "locks")
    (tmp_path / "locks").write_text(f"1: FLOCK  ADVISORY  WRITE 99 ff:ff:{inode} 0 EOF\n")
    assert holding.look(layout).held is None
    (tmp_path / "locks").write_text(f"1: FLOCK  ADVISORY  WRITE 7 ff:ff:{inode} 0 EOF\nnonsense\n")
    assert holding.look(layout) == holding.Holder(held=True, pid=7), "a filesystem with two device numbers"


def test_a_lock_file_that_is_a_fifo_holds_nobody(layout: RootLayout) -> None:
    os.mkfifo(layout.daemon_lock)
    assert holding.look(layout).held is None
