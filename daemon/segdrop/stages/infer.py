"""Inference: a task's own work where a model is used: it predicts, or it is evaluated.

running → (inference) → computed, or concluded
"""

from dataclasses import dataclass
from datetime import datetime

from segdrop import logs
from segdrop.answers import InferenceResult
from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.execution.outcome import ChildOutcome, Ending
from segdrop.execution.runner import Cause, Command, End, Handle
from segdrop.input_kinds import InputKind
from segdrop.request import EvaluateRequest, PredictRequest, Task
from segdrop.spec import InferenceSpec
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.stages import attempts, children
from segdrop.stages.checked import checked
from segdrop.stages.conclude import conclude, tell_crash, try_again
from segdrop.stages.stage import Context

_CODES = {
    Cause.TOO_LONG: Code.INFERENCE_TOO_LONG,
    Cause.STALLED: Code.INFERENCE_STALLED,
    Cause.OUT_OF_MEMORY: Code.INFERENCE_OUT_OF_MEMORY,
}
#: what a child answers that is no fault of the input, the request or the model
_NOT_OF_THE_INPUT = frozenset({Code.INFERENCE_OUT_OF_MEMORY})


@dataclass(frozen=True, slots=True)
class Infer:
    """The stage in which a model predicts, or is evaluated; a :class:`~segdrop.stages.stage.Stage`."""

    context: Context
    name: str = "inference"

    def start(self, job: Job, now: float, wall: datetime) -> Handle:
        """Starts the child that predicts."""
        del wall
        log_path, nice = self.context.store.files(job).log, self.context.settings.training.nice
        command = Command(self.context.modules.inference, (), log_path, self.name, nice=nice, for_tensors=True)
        child = children.start(self.context, job, self._spec(job), "inference", command, now)
        logs.get().info("job.started", job=job.id, task=str(job.task), attempt=job.attempts.total + 1, **child.identity)
        return child

    def recorded(self, job: Job, wall: datetime) -> Job | None:
        """Returns the job with its predictions, where they had come to their end."""
        return self._computed(job, wall) if self._has_answered(job) else None

    def finish(self, job: Job, end: End, wall: datetime) -> Job:
        """Leaves the job for its packing once the predictions are there, or for another attempt; or ends it."""
        result = children.read(self.context, job, end, self.name, answered=self._has_answered(job))
        match result.ending:
            case Ending.FINISHED:
                return self._computed(job, wall)
            case Ending.STOPPED:  # asked to: this attempt is not held against the job
                return children.discharge(self.context, job)
            case Ending.DATA_FAULT:
                codes = {issue.code for issue in result.issues}
                outcome = Outcome.FAILED if codes & _NOT_OF_THE_INPUT else Outcome.REJECTED
                return conclude(self.context, job, outcome, wall, list(result.issues))
            case _:
                return self._crashed(job, result, end, wall)

    def _has_answered(self, job: Job) -> bool:
        return children.answer(InferenceResult, self.context.store.files(job).inference_result) is not None

    def _computed(self, job: Job, wall: datetime) -> Job:
        job = attempts.with_success(children.charged(self.context, job))
        return self.context.store.transition(job, JobState.COMPUTED, trained_at=wall.timestamp())

    def _crashed(self, job: Job, result: ChildOutcome, end: End, wall: datetime) -> Job:
        code = _CODES[end.cause] if end.cause else Code.INFERENCE_CRASHED
        job = children.charged(self.context, job)
        tell_crash(job, result, code, job.attempts.total)
        if code is Code.INFERENCE_TOO_LONG:
            message = f"it took longer than {self.context.settings.training.max_seconds:g} s"
            return conclude(self.context, job, Outcome.FAILED, wall, [Issue.of(code, message)])
        return try_again(self.context, job, result, code, wall)

    def _spec(self, job: Job) -> InferenceSpec:
        settings, layout, files = self.context.settings, self.context.store.layout, self.context.store.files(job)
        kind = EvaluateRequest if job.task is Task.EVALUATE else PredictRequest
        report, request = checked(self.context, job, kind)
        return InferenceSpec(
            job=job.id,
            request=request,
            input_path=files.pairs if job.task is Task.EVALUATE else files.input,
            input_name=job.input_name,
            kind=InputKind.PAIRS if job.task is Task.EVALUATE else job.kind,
            input_sha256=report.input_sha256,
            owner=job.owner_uid,
            classes=report.dataset.classes if report.dataset else [],
            limits=settings.limits.for_child(),
            models_dir=layout.models,
            outbox_dir=self.context.earlier.outbox,
            done_dir=self.context.earlier.done,
            threads=settings.training.threads,
            outputs_dir=files.outputs,
            journal_path=files.journal,
            log_path=files.log,
            result_path=files.inference_result,
            progress_path=files.progress,
            measurements_path=layout.measurements,
            error_path=files.error,
            lock_path=files.lock,
        )
