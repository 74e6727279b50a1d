"""The specs of a job's children: what each is told, from the job, its files and the settings. Starts nothing."""

import json

from segdrop.dataset.report import CACHE_INDEX_NAME, CheckReport
from segdrop.errors import CorruptError
from segdrop.request import Request
from segdrop.settings import Settings
from segdrop.spec import CheckSpec, PackageSpec, TrainingSpec
from segdrop.spool.job import Job
from segdrop.spool.layout import JobLayout, RootLayout
from segdrop.weights import search_dirs


def check_spec(job: Job, files: JobLayout, layout: RootLayout, settings: Settings) -> CheckSpec:
    return CheckSpec(
        job=job.id,
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
    )


def training_spec(job: Job, files: JobLayout, layout: RootLayout, settings: Settings) -> TrainingSpec:
    """``CorruptError`` if the check has left no dataset."""
    report = CheckReport.load(files.report)
    if report.request is None or report.dataset is None:
        raise CorruptError(f"{files.report} has no dataset")
    request = Request.model_validate_json(json.dumps(report.request), strict=True)
    return TrainingSpec(
        job=job.id,
        request=_halved(request) if job.halved else request,
        cache_dir=files.cache,
        classes=report.dataset.classes,
        weights_dirs=search_dirs(layout.models),
        threads=settings.training.threads,
        checkpoint_path=files.checkpoint,
        model_path=files.model,
        history_path=files.history,
        result_path=files.training_result,
        progress_path=files.progress,
        measurements_path=layout.measurements,
        error_path=files.error,
        lock_path=files.lock,
        metadata={
            "job": job.id,
            "input_name": job.input_name,
            "input_sha256": report.input_sha256,
            "mask_values": report.dataset.mask_values,
            "mask_encoding": report.dataset.mask_encoding,
            "ignore_index": report.dataset.ignore_index,
        },
    )


def package_spec(job: Job, files: JobLayout) -> PackageSpec:
    return PackageSpec(
        job=job.id,
        model_path=files.model,
        history_path=files.history,
        summary_path=files.summary,
        index_path=files.cache / CACHE_INDEX_NAME,
        result_zip_path=files.result_zip,
        package_path=files.package,
        error_path=files.error,
        lock_path=files.lock,
    )


def _halved(request: Request) -> Request:
    return request.model_copy(update={"batch_size": max(1, (request.batch_size or 2) // 2)})
