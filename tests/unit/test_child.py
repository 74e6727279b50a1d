"""Real processes, because what is promised here is about processes. None of them imports torch."""

import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segdrop import __version__, child_runtime
from segdrop.environment import Fault, Response
from segdrop.errors import Exit, Issue

_PREAMBLE = """
import errno, os, signal, sys, time
from pathlib import Path
from segdrop import child_runtime, errors, logs
folder = Path(sys.argv[1])

def fail(error):
    raise error

def wait(stop):
    (folder / "ready").touch()
    while not stop:
        time.sleep(0.005)
    raise errors.StoppedError

def run(body, lock=None):
    child_runtime.tie_to_parent()
    (folder / "tied").touch()
    sys.exit(child_runtime.run(body, job="a-1", stage="check", error_path=folder / "error.json", lock_path=lock))
"""
_EMPTY = "errors.Issue.of(errors.Code.ARCHIVE_EMPTY, 'nothing')"
_PARENT = """
import os, subprocess, sys, time
environment = os.environ | {"SEGDROP_PARENT_PID": str(os.getpid()), "SEGDROP_PARENT_VERSION": "OURS"}
process = subprocess.Popen([sys.executable, "-c", *sys.argv[1:]], env=environment, start_new_session=True)
print(process.pid, flush=True)
time.sleep(600)
""".replace("OURS", __version__)


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.01)
    raise AssertionError("the deadline passed")


def is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., "subprocess.Popen[str]"]]:
    started: list[subprocess.Popen[str]] = []

    def start_child(body: str, parent: int | None = os.getpid()) -> "subprocess.Popen[str]":
        environment = {key: value for key, value in os.environ.items() if key != child_runtime.PARENT_VARIABLE}
        if parent is not None:
            environment |= {child_runtime.PARENT_VARIABLE: str(parent), child_runtime.VERSION_VARIABLE: __version__}
        started.append(
            subprocess.Popen(
                [sys.executable, "-c", _PREAMBLE + body, str(tmp_path)],
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        return started[-1]

    yield start_child
    for process in started:
        process.kill()
        process.communicate(timeout=30)


def ended(process: "subprocess.Popen[str]") -> tuple[int, list[dict[str, Any]]]:
    """Exit status, and the log as JSON lines."""
    _, log = process.communicate(timeout=60)
    return process.returncode, [json.loads(line) for line in log.splitlines()]


def fault_in(folder: Path) -> Fault | None:
    path = folder / "error.json"
    return child_runtime.ErrorAnswer.model_validate_json(path.read_bytes()).fault if path.exists() else None


def issues_in(folder: Path) -> list[Issue]:
    path = folder / "error.json"
    return [Issue.from_json(value) for value in json.loads(path.read_bytes())["issues"]] if path.exists() else []


# exit codes


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("lambda stop: None", Exit.OK, None),
        (
            "lambda stop: fail(errors.DataError([errors.Issue.of(errors.Code.ARCHIVE_EMPTY, 'nothing')]))",
            65,
            "archive.empty",
        ),
        ("lambda stop: fail(errors.UnavailableError('disk.full', 'no space'))", Exit.ENVIRONMENT, None),
        ("lambda stop: fail(OSError(errno.ENOSPC, 'No space left'))", Exit.ENVIRONMENT, None),
        ("lambda stop: fail(PermissionError(errno.EACCES, 'no'))", Exit.ENVIRONMENT, None),
        ("lambda stop: fail(OSError(errno.EHOSTDOWN, 'Host is down'))", Exit.ENVIRONMENT, None),
        ("lambda stop: fail(OSError(errno.EBUSY, 'busy'))", Exit.ENVIRONMENT, None),
        ("lambda stop: fail(FileNotFoundError(errno.ENOENT, 'gone'))", Exit.INTERNAL, "internal.error"),
        (
            "lambda stop: fail(FileNotFoundError(errno.ENOENT, 'gone', str(folder / 'x')))",
            Exit.CORRUPT,
            "spool.corrupt",
        ),
        ("lambda stop: __import__('no_such_module')", Exit.INSTALLATION, None),
        ("lambda stop: fail(errors.StoppedError())", Exit.TRY_LATER, None),
        ("lambda stop: 1 / 0", Exit.INTERNAL, "internal.error"),
        ("lambda stop: fail(errors.CorruptError('x'))", Exit.CORRUPT, "spool.corrupt"),
    ],
)
def test_each_end_of_a_body_has_its_exit_code_and_its_issues(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path, body: str, status: int, code: str | None
) -> None:
    found, log = ended(start(f"run({body})"))
    assert found == status
    assert all(line["job"] == "a-1" and line["stage"] == "check" for line in log)
    assert [issue.code for issue in issues_in(tmp_path)] == ([code] if code else [])
    assert (fault_in(tmp_path) is not None) == (status == Exit.ENVIRONMENT)
    assert (tmp_path / child_runtime.BEGUN_NAME).exists()


