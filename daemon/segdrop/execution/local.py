"""The engine of this machine: a child is a process in a group of its own.

Why a subprocess and not ``multiprocessing``: the child is a command that runs by hand, a crash of its native
code cannot hurt the daemon, no state is inherited by accident, and the daemon never imports torch.
"""

import contextlib
import errno
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from segdrop import __version__, child_runtime
from segdrop.errors import InstallationError
from segdrop.execution import supervision
from segdrop.execution.output import LogTail
from segdrop.execution.runner import Cause, Command, End
from segdrop.execution.supervision import Heartbeat

#: Where memory runs out the kernel ends a child, and not the daemon, which then tells what happened (proc(5)).
_MORE_OOM_SCORE = 500
_MAX_OOM_SCORE = 1000
#: A library that starts one thread per core in a process that decodes images only costs memory.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
#: malloc keeps up to 4 GiB of what is freed, and from glibc 2.35 on asks the kernel for pages of 2 MiB: glibc's manual,
#: "Memory Allocation Tunables". By default tensors over 32 MiB go back to the kernel, which clears them anew.
_FOR_TENSORS = (
    "glibc.malloc.hugetlb=1",
    "glibc.malloc.mmap_threshold=4294967296",
    "glibc.malloc.trim_threshold=4294967296",
)
#: OpenMP's threads wait for each other, hundreds of times in a step: by spinning, then asleep. Where they spin for
#: long, as is the default, and other processes want the CPUs, they spin for one that is not running: beside two busy
#: ones a step took five times as long. Where they sleep at once, it took a quarter longer on a machine without others.
_SPINS = "10000"
#: execve(2): the interpreter is gone, or is none that can be executed
_NO_PROGRAM = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.ENOEXEC, errno.ELOOP, errno.ELIBBAD})


@dataclass(slots=True)
class LocalChild:
    """A child that runs on this machine, in a process group of its own; a :class:`~segdrop.execution.runner.Handle`."""

    popen: "subprocess.Popen[bytes]"
    started_at: float
    log: LogTail
    progress: Heartbeat
    oom_kills_before: int | None  #: the kernel's count when the child was started
    was_killed: bool = False  #: by us

    @property
    def identity(self) -> dict[str, int | str]:
        """The process id."""
        return {"pid": self.popen.pid}

    def poll(self) -> End | None:
        """Returns how the child ended, or None while it runs."""
        status = self.popen.poll()
        return None if status is None else self._end(status)

    def heartbeat(self, now: float) -> float:
        """Returns the time at which the progress file was last seen to have changed, or that of the start."""
        self.progress = self.progress.look(now)
        return self.progress.since

    def log_lines(self) -> list[str]:
        """Returns the whole lines that the child has written since the last call."""
        return self.log.lines()

    def terminate(self) -> None:
        """Sends SIGTERM: the child finishes the step at hand, saves its state, and leaves."""
        if self.popen.poll() is None:
            self.popen.terminate()

    def kill(self) -> End:
        """Sends SIGKILL to the whole group, and waits for the child's death."""
        if self.popen.poll() is None:
            self.was_killed = True
            os.killpg(self.popen.pid, signal.SIGKILL)
        return self._end(self.popen.wait())

    def _end(self, status: int) -> End:
        """A SIGKILL during which the kernel's count of OOM kills rose was the kernel's own."""
        if status != -signal.SIGKILL or self.was_killed:
            return End(status)
        after = supervision.oom_kills()
        is_counted = after is not None and self.oom_kills_before is not None and after > self.oom_kills_before
        return End(status, Cause.OUT_OF_MEMORY if is_counted else None)


class LocalRunner:
    """Starts children on this machine; a :class:`~segdrop.execution.runner.Runner`."""

    def submit(self, command: Command, now: float) -> LocalChild:
        """Starts a child, whose output is appended to the command's log.

        Raises InstallationError where there is no interpreter to be started any more, and OSError where the machine has
        no room for another process or the log cannot be written.
        """
        return started(command, now)


@dataclass(frozen=True, slots=True)
class Pipes:
    """The descriptors that a child talks with its parent by, and those of other files that it inherits."""

    stdin: int
    stdout: int
    inherited: tuple[int, ...] = ()


def started(command: Command, now: float, pipes: Pipes | None = None) -> LocalChild:
    """Starts a child as :meth:`LocalRunner.submit` does. With ``pipes``, only its standard error goes into the log."""
    oom_kills_before = supervision.oom_kills()
    with command.log_path.open("ab") as output:
        popen = _launched(command, output, pipes)
        log = LogTail(command.log_path, output.tell())
    # never less nice than we are ourselves: only root may do that
    if command.nice > os.getpriority(os.PRIO_PROCESS, 0):
        os.setpriority(os.PRIO_PROCESS, popen.pid, command.nice)
    with contextlib.suppress(OSError):  # it has ended already, or this is no Linux
        score = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii")) + _MORE_OOM_SCORE
        Path(f"/proc/{popen.pid}/oom_score_adj").write_text(f"{min(score, _MAX_OOM_SCORE)}", encoding="ascii")
    return LocalChild(popen, now, log, Heartbeat(command.progress_path, now), oom_kills_before)


def _launched(command: Command, output: BinaryIO, pipes: Pipes | None = None) -> "subprocess.Popen[bytes]":
    try:
        return subprocess.Popen(
            [sys.executable, "-m", command.module, *command.arguments],
            stdin=pipes.stdin if pipes else subprocess.DEVNULL,
            stdout=pipes.stdout if pipes else output,
            stderr=output,
            pass_fds=pipes.inherited if pipes else (),
            env=_environment(command),
            start_new_session=True,
        )
    except OSError as error:
        if error.errno not in _NO_PROGRAM:
            raise
        raise InstallationError(command.stage, f"{sys.executable}: {error.strerror}") from error


def _environment(command: Command) -> dict[str, str]:
    environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
    environment |= {child_runtime.PARENT_VARIABLE: str(os.getpid()), child_runtime.VERSION_VARIABLE: __version__}
    environment |= {"PYTHONUNBUFFERED": "1"} | (_ONE_THREAD if command.one_thread else {})
    return tensor_environment(environment) if command.for_tensors else environment


def tensor_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns an environment with malloc and OpenMP set up for tensors; what the operator has set stays.

    Of two settings of malloc that contradict each other the last counts: the operator's.
    """
    own = environment.get("GLIBC_TUNABLES")
    waiting = {} if "OMP_WAIT_POLICY" in environment else {"GOMP_SPINCOUNT": _SPINS}
    return {**waiting, **environment, "GLIBC_TUNABLES": ":".join([*_FOR_TENSORS, own] if own else _FOR_TENSORS)}
