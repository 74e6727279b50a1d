"""The check of a claimed input: every byte and every pixel is read, in a limited child.

claimed → (check) → checked, or concluded
"""

from dataclasses import dataclass
from datetime import datetime
from signal import SIGKILL, SIGXCPU

from segdrop import logs
from segdrop.codes import Code
from segdrop.dataset.report import CheckReport
from segdrop.errors import Issue, has_fault
from segdrop.execution.outcome import MAX_READER_KILLS, ChildOutcome, Ending
from segdrop.execution.runner import Cause, Command, End, Handle
from segdrop.intake import claim
from segdrop.spec import CheckSpec
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.stages import children, duplicates, inputs
from segdrop.stages.conclude import answer_with, conclude
from segdrop.stages.stage import Context
from segdrop.weights_files import search_dirs


@dataclass(frozen=True, slots=True)
class Check:
    """The first stage of every task; a :class:`~segdrop.stages.stage.Stage`."""

    context: Context
    name: str = "check"

    def start(self, job: Job, now: float, wall: datetime) -> Handle:
        """Starts the child that reads the input."""
        del wall
        files = self.context.store.files(job)
        job = claim.fetch_sidecar(self.context.store, job)  # where the claim was cut off before it
        files.report.unlink(missing_ok=True)
        command = Command(self.context.modules.check, ("check",), files.log, self.name, one_thread=True)
        return children.start(self.context, job, self._spec(job), "check", command, now)

    def recorded(self, job: Job, wall: datetime) -> Job | None:
        """A check that nobody saw end is made again."""
        del job, wall
        return None

    def finish(self, job: Job, end: End, wall: datetime) -> Job:
        """Queues the job where its data can be used; answers it otherwise."""
        report = children.answer(CheckReport, self.context.store.files(job).report)
        result = children.read(self.context, job, end, self.name, answered=report is not None)
        match result.ending:
            case Ending.FINISHED if report is not None:
                return self._checked(job, report, wall)
            case Ending.STOPPED:
                return job
            case Ending.DATA_FAULT:
                return conclude(self.context, job, Outcome.REJECTED, wall, list(result.issues))
            case Ending.KILLED:
                return self._reader_died(job, result, end, wall)
            case _:
                return conclude(self.context, job, Outcome.FAILED, wall, list(result.issues))

    def _spec(self, job: Job) -> CheckSpec:
        settings, layout, files = self.context.settings, self.context.store.layout, self.context.store.files(job)
        return CheckSpec(
            job=job.id,
            kind=job.kind,
            archive=files.input,
            name=job.input_name,
            sidecar=files.sidecar if files.sidecar.exists() else None,
            sidecar_name=job.sidecar_name,
            defaults=settings.defaults,
            models_dir=layout.models,
            limits=settings.limits.for_child(),
            cache_dir=files.cache,
            report_path=files.report,
            progress_path=files.progress,
            error_path=files.error,
            lock_path=files.lock,
            weights_dirs=search_dirs(layout.models),
            outbox_dir=self.context.earlier.outbox,
            done_dir=self.context.earlier.done,
            pairs_path=files.pairs,
            default_model=settings.inference.default_model,
        )

    def _checked(self, job: Job, report: CheckReport, wall: datetime) -> Job:
        store = self.context.store
        if report.changed_while_read or inputs.has_changed(store, job):
            return inputs.accept_change(store, job)
        issues = report.issues
        for issue in issues:
            logs.get().info("dataset.issue", job=job.id, **issue.to_json())
        if has_fault(issues) or report.request is None:
            return conclude(self.context, job, Outcome.REJECTED, wall)
        job = store.transition(
            children.charged(self.context, job),
            JobState.CHECKED,
            task=report.request.task,
            queued_at=wall.timestamp(),
            prepare_seconds=report.seconds,
            priority=report.request.priority,
            fingerprint=report.fingerprint,
        )
        if earlier := duplicates.earlier_result(self.context, job):
            return answer_with(self.context, job, earlier, wall)
        logs.get().info("job.queued", job=job.id, task=str(job.task), **_found(report))
        return job

    def _reader_died(self, job: Job, result: ChildOutcome, end: End, wall: datetime) -> Job:
        """Rejected, unless the check was ended from outside: by the kernel short of memory, which others may have
        taken.
        """
        logs.get().error("child.crashed", job=job.id, stage="check", detail=result.detail)
        kills = job.check_kills + 1
        if end.status == -SIGKILL and end.cause is not Cause.TOO_LONG and kills < MAX_READER_KILLS:
            return self.context.store.transition(job, JobState.CLAIMED, check_kills=kills)
        return conclude(self.context, job, Outcome.REJECTED, wall, [self._reader_issue(job, result, end)])

    def _reader_issue(self, job: Job, result: ChildOutcome, end: End) -> Issue:
        if end.cause is Cause.TOO_LONG:
            seconds = self.context.settings.limits.check_seconds
            return Issue.of(Code.CHECK_TOO_LONG, f"the check of {job.input_name} took more than {seconds:g} s")
        if end.status == -SIGXCPU:
            message = f"the check of {job.input_name} took all of the processor time that it may use"
            return Issue.of(Code.CHECK_TOO_LONG, message)
        if end.cause is Cause.OUT_OF_MEMORY:
            message = f"the kernel ended the check of {job.input_name} for want of memory, {MAX_READER_KILLS} times"
            return Issue.of(Code.CHECK_OUT_OF_MEMORY, message)
        return Issue.of(Code.ARCHIVE_READER_DIED, f"the check of {job.input_name}: {result.detail}")


def _found(report: CheckReport) -> dict[str, object]:
    """Returns what was found in the input, for the log."""
    dataset = report.dataset
    if dataset is None:
        return {}
    return {
        "layout": dataset.layout,
        "pairs": dataset.pairs,
        "train": dataset.train,
        "val": dataset.val,
        "classes": dataset.num_classes,
    }
