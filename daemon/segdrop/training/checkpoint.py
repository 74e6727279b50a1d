"""Checkpoints: everything that a run needs to go on, after every epoch, and inside one when asked to stop.

Plain tensors and numbers, read with ``weights_only=True``. Two files: the last state, and beside it the best weights
with their metrics, written only when they improve. The best file is written first and is the only record of what
is best, so a crash between the two leaves no pair that contradicts itself: the epoch is run again.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pydantic_core
import torch
from torch import Tensor, nn

from segdrop import durable, logs
from segdrop.dataset.report import CACHE_INDEX_NAME
from segdrop.request import TrainRequest
from segdrop.spec import TrainingSpec

BEST_NAME = "best.pth"
_PROBE_NAME = "room.tmp"
_FORMAT = 5
#: keys of the request that change nothing in the run
_IRRELEVANT = {"priority", "force"}
#: keys in the order in which version 0.1 wrote them; those that came later follow as they do here
_ORDER_OF_0_1 = (
    *("task", "level", "image_size", "epochs", "batch_size", "architecture", "pretrained", "loss", "device"),
    *("optimizer", "learning_rate", "weight_decay", "schedule", "augmentation", "frozen_stages", "ema", "precision"),
    *("output_stride", "progressive_size", "early_stopping_patience", "validate_every", "keep_checkpoints"),
    *("val_fraction", "seed", "classes", "labels_include_background", "unknown_values", "mask_orientation"),
    *("class_map", "ignore_index", "format", "max_images", "mode", "time_budget_minutes"),
)


@dataclass(slots=True)
class Progress:
    """The progress of a run: ``step`` of ``epoch`` comes next, both from 0; validation comes after the last step."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0  #: of this epoch so far, over its images
    image_count: int = 0
    epoch_seconds: float = 0.0
    train_seconds: float = 0.0  #: steps of all finished epochs
    trained_images: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)  #: that of a warm start begins with epoch 0
    start: dict[str, Any] | None = None  #: metrics of the model that a warm start began with, once measured
    seconds_spent: float = 0.0  #: all in all, by every process of the run
    estimated_seconds: float = 0.0  #: of the whole run, before its first step
    plan: dict[str, Any] | None = None  #: see ``budget.Plan``
    speed: dict[str, Any] | None = None  #: see ``speed.Speed``
    stretches: list[dict[str, Any]] = field(default_factory=list)  #: see ``conditions.Stretch``
    peak_rss_bytes: int = 0  #: of every process of the run


@dataclass(frozen=True, slots=True)
class Best:
    """The best weights so far, with their metrics."""

    epoch: int  #: from 1
    metrics: dict[str, Any]
    state_dict: dict[str, Tensor]  #: on the CPU
    output_stride: int  #: that they were validated at, and are to be used at


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state that a run goes on from."""

    progress: Progress
    network_state: dict[str, Tensor]
    optimizer_state: dict[str, Any]
    initialisation: dict[str, Any]
    average_state: dict[str, Tensor] | None


def fingerprint(spec: TrainingSpec) -> str:
    """Returns a hash of the run that a checkpoint belongs to: the same request on the same data."""
    digest = hashlib.sha256(_as_version_0_1(spec.request))
    digest.update("\0".join([*spec.classes, spec.metadata.input_sha256]).encode())
    digest.update((spec.cache_dir / CACHE_INDEX_NAME).read_bytes())
    return digest.hexdigest()


def _as_version_0_1(request: TrainRequest) -> bytes:
    """Returns a request as version 0.1 wrote it, less what is irrelevant, so that its checkpoints are gone on from."""
    dumped = request.model_dump(mode="json", exclude=_IRRELEVANT)
    values = {key: dumped[key] for key in _ORDER_OF_0_1} | dumped
    if values["mask_orientation"] == "auto":
        del values["mask_orientation"]  # which that version had not
    last = {"export": [], "model": None, "outputs": [], "schema_version": values.pop("schema_version")}
    return pydantic_core.to_json(values | last)


def best_path(spec: TrainingSpec) -> Path:
    """Returns the path of the best weights."""
    return spec.checkpoint_path.with_name(BEST_NAME)


def save(
    spec: TrainingSpec,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    initialisation: dict[str, Any],
    average: nn.Module | None,
) -> None:
    """Writes the checkpoint of a run. ``average`` is the network with the averaged weights."""
    content = {
        "format": _FORMAT,
        "fingerprint": fingerprint(spec),
        "network": network.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
        "initialisation": initialisation,
        "average": average.state_dict() if average else None,
    }
    write_tensors(spec.checkpoint_path, content)
    logs.get().info("checkpoint.saved", epoch=progress.epoch, step=progress.step)


def save_best(spec: TrainingSpec, best: Best) -> None:
    """Writes the best weights with their metrics."""
    content = {
        "format": _FORMAT,
        "fingerprint": fingerprint(spec),
        "epoch": best.epoch,
        "metrics": best.metrics,
        "state_dict": best.state_dict,
        "output_stride": best.output_stride,
    }
    write_tensors(best_path(spec), content)


def kept_path(spec: TrainingSpec, epoch: int) -> Path:
    """Returns the path of the weights of an epoch, from 1, in a run that keeps every epoch's."""
    return spec.checkpoints_dir / f"epoch-{epoch:03}.pth"


