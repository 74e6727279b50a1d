"""Daemons without an interpreter's start: forked from a process that has imported everything, and so are their children.

What runs is the real command line with the real check and packing, and the stand-in for training. Only the start of
a child is another: ``fork`` in place of ``exec``. Hundreds of daemons an hour become tens a second.

A :class:`Tracer` sees every change that daemon and children make to files below the root, and may end the process, or
refuse the change, at any one of them. For processes of their own only, without threads: never in the test's.
"""

import contextlib
import ctypes
import errno
import functools
import io
import json
import os
import re
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from builders import standin
from builders.daemons import Root
from segdrop import child, cli, durable, logs, service
from segdrop.dataset import __main__ as check_main
from segdrop.dataset import cache, decode, examine, samples, validate  # noqa: F401  (children shall not have to import them)
from segdrop.delivery import __main__ as package_main
from segdrop.errors import Exit
from segdrop.execution import process
from segdrop.execution.output import LogTail
from segdrop.pipeline import Modules

#: between two tries of a daemon that pauses
PAUSE_SECONDS = 0.1
_PR_SET_PDEATHSIG = 1
_JOB_ID = re.compile(r"-\d{8}T\d{6}Z-[0-9a-f]{4}")
#: those that need space; the others succeed on a full disk
_GROWING = frozenset({"open", "mkdir", "link", "fsync"})
#: written each second, so how often depends on the clock: the first time stands for all
_BOARD = frozenset({"status.json", ".status.json.tmp", "metrics.prom", "metrics.prom.tmp"})
_PUBLIC = [
    name
    for name, value in vars(durable).items()
    if callable(value) and getattr(value, "__module__", "") == durable.__name__ and not name.startswith("_")
]


