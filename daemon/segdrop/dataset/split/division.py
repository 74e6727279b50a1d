"""The division of pairs into training and validation: as the ZIP says, else a deterministic, stratified choice.

Order is by a hash of seed and name, so that the same pairs give the same split in whatever order, and under whatever
version of a random generator, they come.
"""

import functools
import hashlib
import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from segdrop.codes import Code
from segdrop.dataset.samples import Sample, Split
from segdrop.errors import Issue

_SampleT = TypeVar("_SampleT", bound=Sample)


@dataclass(frozen=True, slots=True)
class Sides:
    """The sides of the split, as positions in the list of samples."""

    train: list[int]
    val: list[int]
    test: list[int]
    is_given: bool
    assumptions: list[str]


def shuffled(keys: Sequence[str], seed: int) -> list[int]:
    """Returns positions in the order of a seeded shuffle that depends on the keys alone."""
    return sorted(
        range(len(keys)),
        key=lambda i: hashlib.sha256(f"{seed}/{keys[i]}".encode("utf-8", "surrogatepass")).digest(),
    )


def take(samples: list[_SampleT], max_images: int | None, seed: int) -> list[_SampleT]:
    """Returns the first ``max_images`` samples of a seeded shuffle, in their old order.

    A side that the ZIP gives does not vanish by it: the last ones taken make room for its first.
    """
    if max_images is None or len(samples) <= max_images:
        return samples
    order = shuffled([sample.key for sample in samples], seed)
    firsts: dict[Split | None, int] = {}
    for position in order:
        if samples[position].split is not Split.TEST:
            firsts.setdefault(samples[position].split, position)
    kept = [firsts[side] for side in sorted(firsts, key=lambda side: side is not Split.VAL)][:max_images]
    chosen = set(kept)
    kept += [position for position in order if position not in chosen][: max_images - len(kept)]
    return [samples[position] for position in sorted(kept)]


def completed(samples: list[_SampleT]) -> tuple[list[_SampleT], list[Issue]]:
    """Returns the samples with a side to train on, where the ZIP has split folders, but none for training.

    Validation images are divided then; test images only where there is nothing else, since a test split is not to be
    trained on.
    """
    sides = {sample.split for sample in samples}
    if not sides or sides & {None, Split.TRAIN}:
        return samples, []
    divided = Split.VAL if Split.VAL in sides else Split.TEST
    count = sum(sample.split is divided for sample in samples)
    if count < 2:  # noqa: PLR2004  (one for each side)
        return samples, []
    message = f"there is no training split: the {count} pairs of the {divided} split are divided into both sides"
    loose = [replace(sample, split=None) if sample.split is divided else sample for sample in samples]
    return loose, [Issue.of(Code.SPLIT_INCOMPLETE, message)]


def shortage(samples: Sequence[Sample]) -> list[Issue]:
    """Returns an issue where there cannot be both a training and a validation side."""
    num_test = sum(sample.split is Split.TEST for sample in samples)
    num_val = sum(sample.split is Split.VAL for sample in samples)
    num_train = len(samples) - num_test - num_val
    if num_train >= 2 or (num_train and num_val):  # noqa: PLR2004  (one for each side)
        return []
    if num_train or not samples:
        return [
            Issue.of(
                Code.PAIR_TOO_FEW,
                f"{len(samples)} pairs of image and mask, {num_train + num_val} to train and validate",
            )
        ]
    return [Issue.of(Code.SPLIT_INVALID, f"no pair to train on, {num_val} to validate with, {num_test} to test")]


def divide(
    samples: Sequence[Sample],
    presence: Sequence[int],
    val_fraction: float,
    seed: int,
    groups: Sequence[int] | None = None,
) -> Sides:
    """Divide samples that have no :func:`shortage` into training, validation and test.

    ``presence`` has for each sample a bit mask, bit ``c`` set where class ``c`` has a pixel. ``groups`` has for each
    sample the group that it is in, which stays on one side.
    """
    given = {side: [i for i, sample in enumerate(samples) if sample.split is side] for side in Split}
    loose = [i for i, sample in enumerate(samples) if sample.split is None]
    train = sorted(given[Split.TRAIN] + loose)
    val, test = given[Split.VAL], given[Split.TEST]
    is_given = bool(val)
    assumptions = []
    if loose and (given[Split.TRAIN] or val):
        assumptions.append(f"{len(loose)} pairs outside the train, val and test folders are used for training")
    if test:
        assumptions.append(
            f"the {len(test)} pairs of the test split are only evaluated, never trained on or selected by"
        )
    if not val:
        units = _units(train, groups)
        keys = [samples[unit[0]].key for unit in units]
        bits = [functools.reduce(operator.or_, (presence[i] for i in unit)) for unit in units]
        chosen = {i for number in stratified(keys, bits, val_fraction, seed) for i in units[number]}
        val, train = sorted(chosen), [i for i in train if i not in chosen]
        assumptions.append(f"{len(val)} of {len(val) + len(train)} pairs were set aside for validation (seed {seed})")
        if len(units) < len(val) + len(train):
            assumptions.append(
                f"images that look like one video or copies of each other stay on one side: {len(units)} groups"
            )
    return Sides(train, val, test, is_given, assumptions)


