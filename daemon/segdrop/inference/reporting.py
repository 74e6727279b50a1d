"""The progress file of a prediction or an evaluation, replaced at most once a second, with the time that is left."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from segdrop import child_runtime, durable
from segdrop.answers import InferenceProgress

_INTERVAL_SECONDS = 1.0


class Reporter:
    """Counts the images of this process, and writes ``path``. Its numbers are of images, or of frames of a video."""

    def __init__(
        self,
        path: Path,
        stage: Literal["predict", "evaluate"],
        total: int | None,
        done_before: int,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``total`` is how many there are, as the input promises; ``done_before`` were done by earlier processes."""
        self._path = path
        self._stage = stage
        self._total = total
        self._clock = clock
        self._done_before = self._done = done_before
        self._started_at: float | None = None
        self._written_at: float | None = None

    @property
    def images_per_second(self) -> float | None:
        """Images that this process predicts in a second; ``None`` before its second one: the first is slower."""
        count = self._done - self._done_before - 1
        if self._started_at is None or count < 1:
            return None
        return count / max(self._clock() - self._started_at, 1e-9)

    def image_done(self) -> None:
        """Takes note that another image is done."""
        self._done += 1
        if self._started_at is None:
            self._started_at = self._clock()
        self.tick()

    def tick(self) -> None:
        """Writes the file, unless that was done less than a second ago. It is cheap, and to be called often."""
        now = self._clock()
        if self._written_at is not None and now - self._written_at < _INTERVAL_SECONDS:
            return
        self._written_at = now
        durable.replace_quickly(self._path, self._progress().model_dump_json().encode())

    def _progress(self) -> InferenceProgress:
        speed = self.images_per_second
        left = max(0, self._total - self._done) if self._total is not None else None
        return InferenceProgress(
            stage=self._stage,
            done=self._done,
            total=None if self._total is None else max(self._total, self._done),
            images_per_second=None if speed is None else round(speed, 3),
            eta_seconds=round(left / speed, 1) if speed and left is not None else None,
            rss_bytes=child_runtime.rss_bytes(),
        )
