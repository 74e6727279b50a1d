"""The result of a job, composed from what its stages left. Pure."""

from datetime import UTC, datetime
from typing import Any

from segdrop import __version__
from segdrop.answers import Environment, InferenceResult, PackedResult, TrainingResult
from segdrop.codes import Code
from segdrop.dataset.report import CheckReport
from segdrop.errors import Issue
from segdrop.request import EvaluateRequest, PredictRequest, Task, TrainRequest
from segdrop.results.result import (
    EvaluateResult,
    InferenceTiming,
    InputFile,
    PredictResult,
    Result,
    ResultFile,
    TrainResult,
    TrainTiming,
)
from segdrop.spool.job import Job, Outcome
from segdrop.spool.kept_models import KeptModel, input_key

#: The answer of the child that did the task's own work.
Answer = TrainingResult | InferenceResult


def compose(
    job: Job,
    outcome: Outcome,
    *,
    report: CheckReport | None,
    answer: Answer | None,
    issues: list[Issue],
    now: float,
) -> Result:
    """Returns everything that is known about a job, less its result ZIP (see :func:`with_result`).

    ``issues`` are those found outside the intake, the check and the task's own work, which bring their own.
    """
    match report.request.task if report and report.request else job.task:
        case Task.PREDICT:
            result: Result = _prediction(job, outcome, report, answer, now)
        case Task.EVALUATE:
            result = _evaluation(job, outcome, report, answer, now)
        case _:
            result = _training(job, outcome, report, answer, now)
    found = [*(report.issues if report else []), *(answer.issues if answer else [])]
    known = {"fingerprint": answer.fingerprint if answer else None, "retry_of": job.retry_of}
    return result.model_copy(
        update={"issues": [*found, *result.issues, *issues, *job.issues]}
        | {key: value for key, value in known.items() if value}
    )


def _training(job: Job, outcome: Outcome, report: CheckReport | None, answer: Answer | None, now: float) -> TrainResult:
    """Returns the result of a training; its issues are what was done otherwise than asked."""
    training = answer if isinstance(answer, TrainingResult) else None
    asked = report.request if report and isinstance(report.request, TrainRequest) else None
    done = (training.request if training else None) or _done(asked, job)
    measured = {"train_seconds": 0.0, "train_images_per_second": 0.0} | (training.timing.to_json() if training else {})
    return TrainResult(
        task="train",
        request=done,
        dataset=report.dataset if report else None,
        metrics=training.metrics if training else None,
        timing=TrainTiming(**_waits(job, now), **measured),
        **_common(job, outcome, report, answer, now) | {"issues": _deviations(asked, done, job)},
    )


def _prediction(
    job: Job, outcome: Outcome, report: CheckReport | None, answer: Answer | None, now: float
) -> PredictResult:
    asked = report.request if report and isinstance(report.request, PredictRequest) else None
    inference = answer if isinstance(answer, InferenceResult) else None
    return PredictResult(
        task="predict",
        request=inference.request if inference and isinstance(inference.request, PredictRequest) else asked,
        model=inference.model if inference else None,
        predictions=inference.predictions if inference else None,
        timing=_inference_timing(job, inference, now),
        **_common(job, outcome, report, answer, now),
    )


def _evaluation(
    job: Job, outcome: Outcome, report: CheckReport | None, answer: Answer | None, now: float
) -> EvaluateResult:
    asked = report.request if report and isinstance(report.request, EvaluateRequest) else None
    inference = answer if isinstance(answer, InferenceResult) else None
    return EvaluateResult(
        task="evaluate",
        request=inference.request if inference and isinstance(inference.request, EvaluateRequest) else asked,
        dataset=report.dataset if report else None,
        model=inference.model if inference else None,
        predictions=inference.predictions if inference else None,
        metrics=inference.metrics if inference else None,
        timing=_inference_timing(job, inference, now),
        **_common(job, outcome, report, answer, now),
    )


def _common(
    job: Job, outcome: Outcome, report: CheckReport | None, answer: Answer | None, now: float
) -> dict[str, Any]:
    """Returns the values of the keys that results of all tasks have; no issue yet."""
    return {
        "job": job.id,
        "status": outcome,
        "input": InputFile(
            name=job.input_name, bytes=job.identity.size, sha256=report.input_sha256 if report else None
        ),
        "result": None,
        "issues": [],
        "attempts": job.attempts.total,
        "peak_rss_bytes": answer.peak_rss_bytes if answer else report.peak_rss_bytes if report else None,
        "environment": answer.environment if answer else Environment(segdrop=__version__),
        "finished_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "schema_version": 1,
    }


def _done(asked: TrainRequest | None, job: Job) -> TrainRequest | None:
    """Returns the request as it was done, by what is known without the training's own word."""
    return asked.with_half_the_batch() if asked is not None and job.halved else asked


def _deviations(asked: TrainRequest | None, done: TrainRequest | None, job: Job) -> list[Issue]:
    if not (job.halved and asked and done) or done.batch_size == asked.batch_size:
        return []
    message = f"batch_size is {done.batch_size}, and {asked.batch_size} was asked: memory did not suffice for that"
    return [Issue.of(Code.TRAIN_BATCH_HALVED, message)]


def kept_model(result: Result, job: Job, package: PackedResult, now: float) -> KeptModel | None:
    """Returns the record of the model of a job that succeeded; ``None`` where it has made no model."""
    if not isinstance(result, TrainResult) or result.request is None or result.dataset is None:
        return None
    if package.model_sha256 is None or package.model_bytes is None:  # packed by an older version
        return None
    return KeptModel(
        job=job.id,
        sha256=package.model_sha256,
        bytes=package.model_bytes,
        architecture=result.request.architecture,
        classes=result.dataset.classes,
        input_key=input_key(job.input_name),
        owner_uid=job.owner_uid,
        finished_at=now,
        is_sanity=result.request.mode == "sanity",
    )


def with_result(result: Result, name: str, package: PackedResult) -> Result:
    """Returns the result with the name, size and SHA-256 of its ZIP."""
    return result.model_copy(update={"result": ResultFile(name=name, bytes=package.bytes, sha256=package.sha256)})


def duplicate(result: Result, earlier: str) -> Result:
    """Returns the result of a job that asked what the ``earlier`` one had answered."""
    return result.model_copy(update={"duplicate_of": earlier})


def _inference_timing(job: Job, inference: InferenceResult | None, now: float) -> InferenceTiming:
    return InferenceTiming(**_waits(job, now), **(inference.timing.to_json() if inference else {}))


def _waits(job: Job, now: float) -> dict[str, float]:
    """Returns the seconds that a job spent outside its own work, and in all."""

    def between(start: float | None, end: float | None) -> float:
        return round(max(0.0, end - start), 3) if start and end else 0.0

    return {
        "queued_seconds": between(job.queued_at, job.started_at),
        "prepare_seconds": round(job.prepare_seconds, 3),
        "total_seconds": between(job.claimed_at, now),
    }
