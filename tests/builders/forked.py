"""Daemons without an interpreter's start: forked from a process that has imported everything, and their children too.

What runs is the real command line with the real check and packing, and the stand-in for training. Two things are not
as they are outside: a child starts by ``fork`` in place of ``exec``, and nothing is synced, because a kill loses
nothing that was written. A daemon with a dozen children is done in a third of a second.
"""

import ctypes
import functools
import importlib
import os
import pkgutil
import runpy
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import numpy.random  # noqa: F401  (children use it)
from PIL import Image

from builders import standin
from builders.changes import Tracer
from builders.daemons import Root, wait_until
from segdrop import __version__, child_runtime, dataset, logs
from segdrop.cli import options, serve
from segdrop.dataset import __main__ as check_main
from segdrop.execution import local
from segdrop.execution.output import LogTail
from segdrop.execution.runner import Command
from segdrop.execution.supervision import Heartbeat
from segdrop.results import __main__ as package_main
from segdrop.service import delays, loop, pause
from segdrop.spool import root as spool_root
from segdrop.stages.stage import Modules

#: between two tries of a daemon that pauses
PAUSE_SECONDS = 0.05
#: above those of any file that a daemon has open
_MAX_DESCRIPTOR = 1024
_HOLD_SECONDS = 0.005
_PR_SET_PDEATHSIG = 1


class _ForkedChild:
    """As much of ``subprocess.Popen`` as ``segdrop.execution`` uses."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        return self._reap(os.WNOHANG)

    def wait(self) -> int:
        status = self._reap(0)
        assert status is not None
        return status

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def _reap(self, options: int) -> int | None:
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, options)
            self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode


def _run_module(module: str, arguments: tuple[str, ...]) -> int:
    sys.argv = [module, *arguments]
    match module:
        case "segdrop.dataset":
            return check_main.main(list(arguments))
        case "segdrop.results":
            return package_main.main()
        case "standin":
            return standin.main()
        case _:  # ends by SystemExit, if with another status than 0
            runpy.run_module(module, run_name="__main__", alter_sys=True)
            return 0


def _ready_for_forks(tracer: Tracer | None, children_log: Path) -> Callable[..., local.LocalChild]:
    """``LocalRunner.submit`` by fork. Returns, like the real one, when the child has let go of the daemon's files."""

    def submit(_runner: local.LocalRunner, command: Command, now: float) -> local.LocalChild:
        with command.log_path.open("ab") as output:
            log = LogTail(command.log_path, output.tell())
            daemon = os.getpid()
            let_go, held = os.pipe()
            pid = os.fork()
            if pid == 0:
                _become_child(command, output.fileno(), daemon, tracer, children_log)
        os.close(held)
        os.read(let_go, 1)
        os.close(let_go)
        return local.LocalChild(_ForkedChild(pid), now, log, Heartbeat(command.progress_path, now), None)

    return submit


def _become_child(command: Command, output: int, daemon: int, tracer: Tracer | None, children_log: Path) -> None:
    """Never returns."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        os.setpgid(0, 0)
        role = {"segdrop.dataset": command.arguments[0], "segdrop.results": "package"}.get(command.module, "train")
        standin.append_record(children_log, [os.getpid(), role, Path(command.arguments[-1]).parent.name])
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, _MAX_DESCRIPTOR)  # the daemon's lock, and the pipe that tells so
        os.environ |= {child_runtime.PARENT_VARIABLE: str(daemon), child_runtime.VERSION_VARIABLE: __version__}
        _hold(children_log.parent, f"{role}-{_slug(Path(command.arguments[-1]).parent.name)}")
        if tracer is not None:
            tracer.become(role)
        status = _run_module(command.module, command.arguments)
    except SystemExit as exit_:
        status = exit_.code if isinstance(exit_.code, int) else 1
    except BaseException:  # noqa: BLE001  (the process's end)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def _slug(job: str) -> str:
    return job.rsplit("-", 2)[0]


def _hold(control: Path, point: str) -> None:
    """As long as there is a file ``hold-<point>``; ``held-<point>`` says so. Nothing below the root is changed."""
    if (control / f"hold-{point}").exists():
        child_runtime.tie_to_parent()
    while (control / f"hold-{point}").exists():
        (control / f"held-{point}").touch()
        time.sleep(_HOLD_SECONDS)


def children(root: Root, first: int = 0) -> list[tuple[int, str, str]]:
    """Every child ever started, from number ``first`` on: PID, what it does (inspect, check, train, package), folder
    of its spec.
    """
    return [tuple(record) for record in standin.records(_children_log(root), first)]


def _children_log(root: Root) -> Path:
    return root.control / "children.log"


def start_daemon(root: Root, tracer: Tracer | None = None) -> int:
    """The PID of a new ``segdrop run``; its log is ``daemon.log``. It dies with this process.

    A child that was being started when its daemon was killed has the root for a moment longer.
    """
    wait_until(lambda: spool_root.holder(root.layout) is None, "nobody holds the root")
    parent = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(1)
        descriptor = os.open(root.folder / "daemon.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.environ["STANDIN_PLAN"] = str(root.control / "plan.json")
        os.fsync = lambda _descriptor: None
        local.LocalRunner.submit = _ready_for_forks(tracer, _children_log(root))  # type: ignore[method-assign]
        modules = Modules(training="standin")
        serve.Service = functools.partial(loop.Service, modules=modules)  # type: ignore[misc,assignment]
        delays.FIRST_SECONDS = delays._LONGEST_SECONDS = pause._LONGEST_SECONDS = PAUSE_SECONDS
        if tracer is not None:
            tracer.install()
        status = serve.serve(options.load(root.config, None), until_drained=False)
    except BaseException:  # noqa: BLE001  (the process's end)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def preload() -> None:
    """Import what children would import, and what they would find out, each time."""
    for module in pkgutil.walk_packages(dataset.__path__, f"{dataset.__name__}."):
        importlib.import_module(module.name)
    Image.init()
    logs.configure("json")
