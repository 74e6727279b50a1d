"""The files that a finished run leaves: model.pth, history.csv, and training.json last."""

import csv
import io
import platform
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from segdrop import __version__, durable
from segdrop.answers import Environment, MeasuredFormat, Metrics, TrainingResult, TrainingTiming
from segdrop.architectures import MEAN, STD
from segdrop.errors import Issue
from segdrop.fingerprint import RECIPE_VERSION
from segdrop.modeling.operators import import_torchvision
from segdrop.modeling.precision import Host, cpu_name
from segdrop.request import TrainRequest
from segdrop.spec import TrainingSpec
from segdrop.training.checkpoint import Best, Progress, write_tensors
from segdrop.training.conditions import Stretch

HISTORY_COLUMNS = (
    "epoch",
    "output_stride",
    "image_size",
    "loss",
    "val_loss",
    "mean_iou",
    "pixel_accuracy",
    "learning_rate",
    "seconds",
    "images_per_second",
)


@dataclass(frozen=True, slots=True)
class Provenance:
    """Tells how a model came about, whatever was asked for."""

    request: TrainRequest  #: as it was done
    fingerprint: str | None  #: None: not known for all of the run
    stretches: list[Stretch]
    peak_rss_bytes: int
    issues: list[Issue]


def write_model(
    path: Path,
    spec: TrainingSpec,
    best: Best,
    metrics: dict[str, Any],
    host: Host,
    deep_range: tuple[float, float] | None = None,
) -> None:
    """Writes a model.pth: tensors, numbers and text only, so that ``weights_only=True`` loads it.

    ``deep_range`` has the values of images with more than 8 bits that were black and white, if there were such images.
    """
    content = {
        **spec.metadata.model_dump(mode="json"),
        "format": "segdrop-model",
        "format_version": 1,
        "state_dict": best.state_dict,
        "architecture": spec.request.architecture,
        "num_classes": len(spec.classes),
        "classes": list(spec.classes),
        "image_size": list(spec.request.image_size),
        "output_stride": best.output_stride,
        "normalize": {"mean": list(MEAN), "std": list(STD)},
        "precision": host.precision,
        "metrics": metrics,
    }
    if deep_range is not None:
        content["deep_range"] = list(deep_range)
    write_tensors(path, content)


def write_history(spec: TrainingSpec, history: list[dict[str, Any]]) -> None:
    """Writes history.csv: a row an epoch, a column for each of ``HISTORY_COLUMNS``."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    durable.write_bytes(spec.history_path, stream.getvalue().encode())


def environment(host: Host, stretches: list[Stretch]) -> Environment:
    """Returns what the run was computed with; ``stretches`` are named where there is more than one."""
    changes = [stretch.published() for stretch in stretches] if len(stretches) > 1 else []
    calibration = MeasuredFormat(**asdict(host.calibration)) if host.calibration else None
    return Environment(
        device=host.device.type,
        precision=host.precision,
        calibration=calibration,
        threads=host.threads,
        torch=str(torch.__version__),
        torchvision=import_torchvision().__version__,
        segdrop=__version__,
        recipe=RECIPE_VERSION,
        python=platform.python_version(),
        cpu=cpu_name(),
        platform=platform.platform(),
        **({"stretches": changes} if changes else {}),
    )


def write_result(
    spec: TrainingSpec,
    *,
    metrics: dict[str, Any],
    progress: Progress,
    host: Host,
    first_step_seconds: float,
    provenance: Provenance,
) -> None:
    """Writes training.json. ``first_step_seconds`` is from the start of this process to its first step."""
    answer = TrainingResult(
        metrics=Metrics.model_validate(metrics),
        timing=_timing(progress, first_step_seconds),
        request=provenance.request,
        fingerprint=provenance.fingerprint,
        peak_rss_bytes=provenance.peak_rss_bytes,
        environment=environment(host, provenance.stretches),
        issues=provenance.issues,
    )
    durable.write_json(spec.result_path, answer.to_json())


def _timing(progress: Progress, first_step_seconds: float) -> TrainingTiming:
    speed = progress.trained_images / progress.train_seconds if progress.train_seconds else 0.0
    return TrainingTiming(
        train_seconds=round(progress.train_seconds, 3),
        train_images_per_second=round(speed, 3),
        first_step_seconds=round(first_step_seconds, 3),
        estimated_seconds=round(progress.estimated_seconds, 3),
        run_seconds=round(progress.seconds_spent, 3),
    )
