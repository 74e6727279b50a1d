import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from segdrop import child_runtime
from segdrop.execution.local import LocalChild, LocalRunner
from segdrop.execution.runner import Command, End

_MODULES = {
    "prints": "import sys; print('out'); print('err', file=sys.stderr); print(sys.argv[1:])",
    "fails": "import sys; sys.exit(int(sys.argv[1]))",
    "waits": "import sys, time; print('ready', flush=True); time.sleep(600)",
    "stubborn": "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True)\n"
    "while True: time.sleep(600)",
    "shows": "import json, os; print(json.dumps(dict(os.environ)))\nprint(os.getpgrp() == os.getpid(), os.read(0, 1))",
    "allocates": "block = bytearray(b'x') * (64 << 20)\nprint(open('/proc/self/smaps_rollup').read())",
    "reuses": "import resource\nfaults = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
    "block = bytearray(b'x') * (64 << 20)\ndel block\nbefore = faults()\n"
    "block = bytearray(b'x') * (64 << 20)\nprint(faults() - before)",
    "loads": "import torch",
    "forks": "import subprocess, sys, time\n"
    "p = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(p.pid, flush=True); time.sleep(600)",
}


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
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., LocalChild]]:
    (tmp_path / "modules").mkdir()
    for name, source in _MODULES.items():
        (tmp_path / "modules" / f"{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "modules"))
    started: list[LocalChild] = []

    def start_module(module: str, *arguments: str, **options: Any) -> LocalChild:
        started.append(LocalRunner().submit(Command(module, arguments, tmp_path / "log", "stage", **options), now=5.0))
        return started[-1]

    yield start_module
    for process in started:
        process.kill()


def output_of(running: LocalChild, tmp_path: Path) -> str:
    running.popen.wait(timeout=30)
    return (tmp_path / "log").read_text()


def test_a_child_is_given_its_arguments_and_its_output_goes_to_its_log(
    start: Callable[..., LocalChild], tmp_path: Path
) -> None:
    (tmp_path / "log").write_text("of an earlier attempt\n")
    running = start("prints", "check", "/a b/spec.json")
    assert running.started_at == 5.0
    running.popen.wait(timeout=30)
    assert running.poll() == End(0)
    assert sorted(running.log_lines()) == ["['check', '/a b/spec.json']", "err", "out"]
    assert (tmp_path / "log").read_text().startswith("of an earlier attempt\n")


@pytest.mark.parametrize("status", [0, 1, 65, 75])
def test_the_exit_status_comes_back(start: Callable[..., LocalChild], status: int) -> None:
    running = start("fails", str(status))
    running.popen.wait(timeout=30)
    assert running.poll() == End(status)


def test_asking_and_killing_are_told_apart_by_the_signal(start: Callable[..., LocalChild]) -> None:
    asked, killed = start("waits"), start("waits")
    assert (asked.poll(), killed.poll()) == (None, None)
    asked.terminate()
    killed.kill()
    asked.popen.wait(timeout=30)
    assert (asked.poll(), killed.poll()) == (End(-signal.SIGTERM), End(-signal.SIGKILL))
    asked.terminate()
    asked.kill()
    killed.kill()


def test_a_child_that_does_not_listen_is_killed(start: Callable[..., LocalChild]) -> None:
    running = start("stubborn")
    until(running.log_lines)
    running.terminate()
    assert running.poll() is None
    running.kill()
    assert running.poll() == End(-signal.SIGKILL)


def test_killing_a_child_kills_what_it_started(start: Callable[..., LocalChild]) -> None:
    running = start("forks")
    grandchild = int(until(running.log_lines)[0])
    assert is_alive(grandchild)
    running.kill()
    until(lambda: not is_alive(grandchild))


def test_a_child_has_a_group_of_its_own_no_input_and_no_journal(
    start: Callable[..., LocalChild], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    text = output_of(start("shows", one_thread=True), tmp_path)
    assert "True b''" in text
    assert "JOURNAL_STREAM" not in text
    assert f'"{child_runtime.PARENT_VARIABLE}": "{os.getpid()}"' in text
    assert '"OMP_NUM_THREADS": "1"' in text


@pytest.mark.parametrize(("tunables", "is_huge"), [(None, True), ("glibc.malloc.hugetlb=0", False)])
def test_a_child_for_tensors_gets_huge_pages_unless_the_operator_refuses(
    start: Callable[..., LocalChild],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tunables: str | None,
    *,
    is_huge: bool,
) -> None:
    enabled = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if not enabled.exists() or "[madvise]" not in enabled.read_text() or not has_tunable():
        pytest.skip("this kernel gives huge pages always or never, or this libc does not ask for them")
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if tunables:
        monkeypatch.setenv("GLIBC_TUNABLES", tunables)
    text = output_of(start("allocates", for_tensors=True), tmp_path)
    (kibibytes,) = (int(line.split()[1]) for line in text.splitlines() if line.startswith("AnonHugePages:"))
    assert (kibibytes >= 32 * 1024) == is_huge, text


def test_a_child_for_tensors_keeps_the_memory_that_it_frees(start: Callable[..., LocalChild], tmp_path: Path) -> None:
    if platform.libc_ver()[0] != "glibc":
        pytest.skip("this libc has no such setting")
    given_back = int(output_of(start("reuses"), tmp_path).split()[-1])
    kept = int(output_of(start("reuses", for_tensors=True), tmp_path).split()[-1])
    assert 2 * kept < given_back, (kept, given_back)


@pytest.mark.parametrize(("policy", "is_ours"), [(None, True), ("ACTIVE", False)])
def test_threads_of_a_child_for_tensors_wait_awake_for_a_moment_only_unless_the_operator_says_how(
    start: Callable[..., LocalChild],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    policy: str | None,
    *,
    is_ours: bool,
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.delenv("GOMP_SPINCOUNT", raising=False)
    if policy:
        monkeypatch.setenv("OMP_WAIT_POLICY", policy)
    monkeypatch.setenv("OMP_DISPLAY_ENV", "VERBOSE")
    text = output_of(start("loads", for_tensors=True), tmp_path)
    if "GOMP_SPINCOUNT" not in text:
        pytest.skip("this torch has another OpenMP than GNU's")
    assert ("GOMP_SPINCOUNT = '10000'" in text) == is_ours, text


def has_tunable() -> bool:
    name, version = platform.libc_ver()
    return name == "glibc" and tuple(map(int, version.split(".")[:2])) >= (2, 35)


def test_a_child_is_as_nice_as_told(start: Callable[..., LocalChild]) -> None:
    nice = min(19, os.getpriority(os.PRIO_PROCESS, 0) + 3)
    assert os.getpriority(os.PRIO_PROCESS, start("waits", nice=nice).popen.pid) == nice


def test_a_child_of_a_nice_daemon_is_never_less_nice_than_it(tmp_path: Path) -> None:
    """Only root may become less nice: for others the start itself would fail."""
    script = (
        "import os; os.nice(7); before = os.getpriority(os.PRIO_PROCESS, 0)\n"
        "from pathlib import Path; from segdrop.execution.local import LocalRunner\n"
        "from segdrop.execution.runner import Command\n"
        f"command = Command('platform', (), Path({str(tmp_path / 'log')!r}), 'stage', nice=before - 3)\n"
        "running = LocalRunner().submit(command, 0.0)\n"
        "assert os.getpriority(os.PRIO_PROCESS, running.popen.pid) == before\n"
        "running.kill()"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_where_memory_runs_out_a_child_goes_before_the_daemon(start: Callable[..., LocalChild]) -> None:
    own, its = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in ("self", start("waits").popen.pid))
    assert its == min(1000, own + 500)
