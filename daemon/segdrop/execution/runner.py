"""Where a child runs is a protocol: a runner takes a command and gives a handle, and nothing else is known of it.

The engine of this machine is :mod:`segdrop.execution.local`. Nobody outside this package knows of process ids.
"""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Command:
    """A child's command, ``python -m <module> [<arguments>]``, with what its engine has to know of it."""

    module: str
    arguments: tuple[str, ...]
    log_path: Path  #: its output is appended here
    stage: str  #: what people know it by
    progress_path: Path | None = None  #: a file that it replaces as long as it gets on
    nice: int = 0
    one_thread: bool = False
    for_tensors: bool = False  #: it allocates tensors by the gigabyte: memory is kept, in large pages


class Cause(StrEnum):
    """Why a child ended, where that is known better than its exit status tells."""

    TOO_LONG = "too_long"  #: it was ended because it took too long
    STALLED = "stalled"  #: it was ended because it did not get on
    OUT_OF_MEMORY = "out_of_memory"  #: the kernel ended it, for want of memory


@dataclass(frozen=True, slots=True)
class End:
    """Tells how a child ended: its exit status, negative for a signal, and what is known beside it."""

    status: int
    cause: Cause | None = None


class Handle(Protocol):
    """A child that was submitted. All times are monotonic seconds."""

    @property
    def started_at(self) -> float:
        """The time at which the child was submitted."""

    @property
    def identity(self) -> dict[str, int | str]:
        """Returns what an operator finds the child by, for the log."""

    def poll(self) -> End | None:
        """Returns how the child ended, or None while it runs."""

    def heartbeat(self, now: float) -> float:
        """Returns the time at which the child was last seen to have got on."""

    def log_lines(self) -> list[str]:
        """Returns the whole lines that the child has written since the last call."""

    def terminate(self) -> None:
        """Asks the child to finish the step at hand, to save its state, and to leave."""

    def kill(self) -> End:
        """Ends the child with all that it has started, and waits for its death."""


class Runner(Protocol):
    """An engine that runs children."""

    def submit(self, command: Command, now: float) -> Handle:
        """Starts a child.

        Raises InstallationError where there is no program to be started any more, and OSError where the engine has no
        room for another child or the log cannot be written.
        """
