"""One prediction, or one evaluation, from its spec to its answer."""

import platform
import shutil
import time
from contextlib import ExitStack

import torch

from segdrop import __version__, child_runtime, durable, fingerprint, logs
from segdrop.answers import Environment, EvaluationMetrics, InferenceResult, InferenceTiming, PredictionSummary
from segdrop.child_runtime import StopFlag
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.inference import work
from segdrop.inference.outputs.protocol import scratch_of
from segdrop.inference.work import Work
from segdrop.modeling.measurements import calibrated_host
from segdrop.modeling.precision import Host, choose_device, cpu_name
from segdrop.spec import InferenceSpec

#: Names that an issue about skipped images lists; each image has a line in the log.
_MOST_SKIPPED = 20


def infer(spec: InferenceSpec, stop: StopFlag) -> None:
    """Runs a spec from the image after the last one in its journal to its answer.

    Raises ``StoppedError`` when asked to stop, with what is done on the disk, and ``DataError`` for what is wrong with
    the request, the model or the input.
    """
    device = choose_device(spec.request.device)
    host = calibrated_host(spec.measurements_path, spec.request.precision, spec.threads, device)
    with ExitStack() as stack:
        scratch = spec.outputs_dir.with_name("model")
        durable.ensure_dir(scratch)
        stack.callback(shutil.rmtree, scratch, ignore_errors=True)
        model = work.open_model(spec, host, scratch)
        logs.get().info("model.loaded", model=model.file.name, kind=model.file.kind, sha256=model.loaded.sha256)
        job = work.build(spec, stop, model, stack)
        job.run()
        conclude(job, host)


def conclude(job: Work, host: Host) -> None:
    """Writes what concerns all images, and the answer last. Raises ``DataError`` where no image could be read."""
    spec, journal = job.spec, job.journal
    images = sum(1 for _ in journal.records())
    if not images:
        raise DataError(_unreadable(job))
    issues = [issue for output in job.outputs for issue in output.finish(journal.records) or ()]
    journal.sync()
    if (size := work.folder_bytes(spec.outputs_dir)) > spec.limits.max_output_bytes:
        raise DataError([work.too_large(size, spec.limits.max_output_bytes)])
    seconds = time.monotonic() - job.started_at
    answer = InferenceResult(
        request=spec.request,
        model=job.model.summary,
        predictions=PredictionSummary(
            images=images,
            skipped=sum(1 for _ in journal.skipped()),
            classes=list(job.model.remap.classes),
            outputs=job.output_names,
            assumptions=list(job.model.remap.said),
            output_bytes=size,
        ),
        timing=InferenceTiming(
            predict_seconds=round(seconds, 3),
            images_per_second=round(job.reporter.images_per_second or images / max(seconds, 1e-9), 3),
            first_image_seconds=round(job.first_image_seconds, 3),
        ),
        fingerprint=fingerprint.of(spec.input_sha256, spec.request.model_dump(mode="json"), job.model.loaded.sha256),
        peak_rss_bytes=child_runtime.peak_rss_bytes(),
        environment=environment(host),
        issues=[*_issues(job), *issues],
        **_metrics(job),
    )
    durable.write_json(spec.result_path, answer.to_json())
    # not before: who goes on after a crash finishes the outputs again, from what is there
    shutil.rmtree(scratch_of(spec.outputs_dir), ignore_errors=True)


def _metrics(job: Work) -> dict[str, EvaluationMetrics]:
    if job.evaluation is None:
        return {}
    return {"metrics": job.evaluation.conclude(job.journal.records(), job.model.own_validation)}


def _issues(job: Work) -> list[Issue]:
    """Returns what there is to say of the model, its classes and the input; of skipped images one issue a kind."""
    matched = list(job.evaluation.matching.issues) if job.evaluation else []
    return [*job.model.loaded.issues, *matched, *job.decoder.issues, *_skipped(job)]


def _skipped(job: Work) -> list[Issue]:
    by_code: dict[Code, list[str]] = {}
    firsts: dict[Code, Issue] = {}
    for record in job.journal.skipped():
        code = record.issue.code
        firsts.setdefault(code, record.issue)
        by_code.setdefault(code, []).append(record.name)
    return [_together(firsts[code], names) for code, names in by_code.items()]


def _together(first: Issue, names: list[str]) -> Issue:
    """Returns one issue about several images that were skipped for the same kind of reason."""
    if len(names) == 1:
        return first
    message = f"{len(names)} images could not be read and were left out; the first: {first.message}"
    return Issue.of(first.code, message, files=names[:_MOST_SKIPPED], count=len(names), severity=first.severity)


def _unreadable(job: Work) -> list[Issue]:
    message = f"nothing in {job.spec.input_name} could be read as an image"
    return [Issue.of(Code.INPUT_NONE_READABLE, message, files=[job.spec.input_name]), *_skipped(job)]


def environment(host: Host) -> Environment:
    """Returns what a prediction is computed with."""
    return Environment(
        device=host.device.type,
        precision=host.precision,
        threads=host.threads,
        torch=str(torch.__version__),
        segdrop=__version__,
        python=platform.python_version(),
        cpu=cpu_name(),
        platform=platform.platform(),
    )
