"""Every change that daemon and children make to files below a root, seen one by one: to note it, to kill, to refuse it.

A :class:`Tracer` wraps everything in ``segdrop.durable``, and the calls below it, in the processes where it is
installed. Those have no threads, and are nobody else's (``builders.forked``): never the test's own.
"""

import contextlib
import errno
import functools
import io
import json
import os
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from segdrop import durable

#: those that need space, and are refused on a full disk
GROWING = frozenset({"open", "mkdir", "link", "fsync", "fsync_dir"})
#: those that need none
SHRINKING = frozenset({"unlink", "rmdir"})
#: those that a kill cannot undo; what is written to a file is there by its sync at the latest
_LASTING = (GROWING | SHRINKING | {"rename", "replace"}) - {"fsync_dir"}
#: written every second, so how often depends on the clock: the first time stands for all
_BY_THE_CLOCK = frozenset(
    name + suffix
    for name in ("status.json", ".status.json", "metrics.prom", "progress.json")
    for suffix in ("", ".tmp")
)
_JOB_ID = re.compile(r"-\d{8}T\d{6}Z-[0-9a-f]{4}")
_TWO_PATHS = frozenset({"link", "rename", "replace", "move", "publish"})
_PUBLIC = [
    name
    for name, value in vars(durable).items()
    if callable(value) and getattr(value, "__module__", "") == durable.__name__ and not name.startswith("_")
]

#: ``act(operation, name, moment)`` is called ``before`` and ``after`` each change; it may raise, or not return
Act = Callable[["Tracer", str, str, str], None]


class Tracer:
    """Changes by name: ``role function/operation path #occurrence``, job ids less their times and nonces.

    The same change has the same name in every run, because each part of the scenario is one sequence.
    """

    def __init__(self, root: Path, act: Act) -> None:
        self.role = "daemon"
        self._function = ""  #: of ``durable``, that is running
        self._root = str(root) + "/"
        self._act = act
        self._counts: Counter[str] = Counter()
        self._busy = False

    def become(self, role: str) -> None:
        """In a child, first of all."""
        self.role = role
        self._function = ""
        self._counts.clear()

    def install(self) -> None:
        """From now on, in this process and those that it forks."""
        for name in ("link", "rename", "replace", "unlink", "remove", "rmdir", "mkdir", "fsync"):
            setattr(os, name, self._wrapped(name, getattr(os, name)))
        io.open = self._wrapped_open(io.open)
        os.open = self._wrapped_create(os.open)
        for name in _PUBLIC:
            setattr(durable, name, self._wrapped_function(name, getattr(durable, name)))

    def _wrapped(self, operation: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **named: Any) -> Any:
            path = _path(arguments[operation in _TWO_PATHS], named.get("dir_fd"))
            with self._around("fsync_dir" if operation == "fsync" and path.is_dir() else operation, path):
                return call(*arguments, **named)

        return wrapper

    def _wrapped_open(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(file: Any, mode: str = "r", *others: Any, **named: Any) -> Any:
            if not set("wxa") & set(mode):
                return call(file, mode, *others, **named)
            with self._around("open", _path(file)):
                return call(file, mode, *others, **named)

        return wrapper

    def _wrapped_create(self, call: Callable[..., Any]) -> Callable[..., Any]:
        """As ``Path.touch`` does."""

        def wrapper(path: Any, flags: int, *others: Any, **named: Any) -> Any:
            if not flags & os.O_CREAT:
                return call(path, flags, *others, **named)
            with self._around("open", _path(path, named.get("dir_fd"))):
                return call(path, flags, *others, **named)

        return wrapper

    def _wrapped_function(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(call)
        def wrapper(*arguments: Any, **named: Any) -> Any:
            if self._function:
                return call(*arguments, **named)
            with self._around(f"{name}()", _path(arguments[name in _TWO_PATHS])):
                self._function = name + "/"
                try:
                    return call(*arguments, **named)
                finally:
                    self._function = ""

        return wrapper

    @contextlib.contextmanager
    def _around(self, operation: str, path: Path) -> Iterator[None]:
        if self._busy or not str(path).startswith(self._root):
            yield
            return
        label = f"{self.role} {self._function}{operation} {_JOB_ID.sub('', str(path).removeprefix(self._root))}"
        self._counts[label] += 1
        name = f"{label} #{self._counts[label]}"
        self._tell(operation, name, "before")
        yield
        self._tell(operation, name, "after")

    def _tell(self, operation: str, name: str, moment: str) -> None:
        """What is done about a change is none of the product's."""
        self._busy = True
        try:
            self._act(self, operation, name, moment)
        finally:
            self._busy = False


def _path(target: Any, folder: int | None = None) -> Path:
    if isinstance(target, int):
        return Path(f"/proc/self/fd/{target}").readlink()
    return Path(target) if folder is None else Path(f"/proc/self/fd/{folder}").readlink() / target


def in_turn(acts: Sequence[Act]) -> Act:
    """All of them at each moment, until one raises."""

    def act(tracer: Tracer, operation: str, name: str, moment: str) -> None:
        for each in acts:
            each(tracer, operation, name, moment)

    return act


def refusing(wanted: Callable[[str, str], bool], number: int) -> Act:
    """An error for the changes, by operation and name, that are ``wanted``."""

    def act(_tracer: Tracer, operation: str, name: str, moment: str) -> None:
        if moment == "before" and wanted(operation, name):
            raise OSError(number, os.strerror(number), name)

    return act


def noting(log: Path) -> Act:
    """Write each moment down, and whether a kill then leaves the files otherwise than at this process's last one."""
    begun: set[int] = set()

    def act(_tracer: Tracer, operation: str, name: str, moment: str) -> None:
        path, _, occurrence = name.split(" ", 2)[2].rpartition(" #")
        if Path(path).name in _BY_THE_CLOCK and occurrence != "1":
            return
        is_another = os.getpid() not in begun or (moment == "after" and operation in _LASTING)
        begun.add(os.getpid())
        with log.open("a") as stream:
            stream.write(json.dumps([name, operation, moment, is_another]) + "\n")

    return act


def killing(wanted: tuple[str, str]) -> Act:
    """SIGKILL for daemon and child at one moment (name, before or after): the machine stops there."""

    def act(tracer: Tracer, _operation: str, name: str, moment: str) -> None:
        if (name, moment) == wanted:
            if tracer.role != "daemon":
                os.kill(os.getppid(), signal.SIGKILL)
            os.kill(os.getpid(), signal.SIGKILL)

    return act


def filling(wanted: tuple[str, str], seconds: float, flag: Path) -> Act:
    """A disk that is full from one moment on, for so long: whatever needs space is refused, in daemon and children.

    ``after`` the change: it was made although it failed, as happens on network filesystems. ``flag`` is made then.
    """

    def full() -> bool:
        try:
            return time.monotonic() < float(flag.read_text())
        except (FileNotFoundError, ValueError):
            return False

    def act(_tracer: Tracer, operation: str, name: str, moment: str) -> None:
        if (name, moment) == wanted and not flag.exists():
            flag.write_text(str(time.monotonic() + seconds))
            refused = True
        else:
            refused = moment == "before" and operation in GROWING and full()
        if refused:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)

    return act
