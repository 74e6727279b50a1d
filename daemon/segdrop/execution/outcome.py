"""What a child's end means, and whose fault it is. Pure."""

import signal
from dataclasses import dataclass
from enum import StrEnum

from pydantic import ValidationError

from segdrop.child_runtime import ErrorAnswer
from segdrop.environment import Fault, Response, unknown
from segdrop.errors import Exit, Issue

#: A reader that ends by SIGKILL is started so often. The signal comes from outside (the kernel short of memory, an
#: operator) and need not be the ZIP's fault; but where it comes every time, it is.
MAX_READER_KILLS = 3


class Ending(StrEnum):
    """The ways in which a child ends, by whose fault it is."""

    FINISHED = "finished"  #: exit 0 and the answer is there
    DATA_FAULT = "data_fault"  #: the data is at fault; the issues say how
    CORRUPT = "corrupt"  #: a file of the job's folder is missing, or cannot be understood
    INSTALLATION = "installation"  #: it never began its item: nothing is known about that
    ENVIRONMENT = "environment"  #: disk full and the like: the same child may succeed later
    STOPPED = "stopped"  #: asked to stop, and did
    DEFECT = "defect"  #: an exception that nobody expected
    KILLED = "killed"  #: ended by a signal, or without any of the answers it owes


@dataclass(frozen=True, slots=True)
class ChildOutcome:
    """The meaning of a child's end. ``fault`` is there for the environment's, and for no other."""

    ending: Ending
    detail: str
    issues: tuple[Issue, ...] = ()
    fault: Fault | None = None


def read(  # noqa: PLR0911  (one return an ending)
    exit_status: int, *, answered: bool, begun: bool, error_file: bytes | None, last_words: str = ""
) -> ChildOutcome:
    """Classifies an exit status (negative: a signal) with the files that the child left.

    ``answered``: its answer file is there; a child that claims success without one has not succeeded. ``begun``: it
    said that it began its item. ``last_words``: the last line of its log.
    """
    issues, fault = _answer(error_file)
    match exit_status:
        case Exit.OK if answered:
            return ChildOutcome(Ending.FINISHED, "finished")
        case Exit.DATA if issues:
            return ChildOutcome(Ending.DATA_FAULT, "the data is at fault", issues)
        case Exit.CORRUPT if issues:
            return ChildOutcome(Ending.CORRUPT, issues[0].message)
        case Exit.ENVIRONMENT:
            fault = fault or unknown(last_words or "the child could not say what was refused")
            return ChildOutcome(Ending.ENVIRONMENT, fault.message, fault=fault)
        case Exit.TRY_LATER:
            return ChildOutcome(Ending.STOPPED, "stopped")
        case Exit.INTERNAL if begun:
            return ChildOutcome(Ending.DEFECT, issues[0].message if issues else "unknown", issues)
        case Exit.INSTALLATION:
            return ChildOutcome(Ending.INSTALLATION, last_words or "a part of it is missing")
    return _without_a_word(exit_status, begun=begun, last_words=last_words)


def _without_a_word(exit_status: int, *, begun: bool, last_words: str) -> ChildOutcome:
    if exit_status == -signal.SIGTERM:  # asked while it was still starting, before it could heed it
        return ChildOutcome(Ending.STOPPED, "stopped")
    if begun:
        return ChildOutcome(Ending.KILLED, ended(exit_status))
    if exit_status == -signal.SIGKILL:
        # From outside: by the kernel short of memory, or by somebody. It says nothing about the item, nor about us.
        message = "the process was ended by SIGKILL before it began"
        fault = Fault(code="environment", response=Response.WAIT, message=message)
        return ChildOutcome(Ending.ENVIRONMENT, message, fault=fault)
    return ChildOutcome(Ending.INSTALLATION, ": ".join(filter(None, [ended(exit_status), last_words])))


def ended(exit_status: int) -> str:
    """Returns an end without an answer in words."""
    if exit_status < 0:
        return f"ended by {signal_name(-exit_status)}"
    return f"exit status {exit_status} without an answer"


def signal_name(number: int) -> str:
    """Returns the name of a signal, or its number where it has none."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _answer(error_file: bytes | None) -> tuple[tuple[Issue, ...], Fault | None]:
    """Returns what the error file says; nothing where it is not there, or not whole."""
    if error_file is None:
        return (), None
    try:
        answer = ErrorAnswer.model_validate_json(error_file)
    except ValidationError:
        return (), None
    return answer.issues, answer.fault