class Tracer:
    """Every change below the root, by name: ``role function/operation path #occurrence``, job ids less their nonces.

    The same change has the same name in every run, because each part of the scenario is one sequence.
    """

    def __init__(self, root: Path, act: Callable[["Tracer", str, str, str], None]) -> None:
        """``act``: called with this, the operation, its name, and ``before`` or ``after``; it may not return."""
        self.role = "daemon"
        self.durable: list[str] = []  #: the function of ``durable`` that is running
        self._root = str(root) + "/"
        self._act = act
        self._counts: Counter[str] = Counter()
        self._busy = False

    def become(self, role: str) -> None:
        self.role = role
        self.durable = []
        self._counts.clear()

    def install(self) -> None:
        """From now on, in this process and those that it forks."""
        for name in ("link", "rename", "replace", "unlink", "remove", "rmdir", "mkdir", "fsync"):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        io.open = self._wrapped_open(io.open)
        for name in _PUBLIC:
            setattr(durable, name, self._wrapped_durable(name, getattr(durable, name)))

    def _wrapped(self, operation: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(first: Any, *others: Any, **named: Any) -> Any:
            target = others[0] if operation in ("link", "rename", "replace") else first
            with self._around(operation, self._path(target, named.get("dir_fd"))):
                return call(first, *others, **named)

        return wrapper

    def _wrapped_open(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(file: Any, mode: str = "r", *others: Any, **named: Any) -> Any:
            if not set("wxa") & set(mode):
                return call(file, mode, *others, **named)
            with self._around("open", self._path(file, None)):
                return call(file, mode, *others, **named)

        return wrapper

    def _wrapped_durable(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            if self.durable:
                return call(*arguments, **named)
            with self._around(name, self._path(arguments[name in ("move", "publish", "link")])):
                self.durable.append(name)
                try:
                    return call(*arguments, **named)
                finally:
                    self.durable.pop()

        return wrapper

    @contextlib.contextmanager
    def _around(self, operation: str, path: str) -> Iterator[None]:
        if self._busy or not path.startswith(self._root):
            yield
            return
        relative = _JOB_ID.sub("", path.removeprefix(self._root))
        label = f"{self.role} {'/'.join([*self.durable, operation])} {relative}"
        self._counts[label] += 1
        name = f"{label} #{self._counts[label]}"
        for moment in ("before", "after"):
            # what is done about it is no change of the product's
            self._busy = True
            try:
                self._act(self, operation, name, moment)
            finally:
                self._busy = False
            if moment == "before":
                yield

    @staticmethod
    def _path(target: Any, folder: int | None = None) -> str:
        if isinstance(target, int):
            return os.readlink(f"/proc/self/fd/{target}")
        path = os.fspath(target)
        return path if folder is None else f"{os.readlink(f'/proc/self/fd/{folder}')}/{path}"


def distinct_in_time(name: str) -> bool:
    """Whether a change happens equally often in every run."""
    change, _, occurrence = name.rpartition(" #")
    return Path(change.split(" ", 2)[2]).name not in _BOARD or occurrence == "1"


# what to do about changes


def noting(log: Path) -> Callable[[Tracer, str, str, str], None]:
    """Write each down; where the moments before and after are different states of the disk, both."""

    def act(tracer: Tracer, operation: str, name: str, moment: str) -> None:
        # inside one function of durable nothing else happens: after one operation is before the next
        if operation in _PUBLIC or moment == "after" or not tracer.durable:
            with log.open("a") as stream:
                stream.write(json.dumps([name, moment]) + "\n")

    return act


def killing(wanted: tuple[str, str]) -> Callable[[Tracer, str, str, str], None]:
    """SIGKILL for daemon and child at one moment: the machine stops there."""

    def act(tracer: Tracer, operation: str, name: str, moment: str) -> None:
        if (name, moment) == wanted:
            if tracer.role != "daemon":
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def filling(wanted: tuple[str, str], seconds: float, flag: Path) -> Callable[[Tracer, str, str, str], None]:
    """A disk that is full from one moment on, for so long: whatever needs space is refused, in daemon and children.

    ``after`` the change: it was made although it failed, as happens on network filesystems.
    """

    def full() -> bool:
        try:
            return time.monotonic() < float(flag.read_text())
        except (FileNotFoundError, ValueError):
            return False

    def act(tracer: Tracer, operation: str, name: str, moment: str) -> None:
        if (name, moment) == wanted and not flag.exists():
            flag.write_text(str(time.monotonic() + seconds))
            refused = True
        else:
            refused = moment == "before" and operation in _GROWING and full()
        if refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    return act


# processes


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
        case "segdrop.delivery":
            return package_main.main()
        case _:
            return standin.main()


def _ready_for_forks(tracer: Tracer | None, children_log: Path) -> Callable[..., process.Child]:
    """``Command.start`` by fork. Notes PID, what it is, and its spec before the child does anything."""

    def start(command: process.Command, now: float) -> process.Child:
        with command.log_path.open("ab") as output:
            log = LogTail(command.log_path, output.tell())
            daemon = os.getpid()
            pid = os.fork()
            if pid == 0:
                _become_child(command, output.fileno(), daemon, tracer, children_log)
        with contextlib.suppress(PermissionError, ProcessLookupError):  # whoever is first, it or we
            os.setpgid(pid, pid)
        return process.Child(_ForkedChild(pid), now, log)

    return start


def _become_child(
    command: process.Command, output: int, daemon: int, tracer: Tracer | None, children_log: Path
) -> None:
    """Never returns."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        with contextlib.suppress(PermissionError):
            os.setpgid(0, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, 64)  # the daemon's lock above all
        os.environ[child.PARENT_VARIABLE] = str(daemon)
        role = {"segdrop.dataset": command.arguments[0], "segdrop.delivery": "package"}.get(command.module, "train")
        descriptor = os.open(children_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.write(descriptor, json.dumps([os.getpid(), role, Path(command.arguments[-1]).parent.name]).encode() + b"\n")
        os.close(descriptor)
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


def start_daemon(root: Root, tracer: Tracer | None = None) -> int:
    """The PID of a new ``segdrop run``; its log is ``daemon.log``. It dies with this process."""
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
        process.Command.start = _ready_for_forks(tracer, root.control / "children.log")  # type: ignore[method-assign]
        modules = Modules(training="standin")
        cli.serve.Service = functools.partial(service.Service, modules=modules)  # type: ignore[misc,assignment]
        service._PAUSE_SECONDS = PAUSE_SECONDS
        if tracer is not None:
            tracer.install()
        status = cli.serve.serve(cli.options.load(root.config, None), until_drained=False)
    except BaseException:  # noqa: BLE001  (the process's end)
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def preload() -> None:
    """What children import on first use."""
    Image.init()
    logs.configure("json")
    assert shutil.rmtree
    assert Exit.OK == 0
