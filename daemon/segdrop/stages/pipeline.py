"""The way of a job, as a table: which stage follows a state, for each task.

    claimed → (check) → checked → (the task's own work) → computed → (packing) → concluded → delivered → archived

To restart is to start the stage of the state on disk again; every stage may be repeated.
"""

from dataclasses import dataclass, field
from datetime import datetime

from segdrop.codes import Code
from segdrop.errors import CorruptError
from segdrop.execution.runner import End, Handle
from segdrop.request import Task
from segdrop.spool.job import Job, JobState
from segdrop.stages import children, conclude, duplicates
from segdrop.stages.check import Check
from segdrop.stages.infer import Infer
from segdrop.stages.package import Package
from segdrop.stages.stage import Context, Stage
from segdrop.stages.train import Train


def stages(context: Context) -> dict[tuple[Task, JobState], Stage]:
    """Returns the stage that a job of a task is in, or comes to next, by the state it is in."""
    check, package = Check(context), Package(context)
    train, infer = Train(context), Infer(context)
    work: dict[Task, Stage] = {Task.TRAIN: train, Task.PREDICT: infer, Task.EVALUATE: infer}
    return {
        (task, state): stage
        for task, own_work in work.items()
        for state, stage in ((JobState.CLAIMED, check), (JobState.RUNNING, own_work), (JobState.COMPUTED, package))
    }


@dataclass(slots=True)
class Pipeline:
    """Takes jobs from state to state, each through the stage that the table has for it."""

    context: Context
    _stages: dict[tuple[Task, JobState], Stage] = field(init=False)

    def __post_init__(self) -> None:
        """Builds the table."""
        self._stages = stages(self.context)

    def stage(self, job: Job) -> Stage:
        """Returns the job's stage; raises CorruptError where it has none: there is nothing to start."""
        try:
            return self._stages[job.task, job.state]
        except KeyError:
            raise CorruptError(f"job {job.id} is {job.state}: there is nothing to start") from None

    def begin_attempt(self, job: Job, wall: datetime) -> Job:
        """Records the attempts that were made, and that another one begins.

        What an earlier attempt finished and could not record any more is recorded now instead. The job may be at its
        end: answered by an earlier result, or out of attempts (where nobody was left to count a crash: power cuts).
        """
        if job.state is JobState.RUNNING and (recorded := self.stage(job).recorded(job, wall)):
            return recorded
        if job.state is JobState.CHECKED and (earlier := duplicates.earlier_result(self.context, job)):
            return conclude.answer_with(self.context, job, earlier, wall)
        job = children.charged(self.context, job)
        if job.attempts.fruitless >= self.context.settings.training.max_attempts:
            return conclude.exhausted(self.context, job, "ended without a trace", Code.TRAIN_CRASHED, wall)
        is_work = job.state is not JobState.COMPUTED
        started_at = job.started_at if job.attempts.total else wall.timestamp()
        return self.context.store.transition(job, JobState.RUNNING if is_work else job.state, started_at=started_at)

    def start(self, job: Job, now: float, wall: datetime) -> Handle:
        """Starts the child of the job's stage."""
        return self.stage(job).start(job, now, wall)

    def finish(self, job: Job, end: End, wall: datetime) -> Job:
        """Returns the job after its child has ended; raises what :meth:`Stage.finish` does."""
        return self.stage(job).finish(job, end, wall)