def test_fault_of_the_environment_is_passed_on_with_its_number_and_its_path(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    ended(start("run(lambda stop: fail(OSError(errno.EHOSTDOWN, 'Host is down', '/share/x')))"))
    fault = fault_in(tmp_path)
    assert fault is not None
    assert (fault.errno, fault.path, fault.response) == (errno.EHOSTDOWN, "/share/x", Response.PAUSE)


def test_child_that_cannot_get_its_lock_has_not_begun(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    (tmp_path / "child.lock").mkdir()
    ended(start('run(lambda stop: None, folder / "child.lock")'))
    assert not (tmp_path / child_runtime.BEGUN_NAME).exists()


def test_order_that_is_not_understood_is_another_versions(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    body = "from segdrop.spec import PackageSpec\n(folder / 'spec.json').write_text('{}')\n"
    process = start(body + "child_runtime.ordered(PackageSpec.load, folder / 'spec.json')")
    _, log = process.communicate(timeout=60)
    assert (process.returncode, "estart the daemon" in log) == (Exit.INSTALLATION, True)


def test_daemon_of_version_0_1_is_told_in_a_way_that_it_understands(tmp_path: Path) -> None:
    """It would reject the ZIP for any status that it does not know."""
    environment = os.environ | {child_runtime.PARENT_VARIABLE: str(os.getpid())}
    command = [sys.executable, "-c", _PREAMBLE + "run(lambda stop: None)", str(tmp_path)]
    done = subprocess.run(command, env=environment, check=False, timeout=60, capture_output=True, text=True)
    assert (done.returncode, "restart the daemon" in done.stderr) == (Exit.ENVIRONMENT, True)
    assert not (tmp_path / child_runtime.BEGUN_NAME).exists()


def test_daemon_of_another_version_is_told_to_be_restarted(tmp_path: Path) -> None:
    environment = os.environ | {
        child_runtime.PARENT_VARIABLE: str(os.getpid()),
        child_runtime.VERSION_VARIABLE: "0.0.1",
    }
    command = [sys.executable, "-c", _PREAMBLE + "run(lambda stop: None)", str(tmp_path)]
    assert subprocess.run(command, env=environment, check=False, timeout=60).returncode == Exit.INSTALLATION


def test_lower_hard_limits_are_taken(start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    body = """
import resource
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
child_runtime.limit_resources(memory_bytes=1 << 31, cpu_seconds=3600)
limits = [resource.getrlimit(kind) for kind in (resource.RLIMIT_AS, resource.RLIMIT_CPU)]
sys.exit(limits != [(1 << 30, 1 << 30), (55, 60)])
"""
    assert ended(start(body))[0] == 0


def test_processor_time_is_given_piece_by_piece(start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    body = """
import resource
child_runtime.allow_cpu(100)
first = resource.getrlimit(resource.RLIMIT_CPU)
while time.process_time() < 1.2:
    pass
child_runtime.allow_cpu(100)
second = resource.getrlimit(resource.RLIMIT_CPU)
resource.setrlimit(resource.RLIMIT_CPU, (60, 60))
child_runtime.allow_cpu(100)
limited = resource.getrlimit(resource.RLIMIT_CPU)
sys.exit(not (100 < first[0] < second[0] < 104 and second[1] == first[1] and limited == (55, 60)))
"""
    assert ended(start(body))[0] == 0


def test_a_defect_is_logged_with_its_traceback_and_named_in_the_issue(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    _, (line,) = ended(start("run(lambda stop: 1 / 0)"))
    assert (line["event"], line["level"]) == ("child.failed", "error")
    assert line["exception"][0]["exc_type"] == "ZeroDivisionError"
    assert issues_in(tmp_path)[0].message == "ZeroDivisionError: division by zero"


def test_a_fault_that_cannot_be_written_down_is_the_environments(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    """Else a full disk would make the daemon believe that the ZIP killed its reader."""
    body = """
from segdrop import durable
durable.write_json = lambda path, value: fail(OSError(errno.ENOSPC, "No space left"))
run(lambda stop: fail(errors.DataError([errors.Issue.of(errors.Code.ARCHIVE_EMPTY, "nothing")])))
"""
    status, (line,) = ended(start(body))
    assert status == Exit.ENVIRONMENT
    assert line["event"] == "child.environment"


def test_whatever_fails_because_its_folder_is_gone_is_the_environments(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    """Unmounted, for example: then the daemon waits, and the job is not charged."""
    (tmp_path / "job").mkdir()
    body = """
import shutil
folder /= "job"
def unmount(stop):
    shutil.rmtree(folder)
    (folder / "progress.json").write_text("1")
run(unmount)
"""
    status, (line,) = ended(start(body))
    assert status == Exit.ENVIRONMENT
    assert (line["event"], "is gone" in line["reason"]) == ("child.environment", True)


def test_spec_that_is_gone_is_the_environments(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    process = start("child_runtime.ordered(Path.read_bytes, folder / 'spec.json')")
    _, log = process.communicate(timeout=60)
    assert (process.returncode, "spec.json: No such file" in log) == (Exit.ENVIRONMENT, True)


def test_exit_code_stands_although_the_log_cannot_be_written(tmp_path: Path) -> None:
    body = "run(lambda stop: fail(OSError(errno.ENOSPC, 'No space left')))"
    environment = os.environ | {
        child_runtime.PARENT_VARIABLE: str(os.getpid()),
        child_runtime.VERSION_VARIABLE: __version__,
    }
    with Path("/dev/full").open("wb") as full:
        command = [sys.executable, "-c", _PREAMBLE + body, str(tmp_path)]
        done = subprocess.run(command, env=environment, stderr=full, check=False, timeout=60)
    assert done.returncode == Exit.ENVIRONMENT


def test_memory_and_time_are_limited(start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    memory = start("child_runtime.limit_resources(memory_bytes=1 << 30)\nrun(lambda stop: bytearray(1 << 31))")
    assert ended(memory)[0] == Exit.INTERNAL
    assert "MemoryError" in issues_in(tmp_path)[0].message
    busy = start("child_runtime.limit_resources(cpu_seconds=1)\nwhile True: pass")
    assert ended(busy)[0] == -signal.SIGXCPU  # not SIGKILL, which comes from outside


# stopping


def test_a_child_asked_to_stop_finishes_and_says_so(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = start("run(wait)")
    until((tmp_path / "ready").exists)
    process.terminate()
    assert ended(process)[0] == Exit.TRY_LATER


def test_an_interrupt_from_the_terminal_is_the_parents_business(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    process = start("run(wait)")
    until((tmp_path / "ready").exists)
    process.send_signal(signal.SIGINT)
    process.terminate()
    assert ended(process)[0] == Exit.TRY_LATER


def test_run_by_hand_an_interrupt_stops_it(start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    process = start("run(wait)", parent=None)
    until((tmp_path / "ready").exists)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    assert process.returncode == Exit.TRY_LATER


# life and death


def test_a_child_dies_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, _PREAMBLE + "run(wait)", str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        until((tmp_path / "ready").exists)
        assert is_alive(pid)
        parent.send_signal(signal.SIGKILL)
    until(lambda: not is_alive(pid))


def test_a_parent_that_died_before_the_tie_is_noticed(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    orphan = start("run(wait)", parent=os.getppid())
    assert ended(orphan)[0] == Exit.TRY_LATER
    assert not (tmp_path / "tied").exists()


def test_run_by_hand_it_is_tied_to_nobody(start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    process = start("run(lambda stop: None)", parent=None)
    process.communicate(timeout=30)
    assert process.returncode == 0
    assert (tmp_path / "tied").exists()


# the lock


def test_a_second_child_waits_until_the_first_has_let_go(
    start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path
) -> None:
    lock = tmp_path / "child.lock"
    with lock.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        process = start('run(lambda stop: (folder / "ran").touch(), folder / "child.lock")')
        until(lambda: is_waiting_for(lock, process.pid))
        assert not (tmp_path / "ran").exists()
        assert process.poll() is None
    assert ended(process)[0] == Exit.OK
    assert (tmp_path / "ran").exists()


def test_the_lock_of_a_killed_child_is_free(start: Callable[..., "subprocess.Popen[str]"], tmp_path: Path) -> None:
    first = start('run(wait, folder / "child.lock")')
    until((tmp_path / "ready").exists)
    first.kill()
    second = start('run(lambda stop: None, folder / "child.lock")')
    assert ended(second)[0] == Exit.OK


def is_waiting_for(lock: Path, pid: int) -> bool:
    """Whether the kernel lists the process as blocked on the file: ``N: -> FLOCK ADVISORY WRITE <pid> ..:<inode>``."""
    waiting = [line.split() for line in Path("/proc/locks").read_text().splitlines() if "->" in line]
    return any(words[5] == str(pid) and words[6].endswith(f":{lock.stat().st_ino}") for words in waiting)


def test_peak_memory_is_the_process_own(start: Callable[..., "subprocess.Popen[str]"]) -> None:
    """What the parent had when it started the child does not count."""
    ballast = bytearray(b"x") * (200 << 20)
    body = "own = child_runtime.peak_rss_bytes()\ngrown = bytearray(b'x') * (100 << 20)\n"
    process = start(
        body + "sys.exit(not (5 << 20 < own < 150 << 20 and child_runtime.peak_rss_bytes() > own + (90 << 20)))"
    )
    assert ended(process)[0] == 0
    assert len(ballast) == 200 << 20
