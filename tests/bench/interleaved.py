"""Compare two ways of doing the same on a noisy machine: in turn, A B A B, medians of the pairwise ratios."""

import statistics
import time
from collections.abc import Callable, Mapping
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
    """One uncounted round to warm both up, then ``rounds`` pairs that take about equally long on both sides.

    For that, ours is done several times in a row where it is quick, as in a run of its own: the first time after the
    reference is slower, the caches being full of its data.
    """
    (row,) = compare_all({name: ours}, reference, rounds)
    return row


def compare_all(
    ours: Mapping[str, Callable[[], object]], reference: Callable[[], object], rounds: int
) -> list[Comparison]:
    """Several of ours, by name, in turn with each other and one reference: A B C R A B C R."""
    for work in ours.values():
        work()
    once = {name: _seconds(work) for name, work in ours.items()}
    warm = _seconds(reference)
    repeats = {name: max(1, round(warm / seconds)) for name, seconds in once.items()}
    mine: dict[str, list[float]] = {name: [] for name in ours}
    theirs = []
    for _ in range(rounds):
        for name, work in ours.items():
            mine[name].append(_seconds(work, repeats[name]))
        theirs.append(_seconds(reference))
    return [_comparison(name, times, theirs) for name, times in mine.items()]


def _comparison(name: str, ours: list[float], reference: list[float]) -> Comparison:
    ratios = sorted(theirs / mine for mine, theirs in zip(ours, reference, strict=True))
    return Comparison(
        name=name,
        ours_seconds=statistics.median(ours),
        reference_seconds=statistics.median(reference),
        ratio=statistics.median(ratios),
        lowest=ratios[0],
        highest=ratios[-1],
    )


def mean(name: str, shares: list[tuple[float, Comparison]]) -> Comparison:
    """Of ours in parts that are done so often (shares that add up to 1), each beside the same reference.

    The ratio is that of the summed times: the harmonic mean.
    """

    def together(part: Callable[[Comparison], float]) -> float:
        return sum(share * part(row) for share, row in shares)

    return Comparison(
        name=name,
        ours_seconds=together(lambda row: row.ours_seconds),
        reference_seconds=together(lambda row: row.reference_seconds),
        ratio=1 / together(lambda row: 1 / row.ratio),
        lowest=1 / together(lambda row: 1 / row.lowest),
        highest=1 / together(lambda row: 1 / row.highest),
    )


def _seconds(work: Callable[[], object], repeats: int = 1) -> float:
    """For doing it once."""
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    return (time.perf_counter() - started) / repeats
