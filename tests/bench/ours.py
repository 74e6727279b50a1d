"""Our side: a real run, driven step by step or epoch by epoch."""

from collections.abc import Iterator

from segdrop.child import StopFlag
from segdrop.dataset.cache import CacheReader
from segdrop.spec import TrainingSpec
from segdrop.training.batchnorm import train_mode
from segdrop.training.run import Run, build
from segdrop.training.step import train_step
from segdrop.training.validation import evaluate


def start(spec: TrainingSpec) -> Run:
    return build(spec, StopFlag(), CacheReader(spec.cache_dir))


def steps(run: Run, stride: int = 8) -> Iterator[None]:
    """Endless; each ``next`` loads a batch and takes a step."""
    run.model.set_output_stride(stride)
    while True:
        for batch in run.data.batches(epoch=0):
            train_mode(run.model, keeps_backbone=run.keeps_statistics)
            train_step(run, batch)
            yield


def validate(run: Run, limit: int, stride: int = 8) -> None:
    evaluate(run, run.reader.index.val[:limit], stride)
