"""What a finished run leaves: model.pth, history.csv, and training.json last."""

import csv
import io
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from segdrop import __version__, child, durable
from segdrop.errors import Issue
from segdrop.modeling.normalize import MEAN, STD
from segdrop.modeling.operators import import_torchvision
from segdrop.modeling.precision import Host, cpu_name
from segdrop.spec import TrainingSpec
from segdrop.training.checkpoint import Best, Progress, write_tensors

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


def write_model(path: Path, spec: TrainingSpec, best: Best, metrics: dict[str, Any], host: Host) -> None:
    """A model.pth: tensors, numbers and text only, so that ``weights_only=True`` loads it."""
    content = {
        **spec.metadata,
        "format": "segdrop-model",
        "format_version": 1,
        "state_dict": best.state_dict,
        "architecture": spec.request.architecture,
        "num_classes": len(spec.classes),
        "classes": list(spec.classes),
        "image_size": list(spec.request.size),
        "output_stride": best.output_stride,
        "normalize": {"mean": list(MEAN), "std": list(STD)},
        "precision": host.precision,
        "metrics": metrics,
    }
    write_tensors(path, content)


def write_history(spec: TrainingSpec, history: list[dict[str, Any]]) -> None:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, HISTORY_COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    durable.write_bytes(spec.history_path, stream.getvalue().encode())


def environment(host: Host) -> dict[str, Any]:
    return {
        "device": host.device.type,
        "precision": host.precision,
        "calibration": asdict(host.calibration) if host.calibration else None,
        "threads": host.threads,
        "torch": torch.__version__,
        "torchvision": import_torchvision().__version__,
        "segdrop": __version__,
        "python": platform.python_version(),
        "cpu": cpu_name(),
        "platform": platform.platform(),
    }


def write_result(
    spec: TrainingSpec,
    *,
    metrics: dict[str, Any],
    progress: Progress,
    host: Host,
    first_step_seconds: float,
    issues: list[Issue],
) -> None:
    """training.json. ``first_step_seconds``: from the start of this process to its first step."""
    speed = progress.trained_images / progress.train_seconds if progress.train_seconds else 0.0
    answer = {
        "metrics": metrics,
        "timing": {
            "train_seconds": round(progress.train_seconds, 3),
            "train_images_per_second": round(speed, 3),
            "first_step_seconds": round(first_step_seconds, 3),
            "estimated_seconds": round(progress.estimated_seconds, 3),
            "run_seconds": round(progress.seconds_spent, 3),
        },
        "peak_rss_bytes": child.peak_rss_bytes(),
        "environment": environment(host),
        "issues": [issue.to_json() for issue in issues],
    }
    durable.write_json(spec.result_path, answer)