def all_tested(count: int) -> Sides:
    """Returns the sides of a dataset that nothing is trained on: all samples are tested with, whatever the ZIP says."""
    assumptions = [f"all {count} pairs are measured, whatever side of a split they are on"]
    return Sides([], [], list(range(count)), is_given=True, assumptions=assumptions)


def _units(positions: list[int], groups: Sequence[int] | None) -> list[Sequence[int]]:
    """Returns the positions, together where they are in one group; each by itself if all are in one."""
    if groups is None or len(set(groups)) == len(groups):
        return [(position,) for position in positions]
    together: dict[int, list[int]] = {}
    for position in positions:
        together.setdefault(groups[position], []).append(position)
    return list(together.values()) if len(together) > 1 else [(position,) for position in positions]


def stratified(keys: Sequence[str], presence: Sequence[int], val_fraction: float, seed: int) -> list[int]:
    """Returns positions for validation: about ``val_fraction`` of them, at least one, never all.

    Every class is on both sides where it is in two images or more and the numbers allow. Then classes are brought near
    to their share, rarest first: the idea of iterative stratification (Sechidis, Tsoumakas and Vlahavas 2011, "On the
    Stratification of Multi-Label Data"), greedy and for presence only.
    """
    chooser = _Chooser(presence, shuffled(keys, seed), max(1, min(len(keys) - 1, round(len(keys) * val_fraction))))
    chooser.cover()
    chooser.balance(val_fraction)
    chooser.fill()
    return sorted(chooser.chosen)


class _Chooser:
    """Picks positions until there are ``wanted``, never the last training image of a class if avoidable."""

    def __init__(self, presence: Sequence[int], order: list[int], wanted: int) -> None:
        self._presence = presence
        self._order = order
        self._wanted = wanted
        self._num_classes = max((bits.bit_length() for bits in presence), default=0)
        self._left = [sum(bits >> c & 1 for bits in presence) for c in range(self._num_classes)]
        self._have = [0] * self._num_classes
        self._totals = list(self._left)
        self.chosen: set[int] = set()

    @property
    def _is_full(self) -> bool:
        return len(self.chosen) >= self._wanted

    def _classes(self, position: int) -> list[int]:
        return [c for c in range(self._num_classes) if self._presence[position] >> c & 1]

    def _is_free(self, position: int) -> bool:
        """Whether a position is not chosen, is labelled, and is not the last of any class on the training side."""
        classes = self._classes(position)
        return position not in self.chosen and bool(classes) and all(self._left[c] > 1 for c in classes)

    def _choose(self, position: int) -> None:
        self.chosen.add(position)
        for c in self._classes(position):
            self._left[c] -= 1
            self._have[c] += 1

    def cover(self) -> None:
        """Choose one image for each class, by as few images as the greedy choice needs."""
        missing = sum(1 << c for c, total in enumerate(self._totals) if total > 1)
        while missing and not self._is_full:
            free = [i for i in self._order if self._presence[i] & missing and self._is_free(i)]
            if not free:
                return
            best = max(free, key=lambda i: (self._presence[i] & missing).bit_count())
            self._choose(best)
            missing &= ~self._presence[best]

    def balance(self, val_fraction: float) -> None:
        """Bring each class to its share, rarest first."""
        for c in sorted(range(self._num_classes), key=lambda c: (self._totals[c], c)):
            wanted = round(self._totals[c] * val_fraction)
            for position in self._order:
                if self._is_full or self._have[c] >= wanted:
                    break
                if self._presence[position] >> c & 1 and self._is_free(position):
                    self._choose(position)

    def fill(self) -> None:
        """Choose up to the number wanted: labelled images that may go, then any labelled one, then any."""
        for allowed in (self._is_free, lambda i: bool(self._presence[i]), lambda _: True):
            for position in self._order:
                if self._is_full:
                    return
                if position not in self.chosen and allowed(position):
                    self._choose(position)


def missing_classes(sides: Sides, presence: Sequence[int], names: Sequence[str]) -> list[Issue]:
    """Returns a warning for classes that are on one side only, training or validation."""
    train = val = 0
    for position in sides.train:
        train |= presence[position]
    for position in sides.val:
        val |= presence[position]
    issues = []
    for bits, message in (
        (val & ~train, "in validation images only, so the model never sees them"),
        (train & ~val, "in training images only, so nothing measures them"),
    ):
        only = [name for c, name in enumerate(names) if bits >> c & 1]
        if only:
            shown = ", ".join(only[:10]) + (", …" if len(only) > 10 else "")  # noqa: PLR2004
            issues.append(Issue.of(Code.SPLIT_CLASS_MISSING, f"classes {message}: {shown}", count=len(only)))
    return issues
