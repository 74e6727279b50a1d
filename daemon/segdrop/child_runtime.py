"""Every child process begins here: it ties its life to the daemon's, holds its folder, and limits itself.

A child is ``python -m segdrop.<package> SPEC``: told everything through the spec file, it answers through
files and its exit code. It never outlives the daemon that started it (Linux: the kernel sends SIGKILL when
the parent dies), and it holds an advisory lock on its work folder, so that a new daemon never starts a second
child on the same checkpoint.

Its answers tell whose fault an end is: that it has begun (a file), what is wrong with the data, which error of the
environment stood in its way, or that a file of its job is not what it should be. A child that ends without having begun
tells nothing about its item: that is our installation's fault.

Run by hand, without a parent in the environment, it lives as any command does.
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
from pydantic import BaseModel, ConfigDict, ValidationError

from segdrop import __version__, durable, environment, errors, logs
from segdrop.codes import Code

#: Set by the parent: its own PID, so that a parent that died before we asked the kernel is noticed too.
PARENT_VARIABLE = "SEGDROP_PARENT_PID"
#: Set by the parent: its version. Version 0.1 set none, and took any exit status that it did not know for the death of
#: its reader; to that one, an exchanged installation is told as a fault of the environment.
VERSION_VARIABLE = "SEGDROP_PARENT_VERSION"
_PR_SET_PDEATHSIG = 1
Spec = TypeVar("Spec")
_LAST_CPU_SECONDS = 5
#: Name of a file beside the error file, which is there once the child has begun its item.
BEGUN_NAME = "begun"
#: what torch's allocators say (c10/core/impl/alloc_cpu.cpp, c10/cuda/CUDACachingAllocator.cpp)
_NO_MEMORY = ("DefaultCPUAllocator: can't allocate memory", "CUDA out of memory")


class ErrorAnswer(BaseModel):
    """A child's error file: what is wrong with the data, or what the environment refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    issues: tuple[errors.Issue, ...] = ()
    fault: environment.Fault | None = None


class StopFlag:
    """Becomes true with SIGTERM: the child then finishes the step at hand, saves, and leaves."""

    def __init__(self) -> None:
        self._stopped = False

    def set(self, _signal: int = 0, _frame: FrameType | None = None) -> None:
        """Asks the child to stop. It can be installed as a signal's handler."""
        self._stopped = True

    def __bool__(self) -> bool:
        return self._stopped


def tie_to_parent() -> None:
    """Makes this process die when its parent dies.

    It ends at once where the parent is of another version than this code, which was exchanged under it: neither would
    understand the other. Residual risk: other systems than Linux have no such signal.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None:
        return
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != int(parent):
        os._exit(errors.Exit.TRY_LATER)
    version = os.environ.get(VERSION_VARIABLE, "0.1.0")
    if version != __version__:
        sys.stderr.write(f"the daemon is segdrop {version}, and its files are {__version__} now: restart the daemon\n")
        sys.exit(installation())


@contextlib.contextmanager
def exclusive(lock_path: Path) -> Iterator[None]:
    """Holds the lock; waits for a predecessor that is still dying."""
    with lock_path.open("ab") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def limit_resources(*, memory_bytes: int | None = None, cpu_seconds: int | None = None) -> None:
    """Limits this process: it gets ``MemoryError`` beyond ``memory_bytes``, and SIGXCPU beyond ``cpu_seconds``.

    A hard limit that is lower already (``ulimit``, ``LimitAS=``) is taken: only root could raise it. The hard limit on
    time lies behind the soft one: where they are equal, the kernel sends SIGKILL at once, and the end would look like
    one from outside.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if memory_bytes is not None:
        memory_bytes = lower_limit(resource.RLIMIT_AS, memory_bytes)
        resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    if cpu_seconds is not None:
        hard = lower_limit(resource.RLIMIT_CPU, cpu_seconds + _LAST_CPU_SECONDS)
        resource.setrlimit(resource.RLIMIT_CPU, (max(1, min(cpu_seconds, hard - _LAST_CPU_SECONDS)), hard))


def allow_cpu(seconds: int) -> None:
    """Gives this process so many more seconds of processor time from now on, then it gets SIGXCPU.

    A limit for each piece of work, and not for the whole, need not know how many pieces there are. A lower hard limit
    is taken, as by :func:`limit_resources`.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    wanted = int(used.ru_utime + used.ru_stime) + 1 + seconds
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    soft = lower_limit(resource.RLIMIT_CPU, wanted + _LAST_CPU_SECONDS) - _LAST_CPU_SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (max(1, soft), hard))


def lower_limit(kind: int, wanted: int) -> int:
    """Returns what is wanted or the process's hard limit (setrlimit(2)), whichever is lower."""
    _, hard = resource.getrlimit(kind)
    return wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)


def ordered(load: Callable[[Path], Spec], path: Path) -> Spec:
    """Reads the spec, or ends the process with an exit code that says whose fault it is.

    Where the spec is gone, so is its folder: unmounted, or taken away. One that is not understood comes from another
    version, which was exchanged for this one while its daemon was running.
    """
    try:
        return load(path)
    except OSError as error:
        sys.stderr.write(f"cannot read {path}: {error.strerror}\n")
        sys.exit(errors.Exit.ENVIRONMENT)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(map(str, first["loc"]))
        sys.stderr.write(
            f"{path.name} is not for this version of segdrop ({where}: {first['msg']}): "
            "was it exchanged under a running daemon? Restart the daemon\n"
        )
        sys.exit(installation())


def installation() -> errors.Exit:
    """Returns the exit code of a child that cannot begin, as its parent's version knows it."""
    knows = VERSION_VARIABLE in os.environ or PARENT_VARIABLE not in os.environ
    return errors.Exit.INSTALLATION if knows else errors.Exit.ENVIRONMENT


