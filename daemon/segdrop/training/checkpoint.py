"""Checkpoints: everything that a run needs to go on, after every epoch, and inside one when asked to stop.

Plain tensors and numbers, read with ``weights_only=True``. Two files: the last state, and beside it the best weights
with their metrics, written only when they improve. The best file is written first and is the only record of what
is best, so a crash between the two leaves no pair that contradicts itself: the epoch is run again.
"""

import hashlib
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segdrop import durable, logs
from segdrop.spec import TrainingSpec

BEST_NAME = "best.pth"
_FORMAT = 5
#: keys of the request that change nothing in the run
_IRRELEVANT = {"priority", "force"}


@dataclass(slots=True)
class Progress:
    """Where a run is: ``step`` of ``epoch`` comes next, both from 0; after the last step comes the validation."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0  #: of this epoch so far, over its images
    image_count: int = 0
    epoch_seconds: float = 0.0
    train_seconds: float = 0.0  #: steps of all finished epochs
    trained_images: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds_spent: float = 0.0  #: all in all, by every process of the run
    estimated_seconds: float = 0.0  #: of the whole run, before its first step
    plan: dict[str, Any] | None = None  #: see ``plan.Plan``
    speed: dict[str, Any] | None = None  #: see ``plan.Speed``


@dataclass(frozen=True, slots=True)
class Best:
    epoch: int  #: from 1
    metrics: dict[str, Any]
    state_dict: dict[str, Tensor]  #: on the CPU
    output_stride: int  #: that they were validated at, and are to be used at


@dataclass(frozen=True, slots=True)
class Checkpoint:
    progress: Progress
    network_state: dict[str, Tensor]
    optimizer_state: dict[str, Any]
    initialisation: dict[str, Any]
    average_state: dict[str, Tensor] | None


def fingerprint(spec: TrainingSpec) -> str:
    """What a checkpoint belongs to: the same request on the same data."""
    digest = hashlib.sha256(spec.request.model_dump_json(exclude=_IRRELEVANT).encode())
    digest.update("\0".join([*spec.classes, str(spec.metadata.get("input_sha256"))]).encode())
    digest.update((spec.cache_dir / "index.json").read_bytes())
    return digest.hexdigest()


def best_path(spec: TrainingSpec) -> Path:
    return spec.checkpoint_path.with_name(BEST_NAME)


def save(
    spec: TrainingSpec,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    initialisation: dict[str, Any],
    average: nn.Module | None,
) -> None:
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
    """Of an epoch, from 1, where every epoch's weights are kept."""
    return spec.checkpoints_dir / f"epoch-{epoch:03}.pth"


def discard_kept(spec: TrainingSpec) -> None:
    """What an earlier attempt kept, with another batch size or a damaged checkpoint, is no part of this run."""
    durable.remove_tree(spec.checkpoints_dir)


def write_tensors(path: Path, content: dict[str, Any]) -> None:
    """Replace a file by ``torch.save``. OSError where the disk refuses it, which torch hides behind its own error."""
    try:
        durable.write(path, lambda stream: torch.save(content, stream))
    except RuntimeError as error:
        if isinstance(error.__context__, OSError):
            raise error.__context__ from None
        raise


def load(spec: TrainingSpec) -> Checkpoint | None:
    """The last checkpoint, or None if there is none to go on from.

    One that is damaged, belongs to another run, or has lost its best weights is refused, with a warning: to start
    again is slower, and never wrong.
    """
    content = _read(spec, spec.checkpoint_path)
    if content is None:
        return None
    progress = Progress(**content["progress"])
    if progress.history and load_best(spec) is None:
        logs.get().warning("checkpoint.refused", file=BEST_NAME, reason="the best weights are missing")
        return None
    return Checkpoint(progress, content["network"], content["optimizer"], content["initialisation"], content["average"])


def load_best(spec: TrainingSpec) -> Best | None:
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