def discard_earlier(spec: TrainingSpec) -> None:
    """Removes the weights that an earlier attempt left, its best and every epoch's: they are no part of this run.

    It may have started from other weights.
    """
    durable.remove_tree(spec.checkpoints_dir)
    durable.remove(best_path(spec))


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Replaces a file by ``torch.save``; raises the ``OSError`` of the disk, which torch hides behind its own error."""
    try:
        durable.write(path, lambda stream: torch.save(content, stream))
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise _located(error.__context__, path) from None
        raise
    except OSError as error:
        raise _located(error, path) from None


def require_room(path: Path, size_bytes: int) -> None:
    """Makes sure that a file beside ``path`` may become so large; raises ``OSError`` (EFBIG) where it may not.

    By a file without contents of that size: ``ulimit -f``, and filesystems that have a limit of their own, refuse it
    now instead of after the first epoch. It takes no space where files may have holes.
    """
    probe = path.with_name(_PROBE_NAME)
    try:
        with probe.open("wb") as stream:
            stream.truncate(size_bytes)
    except OSError as error:
        raise _located(error, path) from None
    finally:
        durable.remove(probe)


def _located(error: OSError, path: Path) -> OSError:
    """Returns an error with the file that it is about, which an error while writing does not name."""
    return error if error.filename else OSError(error.errno, error.strerror, str(path))


def load(spec: TrainingSpec) -> Checkpoint | None:
    """Reads the last checkpoint; returns None if there is none to go on from.

    One that is damaged, belongs to another run, or has lost its best weights is refused, with a warning: to start
    again is slower, and never wrong.
    """
    content = _read(spec, spec.checkpoint_path)
    if content is None:
        return None
    progress = Progress(**content["progress"])
    if any(row["epoch"] for row in progress.history) and load_best(spec) is None:
        logs.get().warning("checkpoint.refused", file=BEST_NAME, reason="the best weights are missing")
        return None
    return Checkpoint(progress, content["network"], content["optimizer"], content["initialisation"], content["average"])


def load_best(spec: TrainingSpec) -> Best | None:
    """Reads the best weights; returns None if there are none of this run."""
    content = _read(spec, best_path(spec))
    if content is None:
        return None
    return Best(content["epoch"], content["metrics"], content["state_dict"], content["output_stride"])


def _read(spec: TrainingSpec, path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  (a damaged file makes torch raise anything)
        logs.get().warning("checkpoint.refused", file=path.name, reason=f"damaged: {error!r}"[:300])
        return None
    is_ours = isinstance(content, dict) and content.get("format") == _FORMAT
    if not is_ours or content["fingerprint"] != fingerprint(spec):
        logs.get().warning("checkpoint.refused", file=path.name, reason="it belongs to another run")
        return None
    return dict(content)
