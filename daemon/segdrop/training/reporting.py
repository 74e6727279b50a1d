"""The progress file of a training, replaced at most once a second, with the time that is left."""

import time
from collections.abc import Callable
from pathlib import Path

from segdrop import child_runtime, durable
from segdrop.answers import TrainProgress
from segdrop.training.timing.budget import Pace

_INTERVAL_SECONDS = 1.0


class Reporter:
    """Counts images and seconds of this process, and writes ``progress_path``."""

    def __init__(self, path: Path, pace: Pace, clock: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._pace = pace
        self._clock = clock
        self._last_write: float | None = None
        self._images = 0
        self._seconds = 0.0
        self._epoch = self._step = 0
        self._loss: float | None = None
        self.best_mean_iou: float | None = None

    @property
    def images_per_second(self) -> float | None:
        """Images that this process has trained on in a second; ``None`` before its first step."""
        return self._images / self._seconds if self._seconds else None

    def position(self, epoch: int, step: int) -> None:
        """Takes note that ``step`` of ``epoch`` comes next, both from 0."""
        self._epoch, self._step = epoch, step
        self.tick()

    def step_finished(self, epoch: int, step: int, loss: float, images: int, seconds: float) -> None:
        """Takes note that ``step`` steps of ``epoch`` are done, the last with ``images`` images in ``seconds``."""
        self._images += images
        self._seconds += seconds
        self._loss = loss
        self._pace.step_done(epoch, seconds)
        self.position(epoch, step)

    def tick(self) -> None:
        """Writes the file, unless that was done less than a second ago. It is cheap, and to be called often."""
        now = self._clock()
        if self._last_write is not None and now - self._last_write < _INTERVAL_SECONDS:
            return
        self._last_write = now
        durable.replace_quickly(self._path, self._progress().model_dump_json().encode())

    def _progress(self) -> TrainProgress:
        plan, speed, left = self._pace.plan, self.images_per_second, self._pace.seconds_left(self._epoch, self._step)
        return TrainProgress(
            stage="train",
            epoch=min(self._epoch + 1, plan.epochs),
            epochs=plan.epochs,
            step=self._epoch * plan.steps + self._step,
            steps=plan.epochs * plan.steps,
            loss=None if self._loss is None else round(self._loss, 6),
            mean_iou=self.best_mean_iou,
            images_per_second=None if speed is None else round(speed, 3),
            eta_seconds=None if left is None else round(left, 1),
            rss_bytes=child_runtime.rss_bytes(),
        )
