"""Batches from the cache: which images, in which order, changed how. The same for the same seed, at any step.

The order depends on (seed, epoch) and every image's change on (seed, epoch, position) alone, so that a resumed
run sees what an uninterrupted one would have seen. Nothing is kept between batches: memory does not grow with the
dataset.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segdrop.architectures import InputLimits
from segdrop.dataset.cache import CacheReader
from segdrop.modeling.normalize import to_input
from segdrop.training.transforms import Transform, shrunk

#: keeps the streams of random numbers for the order, the changes and torch apart
_ORDER, _CHANGE, _STEP = range(3)


@dataclass(frozen=True, slots=True)
class Batch:
    """The images and masks of one step."""

    images: Tensor  # (N, 3, H, W) float32, normalised, channels_last
    masks: Tensor  # (N, H, W) int64, class ids or IGNORE


@dataclass(frozen=True, slots=True)
class TrainingData:
    """The training split as batches, none smaller than the architecture takes."""

    reader: CacheReader
    positions: Sequence[int]
    batch_size: int
    seed: int
    transform: Transform
    limits: InputLimits

    @property
    def steps_per_epoch(self) -> int:
        """Number of batches in an epoch."""
        return math.ceil(len(self.positions) / self.batch_size)

    def order(self, epoch: int) -> list[int]:
        """Returns the positions of an epoch in their order, each once."""
        random = np.random.default_rng([_ORDER, self.seed, epoch])
        return [self.positions[index] for index in random.permutation(len(self.positions))]

    def batches(self, epoch: int, first_step: int = 0, steps: int | None = None, scale: float = 1.0) -> Iterator[Batch]:
        """Yields the batches of an epoch from ``first_step`` on, up to ``steps`` in all or the end of the epoch.

        With a ``scale`` below 1, images and masks are so much smaller: ``transforms.scaled``.
        """
        order = self.order(epoch)
        for step in range(first_step, self.steps_per_epoch if steps is None else steps):
            # one expression: arrays in local variables here would live on beside the next batch's
            yield self._batch(self._chosen(order, step * self.batch_size, self.batch_size), epoch, scale)

    def _batch(self, chosen: list[int], epoch: int, scale: float) -> Batch:
        images, masks = self.reader.images(chosen), self.reader.masks(chosen)
        for row, position in enumerate(chosen):
            occurrence = chosen[:row].count(position)
            random = np.random.default_rng([_CHANGE, self.seed, epoch, position, occurrence])
            images[row], masks[row] = self.transform(images[row], masks[row], random)
        if scale != 1:
            images, masks = shrunk(images, masks, scale, self.limits)
        return Batch(to_input(images), torch.from_numpy(masks).long())

    def _chosen(self, order: list[int], start: int, batch_size: int) -> list[int]:
        """Returns the positions of a batch. One that is too small gets the next ones too, from the start again."""
        chosen = order[start : start + batch_size]
        while len(chosen) < self.limits.least_batch:
            chosen.append(order[(start + len(chosen)) % len(order)])
        return chosen

    def sample(self, limit: int) -> Iterator[Tensor]:
        """Yields up to ``limit`` unchanged training images, a fixed choice, in batches (N, 3, H, W)."""
        order, batch_size = self.order(epoch=0)[:limit], max(self.batch_size, self.limits.least_batch)
        for start in range(0, len(order), batch_size):
            yield to_input(self.reader.images(self._chosen(order, start, batch_size)))

    def seed_step(self, epoch: int, step: int) -> None:
        """Seeds torch for one step (dropout), so that it does not depend on the steps before."""
        (value,) = np.random.SeedSequence([_STEP, self.seed, epoch, step]).generate_state(1, np.uint64)
        torch.manual_seed(int(value))
