"""Training: the task's own work where a model is asked for.

running → (training) → computed, or concluded
"""

from dataclasses import dataclass
from datetime import datetime

from segdrop import logs
from segdrop.answers import TrainingResult
from segdrop.codes import Code
from segdrop.errors import CorruptError, Issue
from segdrop.execution.outcome import ChildOutcome, Ending
from segdrop.execution.runner import Cause, Command, End, Handle
from segdrop.request import LEAST_BATCH, TrainRequest
from segdrop.spec import ModelMetadata, TrainingSpec
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.stages import attempts, children
from segdrop.stages.checked import checked
from segdrop.stages.conclude import answer_with, conclude, tell_crash, try_again
from segdrop.stages.stage import Context
from segdrop.weights_files import search_dirs

_CODES = {
    Cause.TOO_LONG: Code.TRAIN_TOO_LONG,
    Cause.STALLED: Code.TRAIN_STALLED,
    Cause.OUT_OF_MEMORY: Code.TRAIN_OUT_OF_MEMORY,
}


@dataclass(frozen=True, slots=True)
class Train:
    """The stage in which a model is trained; a :class:`~segdrop.stages.stage.Stage`."""

    context: Context
    name: str = "training"

    def start(self, job: Job, now: float, wall: datetime) -> Handle:
        """Starts the child that trains."""
        del wall
        log_path, nice = self.context.store.files(job).log, self.context.settings.training.nice
        command = Command(self.context.modules.training, (), log_path, self.name, nice=nice, for_tensors=True)
        child = children.start(self.context, job, self._spec(job), "training", command, now)
        logs.get().info("job.started", job=job.id, attempt=job.attempts.total + 1, **child.identity)
        return child

    def recorded(self, job: Job, wall: datetime) -> Job | None:
        """Returns the job with its model, where the training had come to its end."""
        return self._computed(job, wall) if self._has_answered(job) else None

    def finish(self, job: Job, end: End, wall: datetime) -> Job:
        """Leaves the job for its packing once the model is there, or for another attempt; or ends it."""
        result = children.read(self.context, job, end, self.name, answered=self._has_answered(job))
        match result.ending:
            case Ending.FINISHED:
                return self._computed(job, wall)
            case Ending.STOPPED:  # asked to: this attempt is not held against the job
                return children.discharge(self.context, job)
            case Ending.DATA_FAULT:
                return self._refused(job, result, wall)
            case _:
                return self._crashed(job, result, end, wall)

    def _has_answered(self, job: Job) -> bool:
        return children.answer(TrainingResult, self.context.store.files(job).training_result) is not None

    def _computed(self, job: Job, wall: datetime) -> Job:
        job = attempts.with_success(children.charged(self.context, job))
        return self.context.store.transition(job, JobState.COMPUTED, trained_at=wall.timestamp())

    def _spec(self, job: Job) -> TrainingSpec:
        settings, layout, files = self.context.settings, self.context.store.layout, self.context.store.files(job)
        report, request = checked(self.context, job, TrainRequest)
        if report.dataset is None:
            raise CorruptError(f"{files.report.name} has no dataset")
        return TrainingSpec(
            job=job.id,
            request=request.with_half_the_batch() if job.halved else request,
            asked=request,
            is_halved=job.halved,
            answered={} if request.force else self.context.results.of_input(report.input_sha256),
            cache_dir=files.cache,
            classes=report.dataset.classes,
            weights_dirs=search_dirs(layout.models),
            outbox_dir=self.context.earlier.outbox,
            done_dir=self.context.earlier.done,
            owner=job.owner_uid,
            threads=settings.training.threads,
            checkpoint_path=files.checkpoint,
            model_path=files.model,
            checkpoints_dir=files.checkpoints,
            history_path=files.history,
            result_path=files.training_result,
            progress_path=files.progress,
            measurements_path=layout.measurements,
            error_path=files.error,
            lock_path=files.lock,
            metadata=ModelMetadata(
                job=job.id,
                input_name=job.input_name,
                input_sha256=report.input_sha256,
                mask_values=report.dataset.mask_values,
                mask_encoding=report.dataset.mask_encoding,
                ignore_index=report.dataset.ignore_index,
            ),
        )

    def _refused(self, job: Job, result: ChildOutcome, wall: datetime) -> Job:
        codes = {issue.code for issue in result.issues}
        if Code.TRAIN_OUT_OF_MEMORY in codes:
            return self._out_of_memory(job, wall)
        if Code.JOB_DUPLICATE in codes:
            return self._answered(job, result.issues, wall)
        return conclude(self.context, job, Outcome.FAILED, wall, list(result.issues))

    def _crashed(self, job: Job, result: ChildOutcome, end: End, wall: datetime) -> Job:
        code = _CODES[end.cause] if end.cause else Code.TRAIN_CRASHED
        tell_crash(job, result, code, children.charged(self.context, job).attempts.total)
        if code is Code.TRAIN_OUT_OF_MEMORY:
            return self._out_of_memory(job, wall)
        if code is Code.TRAIN_TOO_LONG:
            message = f"training took longer than {self.context.settings.training.max_seconds:g} s"
            return conclude(self.context, job, Outcome.FAILED, wall, [Issue.of(code, message)])
        return try_again(self.context, children.charged(self.context, job), result, code, wall)

    def _out_of_memory(self, job: Job, wall: datetime) -> Job:
        """Once more with half the batch, from the start: the steps of an epoch are others then."""
        asked = checked(self.context, job, TrainRequest)[1].batch_size or 0
        if not job.halved and asked > LEAST_BATCH:
            job = attempts.counted(job, attempts.Marks.of(self.context.store.files(job)), is_charged=False)
            return self.context.store.transition(job, job.state, halved=True)
        tried = max(LEAST_BATCH, asked // 2 if job.halved else asked)
        message = f"the machine's memory did not suffice for a batch of {tried} images"
        return conclude(self.context, job, Outcome.FAILED, wall, [Issue.of(Code.TRAIN_OUT_OF_MEMORY, message)])

    def _answered(self, job: Job, issues: tuple[Issue, ...], wall: datetime) -> Job:
        """The training found an earlier result before its first step; once more where that is gone again."""
        earlier = [name for issue in issues for name in issue.files if self.context.results.holds(name)]
        if earlier:
            return answer_with(self.context, job, earlier[0], wall)
        return children.discharge(self.context, job)
