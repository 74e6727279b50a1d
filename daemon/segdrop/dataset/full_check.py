"""The full check of a ZIP, in this order: its directory, request, layout, every byte, then every pixel."""

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from segdrop import child_runtime, durable, fingerprint, logs, pretrained, regular_files
from segdrop.codes import Code
from segdrop.dataset import quick_check
from segdrop.dataset.archive.source import Archive, Verification
from segdrop.dataset.progress import ProgressFile
from segdrop.dataset.quick_check import QuickCheck, RequestSources
from segdrop.dataset.report import CheckReport, InputSurvey
from segdrop.dataset.samples import LabelledSample
from segdrop.dataset.split import division
from segdrop.errors import DataError, StoppedError, has_fault
from segdrop.model_files import hashing, resolving
from segdrop.request import EvaluateRequest, PredictRequest, TrainRequest
from segdrop.spec import CheckSpec
from segdrop.spool.kept_models import KeptModels

if TYPE_CHECKING:
    from segdrop.dataset.interpretation import Interpretation

_DAMAGED = Code.ARCHIVE_CORRUPT
_BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class FullCheck:
    """The report of a full check and the interpretation that it rests on, which is None where no
    pixel was looked at.
    """

    report: CheckReport
    interpretation: "Interpretation | None"


#: What is done with an archive while it is open, after its check.
AndThen = Callable[[Archive, FullCheck], None]


def check(spec: CheckSpec, stop: child_runtime.StopFlag, and_then: AndThen | None = None) -> CheckReport:
    """Check one ZIP and return the report.

    Where the spec names folders, the cache (if there is no fault) and overlays of some samples are left there.
    """
    with Archive(spec.archive, spec.limits) as archive:
        result = check_archive(archive, spec, stop)
        if spec.samples_dir is not None and result.interpretation is not None:
            from segdrop.dataset import arguments, overlays  # noqa: PLC0415  (numpy and Pillow: not for every child)

            doubts = arguments.doubtful({issue.code for issue in result.report.issues})
            overlays.write_samples(archive, result.interpretation, spec.samples_dir, doubts)
        if and_then is not None:
            and_then(archive, result)
        return result.report


def check_other(spec: CheckSpec, stop: child_runtime.StopFlag) -> CheckReport:
    """Check the request of an input other than a ZIP, and read the input once; what is in it, its decoding finds."""
    started = time.monotonic()
    earlier = KeptModels.at(spec.outbox_dir, spec.done_dir)
    sources = RequestSources(
        spec.sidecar, spec.sidecar_name, spec.defaults, spec.models_dir, earlier, spec.default_model
    )
    found = quick_check.check_other(sources, spec.name)
    with regular_files.open_binary(spec.archive) as stream:
        before = os.fstat(stream.fileno())
        sha256 = _sha256_unless_stopped(stream, stop)
        after = os.fstat(stream.fileno())
    contents = _contents(found, spec)
    report = CheckReport(
        input_bytes=after.st_size,
        input_sha256=sha256,
        changed_while_read=(before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns),
        request=found.request,
        issues=found.issues,
        dataset=None,
        contents=contents,
        peak_rss_bytes=child_runtime.peak_rss_bytes(),
        seconds=round(time.monotonic() - started, 3),
    )
    return _with_model(report, spec, earlier)


def _contents(found: QuickCheck, spec: CheckSpec) -> InputSurvey | None:
    """Returns what an input holds that is to be predicted, and adds to ``found`` what is wrong with it."""
    if not isinstance(found.request, PredictRequest) or has_fault(found.issues):
        return None
    from segdrop.dataset.unlabelled import survey  # noqa: PLC0415  (numpy and Pillow: not for every child)

    contents = survey.survey(spec.archive, spec.name, spec.kind, spec.limits)
    found.issues += contents.issues
    return contents


def _sha256_unless_stopped(stream: BinaryIO, stop: child_runtime.StopFlag) -> str:
    """Returns the SHA-256 of a file, in hexadecimal. Raises StoppedError once the process was asked to stop."""
    digest = hashlib.sha256()
    while block := stream.read(_BLOCK_BYTES):
        if stop:
            raise StoppedError
        digest.update(block)
    return digest.hexdigest()