def peak_rss_bytes() -> int:
    """Returns the process's peak resident memory so far, in bytes.

    On Linux that is ``VmHWM``, because ``ru_maxrss`` begins at what the parent had when it started the child.
    Elsewhere it is the latter, which is in KiB.
    """
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def rss_bytes() -> int | None:
    """Returns this process's resident memory in bytes (proc(5), statm: the second number, in pages).

    ``None`` where there is no /proc.
    """
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()


def write_error(path: Path, issues: list[errors.Issue]) -> None:
    """Writes the error file: what is wrong with the data, or with us."""
    _answer(path, ErrorAnswer(issues=tuple(issues)))


def _answer(path: Path, answer: ErrorAnswer) -> None:
    durable.write_json(path, answer.model_dump(mode="json"))


def run(
    body: Callable[[StopFlag], None],
    *,
    job: str | None,
    stage: str,
    error_path: Path,
    lock_path: Path | None = None,
    begins: bool = True,
) -> int:
    """Runs a child's body, writes what went wrong to ``error_path``, and returns the exit code.

    With ``begins``, nothing of ours is still to be imported, so the child has begun. Else the body calls :func:`begin`.

    Exit codes: 0 done; 65 the data is at fault (issues written); 66 a file of the job is; 72 a module of ours is
    missing; 74 the environment is at fault (error and path written, if that can be); 75 stopped as asked; 70 anything
    else (the traceback is logged, an ``internal.error`` issue written).
    """
    stop = StopFlag()
    signal.signal(signal.SIGTERM, stop.set)
    signal.signal(signal.SIGINT, signal.SIG_IGN if PARENT_VARIABLE in os.environ else stop.set)
    logs.configure("json" if PARENT_VARIABLE in os.environ else "auto")
    context: dict[str, Any] = {"stage": stage} | ({"job": job} if job else {})
    with structlog.contextvars.bound_contextvars(**context):
        try:
            with exclusive(lock_path) if lock_path is not None else contextlib.nullcontext():
                if begins:
                    begin(error_path)
                _answering_faults(body, stop, error_path)
        except Exception as error:  # noqa: BLE001  (the process's boundary: the daemon learns it from the files)
            return _exit_code(error, error_path)
    return errors.Exit.OK


def begin(error_path: Path) -> None:
    """Tells that this child begins its item: what goes wrong from now on is not our installation's fault."""
    path = error_path.with_name(BEGUN_NAME)
    path.touch()
    durable.sync_dir(path.parent)


@contextlib.contextmanager
def out_of_memory_as(code: Code) -> Iterator[None]:
    """Raises ``DataError`` with a code in place of what Python and torch raise where memory does not suffice."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not any(words in str(error) for words in _NO_MEMORY):
            raise
        raise errors.DataError([errors.Issue.of(code, str(error)[:300] or "out of memory")]) from error


def _answering_faults(body: Callable[[StopFlag], None], stop: StopFlag, error_path: Path) -> None:
    """Runs the body, and answers what is wrong with the data. A full disk may refuse that answer as well."""
    try:
        body(stop)
    except errors.DataError as error:
        write_error(error_path, error.issues)
        raise


def _exit_code(error: Exception, error_path: Path) -> int:  # noqa: PLR0911  (one return a kind)
    """Returns the exit code that says whose fault an exception is, which is answered and logged."""
    match error:
        case errors.DataError():
            return errors.Exit.DATA
        case errors.StoppedError():
            return errors.Exit.TRY_LATER
        case errors.DeferredError():
            return _environment(error.fault, error_path)
        case errors.UnavailableError():
            fault = environment.Fault(code=error.code, response=environment.Response.PAUSE, message=str(error))
            return _environment(fault, error_path)
        case errors.InstallationError():
            logs.get().error("child.failed", error=repr(error), reason=str(error))
            return installation()
        case ImportError():
            logs.get().exception("child.failed", error=repr(error), reason=str(error))
            return installation()
        case errors.CorruptError():
            return _corrupt(str(error), error_path)
        case OSError():
            return _os_error(error, error_path)
        case _:
            return _defect(error, error_path)


def _os_error(error: OSError, error_path: Path) -> int:
    fault = environment.Fault.of(error)
    if fault.response is not environment.Response.OWN:
        return _environment(fault, error_path)
    named = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes | os.PathLike) else None
    if environment.is_misplaced(error) and named is not None and error_path.parent in named.parents:
        return _corrupt(fault.message, error_path)
    return _defect(error, error_path)


def _environment(fault: environment.Fault, error_path: Path) -> int:
    """Answers a fault of the environment. The daemon can do without: a disk that is full refuses the answer, too."""
    logs.get().error("child.environment", code=fault.code, reason=fault.message)
    with contextlib.suppress(OSError):
        _answer(error_path, ErrorAnswer(fault=fault))
    return errors.Exit.ENVIRONMENT


def _corrupt(reason: str, error_path: Path) -> int:
    if not error_path.parent.is_dir():  # unmounted, or taken away: anything may fail then
        return _environment(environment.unknown(f"{error_path.parent} is gone: {reason}"), error_path)
    logs.get().error("child.failed", error=reason)
    write_error(error_path, [errors.Issue.of(Code.SPOOL_CORRUPT, reason)])
    return errors.Exit.CORRUPT


def _defect(error: Exception, error_path: Path) -> int:
    if not error_path.parent.is_dir():
        return _environment(environment.unknown(f"{error_path.parent} is gone: {error!r}"), error_path)
    logs.get().exception("child.failed", error=repr(error))
    detail = traceback.format_exception_only(error)[-1].strip()
    write_error(error_path, [errors.Issue.of(Code.INTERNAL_ERROR, detail)])
    return errors.Exit.INTERNAL
