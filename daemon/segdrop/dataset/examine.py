"""The full check, in order: directory, request, layout, every byte; then, in ``validate``, every pixel."""

import time

from segdrop import child, durable
from segdrop.dataset import split
from segdrop.dataset.inspection import Inspection, Order, inspect
from segdrop.dataset.progress import Progress
from segdrop.dataset.report import CheckReport, DatasetSummary
from segdrop.dataset.samples import Sample
from segdrop.dataset.source import Archive, Verification
from segdrop.request import Request
from segdrop.spec import CheckSpec


def check(spec: CheckSpec, stop: child.StopFlag) -> CheckReport:
    """Check one ZIP and, where there is no fault and a folder is given, leave its cache there."""
    started = time.monotonic()
    order = Order(spec.sidecar, spec.sidecar_name, spec.defaults, spec.models_dir)
    with Archive(spec.archive, spec.limits) as archive:
        found = inspect(archive, order)
        samples = _wanted(found)
        progress = Progress(spec.progress_path, len(archive.names) + len(samples), stop)
        verification = archive.verify(progress.step)
        if verification.issues:
            found.issues = [*(issue for issue in found.issues if issue.code != "archive.corrupt"), *verification.issues]
        summary = None
        if not verification.changed and samples:
            # numpy and Pillow only now: they take the memory that judging the names has freed
            from segdrop.dataset import validate  # noqa: PLC0415

            summary = validate.checked_pixels(archive, found, samples, spec, progress)
        changed = archive.changed()
        if spec.cache_dir is not None and (changed or summary is None):
            durable.remove_tree(spec.cache_dir)
        return _report(archive, found, verification, summary, changed=changed, seconds=time.monotonic() - started)


def _report(
    archive: Archive,
    found: Inspection,
    verification: Verification,
    summary: DatasetSummary | None,
    *,
    changed: bool,
    seconds: float,
) -> CheckReport:
    return CheckReport(
        input_bytes=archive.size_bytes,
        input_sha256=verification.sha256,
        changed_while_read=changed,
        request=found.request.model_dump(mode="json") if found.request else None,
        issues=[issue.to_json() for issue in found.issues],
        dataset=None if changed else summary,
        peak_rss_bytes=child.peak_rss_bytes(),
        seconds=round(seconds, 3),
    )


def _wanted(found: Inspection) -> list[Sample]:
    if found.reading is None:
        return []
    request = found.request or Request()
    return split.take(found.reading.samples, request.max_images, request.seed)
