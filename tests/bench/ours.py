"""Our side: a real run, driven step by step or epoch by epoch."""

from collections.abc import Iterator
from typing import Any

from bench.apart import Apart
from segdrop.child_runtime import StopFlag
from segdrop.dataset.cache import CacheReader
from segdrop.modeling.batchnorm import train_mode
from segdrop.spec import TrainingSpec
from segdrop.training import loop
from segdrop.training.run import build
from segdrop.training.step import train_step
from segdrop.training.timing.phases import SMALL_SCALE, Phase
from segdrop.training.validation import evaluate


class Trainer:
    """Of one run, which begins anew where there are states of another."""

    def __init__(self, spec: TrainingSpec) -> None:
        for stale in spec.checkpoint_path.parent.glob("*.pth"):
            stale.unlink()
        self._run = build(spec, StopFlag(), CacheReader(spec.cache_dir))
        self._steps = {scale: self._endless(scale) for scale in (1.0, SMALL_SCALE)}

    def step(self, phase: Phase) -> None:
        """Load a batch and take a step."""
        self._run.model.set_output_stride(phase.output_stride)
        next(self._steps[phase.scale])

    def _endless(self, scale: float) -> Iterator[None]:
        run = self._run
        while True:
            for batch in run.data.batches(epoch=0, scale=scale):
                train_mode(run.model, keeps_statistics=run.keeps_statistics)
                train_step(run, batch)
                yield

    def validate(self, limit: int, stride: int) -> None:
        evaluate(self._run, self._run.reader.index.val[:limit], stride)

    def epoch(self) -> dict[str, Any]:
        """Its row of the history."""
        loop.train_one_epoch(self._run)
        loop.finish_epoch(self._run)
        return self._run.progress.history[-1]


def start(spec: TrainingSpec) -> Apart:
    """A :class:`Trainer`."""
    return Apart(Trainer, spec)


def mean_iou(row: dict[str, Any]) -> str:
    return "-----" if row["mean_iou"] is None else f"{row['mean_iou']:.3f}"
