"""What parts of the default recipe are worth: it, and it with one key changed, epoch by epoch in turn."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from bench import ours
from bench.dataset import BenchData
from segdrop.training import loop
from segdrop.training.planning import make_plan


@dataclass(frozen=True, slots=True)
class Outcome:
    """``seconds`` of training, without validation; ``mean_iou`` of the best epoch."""

    name: str
    size: int
    epochs: int
    seconds: float
    images_per_second: float
    mean_iou: float


def measure(
    data: BenchData, size: int, epochs: int, variants: Mapping[str, dict[str, Any]], on_epoch: Callable[[str], None]
) -> list[Outcome]:
    """Each from random weights, with one seed."""
    runs = {}
    for number, (name, request) in enumerate(variants.items()):
        runs[name] = ours.start(data.spec(size, f"recipe-{number}", epochs=epochs, **request))
        make_plan(runs[name])
    for _ in range(epochs):
        for name, run in runs.items():
            loop.train_one_epoch(run)
            loop.finish_epoch(run)
            row = run.progress.history[-1]
            on_epoch(f"{size} px, {name}, epoch {row['epoch']}: {row['mean_iou']:.3f} in {row['seconds']:.0f} s")
    return [
        Outcome(
            name,
            size,
            epochs,
            seconds=run.progress.train_seconds,
            images_per_second=run.progress.trained_images / run.progress.train_seconds,
            mean_iou=run.best_mean_iou or 0.0,
        )
        for name, run in runs.items()
    ]
