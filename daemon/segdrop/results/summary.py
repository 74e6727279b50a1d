"""The result of a job, composed from what its stages left. Pure."""

from datetime import UTC, datetime

from segdrop import __version__
from segdrop.answers import Environment, PackedResult, TrainingResult
from segdrop.codes import Code
from segdrop.dataset.report import CheckReport
from segdrop.errors import Issue
from segdrop.request import Request
from segdrop.results.result import InputFile, Result, ResultFile, Timing, TrainResult
from segdrop.spool.job import Job, Outcome


def compose(
    job: Job,
    outcome: Outcome,
    *,
    report: CheckReport | None,
    training: TrainingResult | None,
    issues: list[Issue],
    now: float,
) -> Result:
    """Returns everything that is known about a job, less its result ZIP (see :func:`with_result`).

    ``issues`` are those found outside the intake, the check and the training, which bring their own.
    """
    asked = report.request if report else None
    done = (training.request if training else None) or _done(asked, job)
    found = [*(report.issues if report else []), *(training.issues if training else [])]
    result = TrainResult(
        job=job.id,
        task=done.task if done else "train",
        status=outcome,
        request=done,
        input=InputFile(name=job.input_name, bytes=job.identity.size, sha256=report.input_sha256 if report else None),
        result=None,
        dataset=report.dataset if report else None,
        metrics=training.metrics if training else None,
        issues=[*found, *_deviations(asked, done, job), *issues, *job.issues],
        timing=_timing(job, training, now),
        attempts=job.attempts.total,
        peak_rss_bytes=training.peak_rss_bytes if training else report.peak_rss_bytes if report else None,
        environment=training.environment if training else Environment(segdrop=__version__),
        finished_at=datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        schema_version=1,
    )
    known = {"fingerprint": training.fingerprint if training else None, "retry_of": job.retry_of}
    return result.model_copy(update={key: value for key, value in known.items() if value})


def _done(asked: Request | None, job: Job) -> Request | None:
    """Returns the request as it was done, by what is known without the training's own word."""
    return asked.with_half_the_batch() if asked is not None and job.halved else asked


def _deviations(asked: Request | None, done: Request | None, job: Job) -> list[Issue]:
    if not (job.halved and asked and done) or done.batch_size == asked.batch_size:
        return []
    message = f"batch_size is {done.batch_size}, and {asked.batch_size} was asked: memory did not suffice for that"
    return [Issue.of(Code.TRAIN_BATCH_HALVED, message)]


def with_result(result: Result, name: str, package: PackedResult) -> Result:
    """Returns the result with the name, size and SHA-256 of its ZIP."""
    return result.model_copy(update={"result": ResultFile(name=name, bytes=package.bytes, sha256=package.sha256)})


def duplicate(result: Result, earlier: str) -> Result:
    """Returns the result of a job that asked what the ``earlier`` one had answered."""
    return result.model_copy(update={"duplicate_of": earlier})


def _timing(job: Job, training: TrainingResult | None, now: float) -> Timing:
    def between(start: float | None, end: float | None) -> float:
        return round(max(0.0, end - start), 3) if start and end else 0.0

    measured = {"train_seconds": 0.0, "train_images_per_second": 0.0} | (training.timing.to_json() if training else {})
    return Timing(
        queued_seconds=between(job.queued_at, job.started_at),
        prepare_seconds=round(job.prepare_seconds, 3),
        total_seconds=between(job.claimed_at, now),
        **measured,
    )
