"""What the run tells while it goes on: the progress file, at most once a second, with the time that is left."""

import json
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segdrop import durable

_INTERVAL_SECONDS = 1.0
#: a validation image costs about a third of a training image: no backward pass, no optimizer
_VALIDATION_COST = 1 / 3


class Reporter:
    """Counts images and seconds of this process, and writes ``progress_path``.

    A resumed run estimates from its own speed only: the machine may be another, or busier, than before.
    """

    def __init__(
        self,
        path: Path,
        *,
        epochs: int,
        steps_per_epoch: int,
        validation_images: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._epochs = epochs
        self._steps_per_epoch = steps_per_epoch
        self._validation_images = validation_images
        self._clock = clock
        self._last_write: float | None = None
        self._steps = self._images = 0
        self._seconds = 0.0
        self._validation_seconds: float | None = None
        self._epoch = self._step = 0
        self._loss: float | None = None
        self.best_mean_iou: float | None = None

    @property
    def images_per_second(self) -> float:
        return self._images / self._seconds if self._seconds else 0.0

    def position(self, epoch: int, step: int) -> None:
        """Where the run begins or goes on: ``step`` of ``epoch`` comes next."""
        self._epoch, self._step = epoch, step
        self.tick()

    def step_finished(self, epoch: int, step: int, loss: float, images: int, seconds: float) -> None:
        """``step`` steps of ``epoch`` are done, the last with ``images`` images in ``seconds``."""
        self._steps, self._images = self._steps + 1, self._images + images
        self._seconds += seconds
        self._loss = loss
        self.position(epoch, step)

    def validated(self, seconds: float) -> None:
        self._validation_seconds = seconds

    def tick(self) -> None:
        """Write the file unless that was less than a second ago. Cheap: call it often."""
        now = self._clock()
        if self._last_write is not None and now - self._last_write < _INTERVAL_SECONDS:
            return
        self._last_write = now
        durable.replace_quickly(self._path, json.dumps(self._state()).encode())

    def _state(self) -> dict[str, Any]:
        done = self._epoch * self._steps_per_epoch + self._step
        return {
            "stage": "train",
            "epoch": min(self._epoch + 1, self._epochs),
            "epochs": self._epochs,
            "step": done,
            "steps": self._epochs * self._steps_per_epoch,
            "loss": None if self._loss is None else round(self._loss, 6),
            "mean_iou": self.best_mean_iou,
            "images_per_second": round(self.images_per_second, 3) if self._steps else None,
            "eta_seconds": self._eta_seconds(done),
            "rss_bytes": _rss_bytes(),
        }

    def _eta_seconds(self, steps_done: int) -> float | None:
        """Steps and validations that are left, at the speed so far; None before the first step."""
        if not self._steps:
            return None
        steps = self._epochs * self._steps_per_epoch - steps_done
        validations = self._epochs - self._epoch
        validation = self._validation_seconds
        if validation is None:
            validation = _VALIDATION_COST * self._validation_images / max(self.images_per_second, 1e-9)
        return round(steps * self._seconds / self._steps + validations * validation, 1)


def _rss_bytes() -> int | None:
    """Resident memory now (proc(5), statm: the second number, in pages); None where there is no /proc."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
    except OSError:
        return None
    return int(pages) * resource.getpagesize()
