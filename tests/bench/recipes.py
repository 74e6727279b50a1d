"""What parts of the default recipe are worth: it, and it with one key changed, epoch by epoch in turn."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from bench import ours
from bench.dataset import BenchData


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
    with ExitStack() as open_trainers:
        specs = {name: data.spec(size, name, epochs=epochs, **request) for name, request in variants.items()}
        trainers = {name: open_trainers.enter_context(ours.start(spec)) for name, spec in specs.items()}
        rows: dict[str, list[dict[str, Any]]] = {name: [] for name in variants}
        for epoch in range(1, epochs + 1):
            for name, trainer in trainers.items():
                row = trainer("epoch")
                rows[name].append(row)
                on_epoch(f"{size} px, {name}, epoch {epoch}: {ours.mean_iou(row)} in {row['seconds']:.0f} s")
    return [_outcome(name, size, rows[name]) for name in variants]


def _outcome(name: str, size: int, rows: list[dict[str, Any]]) -> Outcome:
    seconds = sum(row["seconds"] for row in rows)
    images = sum(row["images_per_second"] * row["seconds"] for row in rows)
    return Outcome(name, size, len(rows), seconds, images / seconds, max(row["mean_iou"] or 0.0 for row in rows))
