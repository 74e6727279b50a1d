"""The full check, in order: directory, request, layout, every byte; then, in ``validate``, every pixel."""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segdrop import child, durable
from segdrop.dataset import split
from segdrop.dataset.inspection import Inspection, Order, inspect
from segdrop.dataset.progress import Progress
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import Sample
from segdrop.dataset.source import Archive, Verification
from segdrop.request import Request
from segdrop.spec import CheckSpec

if TYPE_CHECKING:
    from segdrop.dataset.understanding import Understanding

_DAMAGED = "archive.corrupt"


@dataclass(frozen=True, slots=True)
class Examination:
    """The report, and what it rests on; ``understanding`` is ``None`` where no pixel was looked at."""

    report: CheckReport
    understanding: "Understanding | None"


def check(spec: CheckSpec, stop: child.StopFlag) -> CheckReport:
    """Check one ZIP; where folders are given, leave its cache (if there is no fault) and sample overlays there."""
    with Archive(spec.archive, spec.limits) as archive:
        examination = examine(archive, spec, stop)
        if spec.samples_dir is not None and examination.understanding is not None:
            from segdrop.dataset import overlays  # noqa: PLC0415  (numpy and Pillow: not for every child)

            overlays.write_samples(archive, examination.understanding, spec.samples_dir)
        return examination.report


def examine(archive: Archive, spec: CheckSpec, stop: child.StopFlag, *, skip_bad: bool = False) -> Examination:
    """The check of an open archive. ``skip_bad``: pairs that cannot be used are left out, if not more than half."""
    started = time.monotonic()
    found = inspect(archive, Order(spec.sidecar, spec.sidecar_name, spec.defaults, spec.models_dir))
    samples = _wanted(found)
    progress = Progress(spec.progress_path, len(archive.names) + len(samples), stop)
    # a damaged file that the layout or the request needs is no matter of single pairs
    skip_bad &= all(issue.code != _DAMAGED for issue in found.issues)
    verification = archive.verify(progress.step)
    if verification.issues:
        found.issues = [*(issue for issue in found.issues if issue.code != _DAMAGED), *verification.issues]
    understanding = None
    if not verification.changed and samples:
        # numpy and Pillow only now: they take the memory that judging the names has freed
        from segdrop.dataset import validate  # noqa: PLC0415

        understanding = validate.checked_pixels(archive, found, samples, spec, progress, skip_bad=skip_bad)
    changed = archive.changed()
    if spec.cache_dir is not None and (changed or understanding is None or understanding.summary is None):
        durable.remove_tree(spec.cache_dir)
    report = _report(archive, found, verification, understanding, changed=changed, seconds=time.monotonic() - started)
    return Examination(report, understanding)


def _report(
    archive: Archive,
    found: Inspection,
    verification: Verification,
    understanding: "Understanding | None",
    *,
    changed: bool,
    seconds: float,
) -> CheckReport:
    summary = understanding.summary if understanding and not changed else None
    understood = None
    if summary is None and found.reading is not None and not changed:
        from segdrop.dataset.understanding import partial  # noqa: PLC0415  (numpy, as above)

        understood = partial(found.reading, understanding)
    return CheckReport(
        input_bytes=archive.size_bytes,
        input_sha256=verification.sha256,
        changed_while_read=changed,
        request=found.request.model_dump(mode="json") if found.request else None,
        issues=[issue.to_json() for issue in found.issues],
        dataset=summary,
        understood=understood,
        peak_rss_bytes=child.peak_rss_bytes(),
        seconds=round(seconds, 3),
    )


def _wanted(found: Inspection) -> list[Sample]:
    if found.reading is None:
        return []
    request = found.request or Request()
    return split.take(found.reading.samples, request.max_images, request.seed)
