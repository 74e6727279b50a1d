"""How good a model gets in how much training time: our recipe and the first implementation, epoch by epoch in turn."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import accumulate

from bench import ours
from bench.dataset import BenchData
from bench.naive import first_implementation

#: of the training alone: validation is not what is compared
Curve = list[tuple[float, float]]  # (seconds so far, mean IoU), after epochs


@dataclass(slots=True)
class Learning:
    """Both curves of each seed."""

    ours: list[Curve] = field(default_factory=list)
    naive: list[Curve] = field(default_factory=list)

    def best(self, curves: list[Curve]) -> float:
        """The best mean IoU of each seed, their mean."""
        return statistics.mean(max(value for _, value in curve) for curve in curves)

    def time_share(self) -> float | None:
        """Our time to the reference's best mean IoU, over its own; the median of the seeds. None if one missed it."""
        shares = []
        for our_curve, naive_curve in zip(self.ours, self.naive, strict=True):
            needed, target = max(naive_curve, key=lambda point: point[1])
            if (reached := next((seconds for seconds, value in our_curve if value >= target), None)) is None:
                return None
            shares.append(reached / needed)
        return statistics.median(shares)


def measure(data: BenchData, size: int, epochs: int, seeds: int, on_epoch: Callable[[str], None]) -> Learning:
    """The default recipe of this many epochs, from random weights, against the first implementation."""
    learning = Learning()
    for seed in range(seeds):
        spec = data.spec(size, epochs=epochs, seed=seed)
        naive = first_implementation(data.pairs(spec, "train"), data.pairs(spec, "val"), len(data.classes), seed)
        our_rows: list[tuple[float, float | None]] = []
        naive_rows: list[tuple[float, float | None]] = []
        with ours.start(spec) as trainer:
            for epoch in range(1, epochs + 1):
                started = time.perf_counter()
                naive.epoch()
                seconds = time.perf_counter() - started
                naive_rows.append((seconds, naive.validate(data.classes)))
                row = trainer("epoch")
                our_rows.append((row["seconds"], row["mean_iou"]))
                on_epoch(
                    f"seed {seed}, epoch {epoch}: ours {ours.mean_iou(row)} in {row['seconds']:.0f} s, "
                    f"naive {naive_rows[-1][1]:.3f} in {seconds:.0f} s"
                )
        learning.ours.append(_curve(our_rows))
        learning.naive.append(_curve(naive_rows))
    return learning


def _curve(rows: list[tuple[float, float | None]]) -> Curve:
    """Of the epochs that were validated."""
    times = accumulate(seconds for seconds, _ in rows)
    return [(time, value) for time, (_, value) in zip(times, rows, strict=True) if value is not None]
