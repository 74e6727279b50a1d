"""Start a child in a process group of its own, and end it.

Why a subprocess and not ``multiprocessing``: the child is a command that runs by hand, a crash of its native
code cannot hurt the daemon, no state is inherited by accident, and the daemon never imports torch.
"""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from segdrop import child
from segdrop.execution.output import LogTail

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


@dataclass(slots=True)
class Child:
    """A running child. ``poll`` until it gives an exit status, negative for a signal."""

    popen: "subprocess.Popen[bytes]"
    started_at: float  #: monotonic seconds
    log: LogTail

    def poll(self) -> int | None:
        return self.popen.poll()

    def terminate(self) -> None:
        """Ask: finish the step at hand, save, leave."""
        if self.popen.poll() is None:
            self.popen.terminate()

    def kill(self) -> None:
        """End the whole group, and wait for its death."""
        if self.popen.poll() is None:
            os.killpg(self.popen.pid, signal.SIGKILL)
        self.popen.wait()


@dataclass(frozen=True, slots=True)
class Command:
    """What to run: ``python -m <module> [<arguments>]``."""

    module: str
    arguments: tuple[str, ...]
    log_path: Path
    nice: int = 0
    one_thread: bool = False
    for_tensors: bool = False  #: that come and go by the gigabyte: memory is kept, in large pages

    def start(self, now: float) -> Child:
        """Start it. Its output goes to ``log_path``, appended."""
        environment = {key: value for key, value in os.environ.items() if key != "JOURNAL_STREAM"}
        environment |= {child.PARENT_VARIABLE: str(os.getpid()), "PYTHONUNBUFFERED": "1"}
        if self.one_thread:
            environment |= _ONE_THREAD
        if self.for_tensors:
            environment = tensor_environment(environment)
        with self.log_path.open("ab") as output:
            popen = subprocess.Popen(
                [sys.executable, "-m", self.module, *self.arguments],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=environment,
                start_new_session=True,
            )
            log = LogTail(self.log_path, output.tell())
        # never less nice than we are ourselves: only root may do that
        if self.nice > os.getpriority(os.PRIO_PROCESS, 0):
            os.setpriority(os.PRIO_PROCESS, popen.pid, self.nice)
        with contextlib.suppress(OSError):  # it has ended already, or this is no Linux
            score = int(Path("/proc/self/oom_score_adj").read_text(encoding="ascii")) + _MORE_OOM_SCORE
            Path(f"/proc/{popen.pid}/oom_score_adj").write_text(f"{min(score, _MAX_OOM_SCORE)}", encoding="ascii")
        return Child(popen, now, log)


def tensor_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """With malloc and OpenMP set up for tensors; what the operator set stays.

    Of two settings of malloc that contradict each other the last counts: the operator's.
    """
    own = environment.get("GLIBC_TUNABLES")
    waiting = {} if "OMP_WAIT_POLICY" in environment else {"GOMP_SPINCOUNT": _SPINS}
    return {**waiting, **environment, "GLIBC_TUNABLES": ":".join([*_FOR_TENSORS, own] if own else _FOR_TENSORS)}
