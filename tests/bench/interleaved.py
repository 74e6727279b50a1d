"""Compare two ways of doing the same on a noisy machine: in turn, A B A B, medians of the pairwise ratios."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Comparison:
    """``ratio`` over 1: ours is that many times as fast. Seconds are medians, and hold for this run only."""

    name: str
    ours_seconds: float
    reference_seconds: float
    ratio: float
    lowest: float
    highest: float


def compare(name: str, ours: Callable[[], object], reference: Callable[[], object], rounds: int) -> Comparison:
    """One uncounted round to warm both up, then ``rounds`` pairs."""
    ours()
    reference()
    times = [(_seconds(ours), _seconds(reference)) for _ in range(rounds)]
    ratios = sorted(theirs / mine for mine, theirs in times)
    return Comparison(
        name=name,
        ours_seconds=statistics.median(mine for mine, _ in times),
        reference_seconds=statistics.median(theirs for _, theirs in times),
        ratio=statistics.median(ratios),
        lowest=ratios[0],
        highest=ratios[-1],
    )


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started
