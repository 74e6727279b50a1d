"""What is charged to a job. Pure functions of its record and of the marks that its children have left.

A child says in a file that it has begun, and saves its work in a checkpoint. Both files are new ones each time, so an
attempt is counted once, whenever the daemon comes to count it: before the next attempt, at the end of the child, or at
the end of the job.
"""

from dataclasses import dataclass

from segdrop.spool.job import Attempts, Job, JobState
from segdrop.spool.layout import JobLayout
from segdrop.spool.store import file_mark


@dataclass(frozen=True, slots=True)
class Marks:
    """Tells one attempt from the next: the file that says that a child has begun, and what it saved of its work.

    A training saves a checkpoint, a prediction a line of its journal for each image.
    """

    begun: str | None
    checkpoint: str | None

    @classmethod
    def of(cls, files: JobLayout) -> "Marks":
        """Returns the marks as they are on disk now."""
        return cls(file_mark(files.begun), file_mark(files.checkpoint) or file_mark(files.journal))


def counted(job: Job, marks: Marks, *, is_charged: bool = True) -> Job:
    """Returns the job with the attempt at hand counted, if its child has begun. Counting twice counts once.

    An attempt is fruitless unless it saved a new checkpoint, or ended by no fault of the job's (``is_charged``). Tries
    of the packing are fruitless ones too, but no attempts at the job's own work, nor are checks.
    """
    before = job.attempts
    has_begun = marks.begun is not None and marks.begun != before.begun_mark
    has_come_further = marks.checkpoint != before.checkpoint_mark
    is_fruitless = has_begun and is_charged and not has_come_further and job.state is not JobState.CLAIMED
    attempts = Attempts(
        total=before.total + (has_begun and job.state is JobState.RUNNING),
        fruitless=(0 if has_come_further else before.fruitless) + is_fruitless,
        begun_mark=marks.begun or before.begun_mark,
        checkpoint_mark=marks.checkpoint,
    )
    return job if attempts == before else job.model_copy(update={"attempts": attempts})


def with_success(job: Job) -> Job:
    """Returns the job after a stage that came to its end: nothing is held against the next one."""
    return job.model_copy(update={"attempts": job.attempts.model_copy(update={"fruitless": 0})})


def number(job: Job, files: JobLayout) -> int:
    """Returns how often the job's work has been begun, the attempt at hand included."""
    return counted(job, Marks.of(files)).attempts.total
