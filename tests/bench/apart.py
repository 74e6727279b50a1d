"""Our side works in a process of its own, which gets from its environment what the daemon gives to training."""

import multiprocessing
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any, Self

from segdrop.execution.local import tensor_environment


class Apart:
    """An object that ``factory`` makes there; calling this one by the name of a method calls that one."""

    def __init__(self, factory: Callable[..., object], *arguments: object) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._connection, theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(theirs, factory, arguments), daemon=True)
        with _as_environment(tensor_environment(os.environ)):
            self._process.start()
        theirs.close()

    def __call__(self, method: str, *arguments: object) -> Any:
        """What it returns; ``EOFError`` or ``ConnectionError`` where it raised, which the process has printed then."""
        self._connection.send((method, arguments))
        return self._connection.recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.send(None)  # merely closed, it may live on in a worker that a reference forked
        self._process.join()


def _serve(connection: Connection, factory: Callable[..., object], arguments: tuple[object, ...]) -> None:
    served = factory(*arguments)
    while (call := connection.recv()) is not None:
        method, given = call
        connection.send(getattr(served, method)(*given))


@contextmanager
def _as_environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
