"""A stage's child: started from its spec, and read when it has ended."""

from dataclasses import replace
from pathlib import Path
from typing import Protocol, Self, TypeVar

from segdrop import durable
from segdrop.environment import Fault, Response, unknown
from segdrop.errors import CorruptError, DeferredError, InstallationError
from segdrop.execution import outcome as child_outcome
from segdrop.execution.outcome import ChildOutcome, Ending
from segdrop.execution.output import last_words, tail
from segdrop.execution.runner import Command, End, Handle
from segdrop.spec import Spec
from segdrop.spool.job import Job
from segdrop.spool.store import read_optional
from segdrop.stages import attempts
from segdrop.stages.attempts import Marks
from segdrop.stages.stage import Context


def start(context: Context, job: Job, spec: Spec, name: str, command: Command, now: float) -> Handle:
    """Starts a child on its spec, which is written to the file that is called for its ``name``.

    What an earlier child has left is removed first: whatever is there at the end is this one's.
    """
    files = context.store.files(job)
    for stale in (files.error, files.progress, files.begun):
        stale.unlink(missing_ok=True)
    path = files.spec(name)
    durable.write_json(path, spec.dump(path.parent, context.store.layout.root))
    command = replace(command, arguments=(*command.arguments, str(path)), progress_path=files.progress)
    return context.runner.submit(command, now)


def read(context: Context, job: Job, end: End, stage: str, *, answered: bool) -> ChildOutcome:
    """Returns what a child's end means, where it is the job's matter; ``answered``: its answer is there.

    Raises CorruptError where a file of the job is not what it should be, DeferredError where the environment stood in
    its way, and InstallationError where it could not begin: none of these is held against the job, which is on record
    by then.
    """
    files = context.store.files(job)
    if not files.folder.is_dir():
        raise CorruptError("its folder is gone")
    files.progress.unlink(missing_ok=True)  # of a child that is not at work any more
    result = child_outcome.read(
        end.status,
        answered=answered,
        begun=files.begun.exists(),
        error_file=read_optional(files.error),
        last_words=last_words(tail(files.log)),
    )
    match result.ending:
        case Ending.CORRUPT:
            raise CorruptError(result.detail)
        case Ending.ENVIRONMENT:
            discharge(context, job)
            raise DeferredError(result.fault or unknown(result.detail))
        case Ending.INSTALLATION if end.cause is None:
            discharge(context, job)
            raise InstallationError(stage, result.detail)
        case Ending.INSTALLATION:  # it was ended before it began: the machine is that slow, or it hangs
            discharge(context, job)
            message = f"the {stage} process did not begin in time"
            raise DeferredError(Fault(code="environment", response=Response.WAIT, message=message))
    return result


def discharge(context: Context, job: Job) -> Job:
    """Counts the attempt at hand as one that ended by no fault of the job's."""
    after = attempts.counted(job, Marks.of(context.store.files(job)), is_charged=False)
    return job if after is job else context.store.transition(after, after.state)


def charged(context: Context, job: Job) -> Job:
    """Returns the job with the attempt at hand counted; not on record before the next transition."""
    return attempts.counted(job, Marks.of(context.store.files(job)))


class _Answer(Protocol):
    """A record that a child leaves in a file."""

    @classmethod
    def load(cls, path: Path) -> Self: ...


Answer = TypeVar("Answer", bound=_Answer)


def answer(kind: type[Answer], path: Path) -> Answer | None:
    """Returns what a child has written; None if that is not there, or not whole."""
    try:
        return kind.load(path)
    except (FileNotFoundError, ValueError):
        return None
