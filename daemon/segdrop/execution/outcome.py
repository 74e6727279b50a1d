"""What a child's end means. Pure."""

import json
import signal
from dataclasses import dataclass
from enum import StrEnum

from segdrop.errors import Exit, Issue

#: A reader that ends by SIGKILL is started so often. The signal comes from outside (the kernel short of memory, an
#: operator) and need not be the ZIP's fault; but where it comes every time, it is.
MAX_READER_KILLS = 3


class Ending(StrEnum):
    FINISHED = "finished"  #: exit 0 and the answer is there
    DATA_FAULT = "data_fault"  #: the data is at fault; the issues say how
    ENVIRONMENT = "environment"  #: disk full and the like: the same child may succeed later
    STOPPED = "stopped"  #: asked to stop, and did
    DEFECT = "defect"  #: an exception that nobody expected
    KILLED = "killed"  #: ended by a signal, or without any of the answers it owes


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    ending: Ending
    detail: str
    issues: tuple[Issue, ...] = ()


def read(exit_status: int, *, answered: bool, error_file: bytes | None) -> ChildOutcome:  # noqa: PLR0911  (one return an ending)
    """Classify an exit status (negative: a signal) with the files that the child left.

    ``answered``: its answer file is there. A child that claims success without one has not succeeded.
    """
    issues = _issues(error_file)
    match exit_status:
        case Exit.OK if answered:
            return ChildOutcome(Ending.FINISHED, "finished")
        case Exit.DATA if issues:
            return ChildOutcome(Ending.DATA_FAULT, "the data is at fault", issues)
        case Exit.ENVIRONMENT:
            return ChildOutcome(Ending.ENVIRONMENT, "the environment is at fault")
        case Exit.TRY_LATER:
            return ChildOutcome(Ending.STOPPED, "stopped")
        case _ if exit_status == -signal.SIGTERM:  # asked while it was still starting, before it could heed it
            return ChildOutcome(Ending.STOPPED, "stopped")
        case Exit.INTERNAL:
            return ChildOutcome(Ending.DEFECT, issues[0].message if issues else "unknown", issues)
        case _ if exit_status < 0:
            return ChildOutcome(Ending.KILLED, f"ended by {signal_name(-exit_status)}")
        case _:
            return ChildOutcome(Ending.KILLED, f"exit status {exit_status} without an answer")


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _issues(error_file: bytes | None) -> tuple[Issue, ...]:
    if error_file is None:
        return ()
    try:
        return tuple(Issue.from_json(value) for value in json.loads(error_file)["issues"])
    except (ValueError, KeyError, TypeError):
        return ()