def check_archive(
    archive: Archive, spec: CheckSpec, stop: child_runtime.StopFlag, *, skip_bad: bool = False
) -> FullCheck:
    """Check an open archive.

    With ``skip_bad``, pairs that cannot be used are left out with warnings, if they are at most half of all.
    """
    started = time.monotonic()
    earlier = KeptModels.at(spec.outbox_dir, spec.done_dir)
    sources = RequestSources(
        spec.sidecar, spec.sidecar_name, spec.defaults, spec.models_dir, earlier, spec.default_model
    )
    found = quick_check.check(archive, sources, most_read_bytes=None)
    samples = _wanted(found)
    progress = ProgressFile(spec.progress_path, len(archive.names) + len(samples), stop)
    # a damaged file that the layout or the request needs is no matter of single pairs
    skip_bad &= all(issue.code != _DAMAGED for issue in found.issues)
    verification = archive.verify(progress.step)
    # of images to predict, decoding tells which are damaged: the others are predicted all the same
    if verification.issues and not isinstance(found.request, PredictRequest):
        found.issues = [*(issue for issue in found.issues if issue.code != _DAMAGED), *verification.issues]
    interpretation = None
    if not verification.changed and samples:
        # numpy and Pillow only now: they take the memory that judging the names has freed
        from segdrop.dataset import pixel_check  # noqa: PLC0415

        interpretation = pixel_check.check(archive, found, samples, spec, progress, skip_bad=skip_bad)
    contents = _contents(found, spec)
    changed = archive.changed()
    if spec.cache_dir is not None and (changed or interpretation is None or interpretation.summary is None):
        durable.remove_tree(spec.cache_dir)
    report = _report(archive, found, verification, interpretation, changed=changed, seconds=time.monotonic() - started)
    report = report.model_copy(update={"contents": contents})
    if report.dataset is not None and isinstance(found.request, TrainRequest) and not found.request.force:
        report = _fingerprinted(report, found.request, spec.weights_dirs, earlier)
    return FullCheck(_with_model(report, spec, earlier), interpretation)


def _with_model(report: CheckReport, spec: CheckSpec, earlier: KeptModels | None) -> CheckReport:
    """Returns the report of an input that a model is used on with what an earlier result is recognised by.

    Which model is the previous one is known when it is used.
    """
    request = report.request
    if not isinstance(request, PredictRequest | EvaluateRequest) or request.force or has_fault(report.issues):
        return report
    if request.model == pretrained.PREVIOUS:
        return report
    try:
        identity = hashing.sha256(resolving.resolve(request.model, spec.models_dir, earlier))
    except (OSError, DataError):  # met again where the model is opened, and said there
        return report
    found = fingerprint.of(report.input_sha256, request.model_dump(mode="json"), identity)
    return report.model_copy(update={"fingerprint": found})


def _fingerprinted(
    report: CheckReport, request: TrainRequest, dirs: list[Path], earlier: KeptModels | None
) -> CheckReport:
    """Returns the report with what an earlier result is recognised by, or as it is where that cannot be found out.

    What cannot be read is no fault of the data, and an earlier model may be gone since the request was read: the
    training will meet it again, and say so. What is the previous training is known when this one starts.
    """
    if not dirs or request.pretrained == pretrained.PREVIOUS:
        return report
    try:
        state = pretrained.state(request.pretrained, request.architecture, dirs, earlier)
        start = pretrained.resolve(request.pretrained, request.architecture, earlier, None)
        identity = start.identity(request.architecture, dirs)
    except OSError as error:
        logs.get().warning("weights.unreadable", file=error.filename, reason=error.strerror)
        return report
    except DataError:
        return report
    found = fingerprint.of(report.input_sha256, request.model_dump(mode="json"), identity)
    return report.model_copy(update={"fingerprint": found, "weights_state": state})


def _report(
    archive: Archive,
    found: QuickCheck,
    verification: Verification,
    interpretation: "Interpretation | None",
    *,
    changed: bool,
    seconds: float,
) -> CheckReport:
    """Put the report together from the parts of the check."""
    summary = interpretation.summary if interpretation and not changed else None
    understood = None
    if summary is None and found.reading is not None and not changed:
        from segdrop.dataset.interpretation import partial  # noqa: PLC0415  (numpy, as above)

        understood = partial(found, found.reading, interpretation)
    return CheckReport(
        input_bytes=archive.size_bytes,
        input_sha256=verification.sha256,
        changed_while_read=changed,
        request=found.request,
        issues=found.issues,
        dataset=summary,
        understood=understood,
        peak_rss_bytes=child_runtime.peak_rss_bytes(),
        seconds=round(seconds, 3),
    )


def _wanted(found: QuickCheck) -> list[LabelledSample]:
    """Returns the pairs that the request wants: all, or the first ``max_images`` of a seeded shuffle."""
    request = found.dataset_request or TrainRequest()
    return division.take(found.samples, request.max_images, request.seed)
