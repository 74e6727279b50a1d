"""What every child process does first: tie its life to the daemon's, hold its folder, limit itself.

A child is ``python -m segdrop.<package> SPEC``: told everything through the spec file, it answers through
files and its exit code. It never outlives the daemon that started it (Linux: the kernel sends SIGKILL when
the parent dies), and it holds an advisory lock on its work folder, so that a new daemon never starts a second
child on the same checkpoint.

Run by hand, without a parent in the spec, it lives as any command does.
"""

import contextlib
import ctypes
import fcntl
import os
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import structlog

from segdrop import durable, errors, logs

#: set by the parent: its own PID, so that a parent that died before we asked the kernel is noticed too
PARENT_VARIABLE = "SEGDROP_PARENT_PID"
_PR_SET_PDEATHSIG = 1
Spec = TypeVar("Spec")
_LAST_CPU_SECONDS = 5


class StopFlag:
    """Set by SIGTERM: finish the step at hand, save, and leave."""

    def __init__(self) -> None:
        self._stopped = False

    def set(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        self._stopped = True

    def __bool__(self) -> bool:
        return self._stopped


def tie_to_parent() -> None:
    """Die when the parent dies. Residual risk: other systems than Linux have no such signal."""
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):
        os._exit(errors.Exit.TRY_LATER)


@contextlib.contextmanager
def exclusive(lock_path: Path) -> Iterator[None]:
    """Hold the lock; wait for a predecessor that is still dying."""
    with lock_path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def limit_resources(*, memory_bytes: int | None = None, cpu_seconds: int | None = None) -> None:
    """Limits of this process. What exceeds them gets MemoryError or SIGXCPU.

    The hard limit on time lies behind the soft one: where they are equal, the kernel sends SIGKILL at once, and the
    end would look like one from outside.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if cpu_seconds is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds + _LAST_CPU_SECONDS))


def ordered(load: Callable[[Path], Spec], path: Path) -> Spec:
    """Read the spec. Where it is gone, so is its folder: unmounted, or taken away."""
    try:
        return load(path)
    except OSError as error:
        sys.stderr.write(f"cannot read {path}: {error.strerror}\n")
        sys.exit(errors.Exit.ENVIRONMENT)


def peak_rss_bytes() -> int:
    """The process's peak resident memory so far.

    Linux: ``VmHWM``, because ``ru_maxrss`` begins at what the parent had when it started us. Elsewhere the
    latter, in KiB.
    """
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def write_error(path: Path, issues: list[errors.Issue]) -> None:
    durable.write_json(path, {"issues": [issue.to_json() for issue in issues]})


def run(  # noqa: PLR0911  (one return an exit code)
    body: Callable[[StopFlag], None],
    *,
    job: str | None,
    stage: str,
    error_path: Path,
    lock_path: Path | None = None,
) -> int:
    """Run a child's body between set-up and exit code; its issues go to ``error_path``.

    Exit codes: 0 done; 65 the data is at fault (issues written); 74 the environment is; 75 stopped as asked;
    70 anything else (the traceback is logged, an ``internal.error`` issue written).
    """
    stop = StopFlag()
    signal.signal(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN if PARENT_VARIABLE in os.environ else stop.set)
    logs.configure("json" if PARENT_VARIABLE in os.environ else "auto")
    context: dict[str, Any] = {"stage": stage} | ({"job": job} if job else {})
    with structlog.contextvars.bound_contextvars(**context), contextlib.ExitStack() as stack:
        try:
            if lock_path is not None:
                stack.enter_context(exclusive(lock_path))
            _answering_faults(body, stop, error_path)
        except errors.DataError:
            return errors.Exit.DATA
        except errors.StoppedError:
            return errors.Exit.TRY_LATER
        except errors.UnavailableError as error:
            logs.get().error("child.environment", code=error.code, reason=str(error))
            return errors.Exit.ENVIRONMENT
        except OSError as error:
            if error.errno not in errors.ENVIRONMENT_ERRNOS:
                return _defect(error, error_path)
            logs.get().error("child.environment", reason=str(error))
            return errors.Exit.ENVIRONMENT
        except Exception as error:  # noqa: BLE001  (the process's boundary: the daemon learns it from the files)
            return _defect(error, error_path)
    return errors.Exit.OK


def _answering_faults(body: Callable[[StopFlag], None], stop: StopFlag, error_path: Path) -> None:
    """Run the body. Inside the classification of errors, because a full disk refuses the answer as well."""
    try:
        body(stop)
    except errors.DataError as error:
        write_error(error_path, error.issues)
        raise


def _defect(error: Exception, error_path: Path) -> int:
    if not error_path.parent.is_dir():  # unmounted, or taken away: anything may fail then
        logs.get().error("child.environment", reason=f"{error_path.parent} is gone: {error!r}")
        return errors.Exit.ENVIRONMENT
    logs.get().exception("child.failed", error=repr(error))
    detail = traceback.format_exception_only(error)[-1].strip()
    write_error(error_path, [errors.Issue.of("internal.error", detail)])
    return errors.Exit.INTERNAL
