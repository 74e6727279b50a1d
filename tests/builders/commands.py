"""Commands without an interpreter's start: forked from a process that has imported the command line.

Hundreds of them run in the time of a few. What runs is ``segdrop.cli.main`` to the very end of its process, with the
stand-ins of ``driver`` as children; its standard streams, permissions, folder and environment are real.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

BUILDERS = Path(__file__).parent
DEADLINE_SECONDS = 60.0
_PR_CAPBSET_DROP, _LAST_CAPABILITY = 24, 40
_CAPABILITY_VERSION_3 = 0x20080522


@dataclass(frozen=True, slots=True)
class Finished:
    """A command's end. ``returncode`` is negative for a signal; SIGKILL means that it hung."""

    returncode: int
    stdout: str
    stderr: str


class Commands:
    """The process that the commands are forked from."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__)), str(folder / "unused-plan.json")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": f"{BUILDERS}:{BUILDERS.parent}"},
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self,
        *arguments: str | Path,
        cwd: Path,
        environment: dict[str, str] | None = None,
        stdout: Path | None = None,
        stdout_closed: bool = False,
        powerless: bool = False,
        removes_cwd: bool = False,
        ends_on: str | None = None,
    ) -> Finished:
        """``powerless``: without root's right to read and write everything. ``stdout_closed``: its reader has gone.

        ``ends_on``: SIGTERM when that is said on stderr, for those that run until they are asked to stop.
        """
        out, err = self._folder / "stdout", self._folder / "stderr"
        order = {
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(cwd),
            "environment": self._environment() | (environment or {}),
            "stdout": str(stdout or out),
            "stdout_closed": stdout_closed,
            "stderr": str(err),
            "powerless": powerless,
            "removes_cwd": removes_cwd,
            "ends_on": ends_on,
        }
        out.write_bytes(b"")
        err.write_bytes(b"")
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        status = int(self._process.stdout.readline())
        return Finished(status, out.read_text("utf-8", "replace"), err.read_text("utf-8", "replace"))

    def _environment(self) -> dict[str, str]:
        inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
        own = {"PYTHONPATH": str(BUILDERS), "STANDIN_PLAN": str(self._folder / "unused-plan.json"), "COLUMNS": "200"}
        return inherited | own


def give_up_capabilities() -> None:
    """As root: obey permissions as others do, this process and those it starts."""
    if os.geteuid() != 0:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    for capability in range(_LAST_CAPABILITY + 1):
        libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    if libc.capset(header, (ctypes.c_uint32 * 6)()) != 0:
        raise OSError(ctypes.get_errno(), "capset")


def _become(order: dict[str, Any]) -> None:
    """In the forked process: streams, permissions, folder and environment as ordered."""
    os.setpgid(0, 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    output = os.open(order["stdout"], os.O_WRONLY)
    if order["stdout_closed"]:
        reader, output = os.pipe()
        os.close(reader)
    errors = os.open(order["stderr"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in ((nothing, 0), (output, 1), (errors, 2)):
        os.dup2(descriptor, target)
    os.closerange(3, 64)
    os.chdir(order["cwd"])
    if order["removes_cwd"]:
        Path(order["cwd"]).rmdir()
    if order["powerless"]:
        give_up_capabilities()
    sys.argv = ["segdrop", *order["arguments"]]


def _ended(pid: int, order: dict[str, Any]) -> int:
    give_up, ends_on = time.monotonic() + DEADLINE_SECONDS, order["ends_on"]
    while time.monotonic() < give_up:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status)
        if ends_on is not None and ends_on in Path(order["stderr"]).read_text("utf-8", "replace"):
            os.kill(pid, signal.SIGTERM)
            ends_on = None
        time.sleep(0.005)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return -signal.SIGKILL


def _serve(answers: int) -> None:
    """Fork for each order; returns in the forked process only, which then is the command."""
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _become(order)
            return
        os.write(answers, f"{_ended(pid, order)}\n".encode())
    sys.exit()


if __name__ == "__main__":
    os.environ["STANDIN_PLAN"] = sys.argv[1]
    import functools

    from segdrop import cli
    from segdrop.cli import commands, doctor, serve  # noqa: F401  (all of the command line, before the first fork)
    from segdrop.dataset import demo  # noqa: F401  (imported late)
    from segdrop.service import delays, loop, pause
    from segdrop.stages.stage import Modules

    modules = Modules(check="held_check", training="standin", inference="standin_inference", package="held_package")
    serve.Service = functools.partial(loop.Service, modules=modules)  # type: ignore[misc,assignment]
    packing = [sys.executable, "-m", "segdrop.results", "ready"]
    doctor.processes = lambda _settings: iter([doctor._begins("packing process", packing)])  # the others load torch
    delays.FIRST_SECONDS = delays._LONGEST_SECONDS = pause._LONGEST_SECONDS = 1.0
    channel = os.dup(1)
    _serve(channel)
    cli.main()
