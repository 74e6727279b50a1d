"""The outbox JSON: composed from what the stages left. Pure."""

from datetime import UTC, datetime
from typing import Any

from segdrop import __version__
from segdrop.dataset.report import CheckReport
from segdrop.errors import Issue
from segdrop.spool.job import Job, Outcome

_ALWAYS_MEASURED = ("train_seconds", "train_images_per_second")
_MEASURED = (*_ALWAYS_MEASURED, "first_step_seconds", "estimated_seconds", "run_seconds")


def compose(
    job: Job,
    outcome: Outcome,
    *,
    report: CheckReport | None,
    training: dict[str, Any] | None,
    issues: list[Issue],
    now: float,
) -> dict[str, Any]:
    """Everything that is known about a job, in the public format, less its result (see :func:`with_result`).

    ``issues``: those found outside the check and the training, which bring their own.
    """
    found = [issue.to_json() for issue in issues]
    request = report.request if report else None
    training = training or {}
    return {
        "job": job.id,
        "task": request["task"] if request else "train",
        "status": outcome.value,
        "request": request,
        "input": {
            "name": job.input_name,
            "bytes": job.identity.size,
            "sha256": report.input_sha256 if report else None,
        },
        "result": None,
        "dataset": report.dataset.model_dump(mode="json") if report and report.dataset else None,
        "metrics": training.get("metrics"),
        "issues": [*(report.issues if report else []), *training.get("issues", []), *found],
        "timing": _timing(job, training.get("timing", {}), now),
        "attempts": job.attempts,
        "peak_rss_bytes": training.get("peak_rss_bytes") or (report.peak_rss_bytes if report else None),
        "environment": training.get("environment") or {"segdrop": __version__},
        "finished_at": datetime.fromtimestamp(now, UTC).isoformat(timespec="seconds"),
        "schema_version": 1,
    } | ({"retry_of": job.retry_of} if job.retry_of else {})


def with_result(summary: dict[str, Any], name: str, package: dict[str, Any]) -> dict[str, Any]:
    """The summary with the name, size and SHA-256 of the result ZIP."""
    return summary | {"result": {"name": name, "bytes": package["bytes"], "sha256": package["sha256"]}}


def _timing(job: Job, measured: dict[str, Any], now: float) -> dict[str, Any]:
    def between(start: float | None, end: float | None) -> float:
        return round(max(0.0, end - start), 3) if start and end else 0.0

    return {
        "queued_seconds": between(job.queued_at, job.started_at),
        "prepare_seconds": round(job.prepare_seconds, 3),
        **{key: measured.get(key, 0.0) for key in _MEASURED if key in measured or key in _ALWAYS_MEASURED},
        "total_seconds": between(job.claimed_at, now),
    }
