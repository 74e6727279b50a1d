"""How a job ends: its outcome is written down, published, and the input put away.

    → concluded → (deliver) → delivered → (archive) → gone from work/

Every step may be repeated.
"""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

from segdrop import durable, logs
from segdrop.answers import InferenceResult, TrainingResult
from segdrop.codes import Code
from segdrop.dataset.report import CheckReport
from segdrop.errors import CorruptError, Issue
from segdrop.execution.outcome import ChildOutcome
from segdrop.execution.output import tail
from segdrop.intake import claim, names
from segdrop.results import archive as archiving
from segdrop.results import outbox, summary
from segdrop.results.result import Result
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.stages import children, inputs
from segdrop.stages.stage import Context

#: what the last line of a job's log is made of
_CANONICAL_KEYS = frozenset({"result", "issues", "timing"})


def conclude(
    context: Context,
    job: Job,
    outcome: Outcome,
    wall: datetime,
    issues: list[Issue] | None = None,
    *,
    duplicate_of: str | None = None,
) -> Job:
    """Ends a job without a result: the outcome is on disk, and is delivered next."""
    files, job = context.store.files(job), children.charged(context, job)
    composed = compose(context, job, outcome, wall, issues or [])
    result = summary.duplicate(composed, duplicate_of) if duplicate_of else composed
    durable.write_json(files.outcome, result.to_json())
    durable.remove(files.result_zip)
    return context.store.transition(job, JobState.CONCLUDED, outcome=outcome)


def reject(context: Context, job: Job, issues: list[Issue], wall: datetime) -> Job:
    """Answers a claimed job with what the quick check found; its request comes with it."""
    job = claim.fetch_sidecar(context.store, job)
    return conclude(context, job, Outcome.REJECTED, wall, issues)


def answer_with(context: Context, job: Job, earlier: str, wall: datetime) -> Job:
    """Ends a job as the duplicate of an earlier one, whose result is still there."""
    issue = Issue.of(Code.JOB_DUPLICATE, f"the same input and request already has a result: {earlier}")
    return conclude(context, job, Outcome.DUPLICATE, wall, [issue], duplicate_of=earlier)


def tell_crash(job: Job, result: ChildOutcome, code: Code, attempt: int) -> None:
    """Logs that a child ended in a way that no child should."""
    logs.get().error("child.crashed", job=job.id, detail=result.detail, reason=code, attempt=attempt)


def try_again(context: Context, job: Job, result: ChildOutcome, code: Code, wall: datetime) -> Job:
    """Leaves a job whose child crashed for its next attempt while there is hope, and fails it otherwise.

    An attempt that saved a new checkpoint starts the count anew.
    """
    if job.attempts.fruitless < context.settings.training.max_attempts:
        return context.store.transition(job, job.state)
    return exhausted(context, job, result.detail, code, wall, result.issues)


def exhausted(
    context: Context, job: Job, detail: str, code: Code, wall: datetime, issues: tuple[Issue, ...] = ()
) -> Job:
    """Fails a job that was tried as often as the operator allows."""
    issue = Issue.of(code, f"{detail}, {job.attempts.fruitless} times without coming further")
    return conclude(context, job, Outcome.FAILED, wall, [issue, *issues])


def cancel(context: Context, job: Job, wall: datetime) -> Job:
    """Ends a job as a control file asks. That is too late once the job's outcome is on disk."""
    control = context.store.layout.inbox / f"{job.id}{names.CANCEL_SUFFIX}"
    if job.has_ended:
        durable.remove(control)
        return job
    try:
        durable.move(control, context.store.files(job).cancel)
    except FileNotFoundError:  # thought better of it
        return children.discharge(context, job)
    return _cancelled(context, job, wall)


def finish_cancel(context: Context, job: Job, wall: datetime) -> Job:
    """Records a cancellation that was taken, and that a crash or a refusal kept from being recorded."""
    if job.has_ended or not context.store.files(job).cancel.exists():
        return job
    return _cancelled(context, job, wall)


def _cancelled(context: Context, job: Job, wall: datetime) -> Job:
    issue = Issue.of(Code.JOB_CANCELLED, "cancelled on request")
    return conclude(context, job, Outcome.CANCELLED, wall, [issue])


def deliver(context: Context, job: Job) -> Job:
    """Publishes the outcome, unless it is about an input that was not whole: then the job is checked anew."""
    if job.outcome is Outcome.REJECTED and inputs.is_void(context.store, job):
        durable.remove(context.store.files(job).outcome)
        return inputs.accept_change(context.store, job)
    outbox.deliver(context.store.layout, job)
    if job.outcome is Outcome.SUCCEEDED:
        context.results.add(job.id)
    return context.store.transition(job, JobState.DELIVERED)


def archive(context: Context, job: Job) -> None:
    """Puts the input away, logs the job's last line, and removes its work folder."""
    files = context.store.files(job)
    published = _published(context, job)
    if files.folder.exists():  # else its removal was cut off
        archiving.archive(context.store.layout, job, published, tail(files.log))
    context.store.remove(job)
    _log_canonical(job, published)


def compose(context: Context, job: Job, outcome: Outcome, wall: datetime, issues: list[Issue]) -> Result:
    """Returns the outbox JSON of a job, less its result ZIP."""
    files = context.store.files(job)
    return summary.compose(
        job,
        outcome,
        report=children.answer(CheckReport, files.report),
        answer=children.answer(TrainingResult, files.training_result)
        or children.answer(InferenceResult, files.inference_result),
        issues=issues,
        now=wall.timestamp(),
    )


def _published(context: Context, job: Job) -> dict[str, Any]:
    """What was published, from our copy or, where that is damaged or gone, from the outbox."""
    copy, public = context.store.files(job).published, context.store.layout.published_json(job.id)
    for path in (copy, public):
        if (published := _json_object(path)) and published.keys() >= _CANONICAL_KEYS:
            return published
    raise CorruptError(f"{copy.name} cannot be understood, and {public.name} is not in the outbox")


def _json_object(path: Path) -> dict[str, Any] | None:
    """The object in a file; None where it is not there, or not whole."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _log_canonical(job: Job, published: dict[str, Any]) -> None:
    """The one line that ends each job."""
    metrics = published.get("metrics") or {}
    succeeded = job.outcome is Outcome.SUCCEEDED
    log = logs.get().info if succeeded else logs.get().warning
    if job.outcome is Outcome.FAILED:
        log = logs.get().error
    measured = {
        "result_bytes": (published["result"] or {}).get("bytes"),
        "mean_iou": metrics.get("mean_iou"),
        "pixel_accuracy": metrics.get("pixel_accuracy"),
        "duplicate_of": published.get("duplicate_of"),
    }
    log(
        "job.delivered" if succeeded else f"job.{job.outcome}",
        job=job.id,
        outcome=str(job.outcome),
        input=job.input_name,
        input_bytes=job.identity.size,
        attempts=job.attempts.total,
        issues=[
            f"{issue['code']}: {issue['message']}" for issue in published["issues"] if issue["severity"] == "fault"
        ],
        **{key: value for key, value in measured.items() if value is not None},
        **published["timing"],
    )
