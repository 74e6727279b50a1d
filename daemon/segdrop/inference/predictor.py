"""From images to predictions at their full size: windows in batches through the model, and a class for each pixel."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Literal, overload

import numpy as np
import numpy.typing as npt
import torch

from segdrop.codes import Code
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.errors import DataError, Issue
from segdrop.inference.decision import Decision, Say, Views
from segdrop.inference.descriptor import describe
from segdrop.inference.prediction import Prediction
from segdrop.inference.tiling import Axis, Plan, Stretch, Tile, plan
from segdrop.modeling.segmenters.protocol import Segmenter

#: Images that are looked at together, so that those of one size can be batched, and their size, at most.
_MOST_IMAGES = 8
_MOST_IMAGE_BYTES = 16 << 20
#: Size of a batch at most, in pixels of the model's input. More on a CPU is not faster.
_MOST_BATCH_PIXELS = 1 << 20
#: Lowest logit: the probability is 0 all the same, and a mean with minus infinity is none.
_LOWEST_LOGIT = -1e4


class Predictor:
    """Predicts images of any size with a model.

    ``tile`` is how large images are seen (see :func:`segdrop.inference.tiling.plan`). ``tta`` (test-time augmentation)
    ``flip`` takes the mean of the probabilities with those of the mirror image, and twice the time.
    """

    def __init__(self, segmenter: Segmenter, *, tile: Tile = "auto", tta: Literal["none", "flip"] = "none") -> None:
        self._segmenter = segmenter
        self._tile = tile
        self._is_mirrored = tta == "flip"

    @overload
    def predictions(self, items: Iterable[Item]) -> Iterator[Prediction]: ...

    @overload
    def predictions(self, items: Iterable[Item | SkippedItem]) -> Iterator[Prediction | SkippedItem]: ...

    def predictions(self, items: Iterable[Item | SkippedItem]) -> Iterator[Prediction | SkippedItem]:
        """Yields the predictions of images, in their order; what is skipped comes back in its place.

        Up to eight images, and up to 16 MB of them or one, are taken before the first is predicted. Raises
        ``DataError`` (``inference.not_finite``) where the model's outputs are no numbers.
        """
        for group in _groups(items):
            yield from self._predicted(group)

    def _predicted(self, group: Sequence[Item | SkippedItem]) -> list[Prediction | SkippedItem]:
        results: dict[int, Prediction] = {}
        by_size: dict[tuple[int, int], list[tuple[int, Item, Plan]]] = {}
        for place, item in enumerate(group):
            if isinstance(item, Item):
                planned = self._plan(item)
                by_size.setdefault(planned.input_size, []).append((place, item, planned))
        for (height, width), alike in by_size.items():
            views = self._views(alike, max(1, min(_MOST_IMAGES, _MOST_BATCH_PIXELS // (height * width))))
            for place, item, planned in alike:
                results[place] = self._decided(item, planned, views)
        return [results[place] if isinstance(item, Item) else item for place, item in enumerate(group)]

    def _plan(self, item: Item) -> Plan:
        height, width = item.image.shape[:2]
        return plan(height, width, self._tile, self._segmenter.input_size, self._segmenter.side_multiple)

    def _views(self, alike: Sequence[tuple[int, Item, Plan]], batch_size: int) -> Iterator[Views]:
        """Yields what the model says about each window of several images, whose windows have one input size."""
        windows = (
            (window, planned.rows.side, planned.columns.side)
            for _, item, planned in alike
            for window in planned.windows(item.image)
        )
        while batch := list(islice(windows, batch_size)):
            images = np.stack([window for window, _, _ in batch])
            logits = [self._logits(images)]
            if self._is_mirrored:
                logits.append(self._logits(np.ascontiguousarray(images[:, :, ::-1])).flip(-1))
            for number, (_, height, width) in enumerate(batch):
                yield Views.of([view[number] for view in logits], height, width)

    def _logits(self, images: npt.NDArray[np.uint8]) -> torch.Tensor:
        """Returns the logits (N, C, h, w) float32 of images (N, H, W, 3), on the CPU and plane by plane."""
        logits = self._segmenter.logits(images).to("cpu", torch.float32)
        if not bool(logits.amax().isfinite()):  # NaN is passed on by a maximum
            message = "the model's outputs are infinite or not numbers"
            raise DataError([Issue.of(Code.INFERENCE_NOT_FINITE, message)])
        return logits.contiguous().clamp(min=_LOWEST_LOGIT)

    @torch.inference_mode()
    def _decided(self, item: Item, planned: Plan, views: Iterator[Views]) -> Prediction:
        """Returns the prediction of an image, from what the next of the views say about its windows."""
        height, width = item.image.shape[:2]
        decision = Decision(height, width, len(self._segmenter.classes))
        held: dict[tuple[int, int], Views] = {}
        for row, column in planned.places():
            held[row, column] = next(views)
            for rows in planned.rows.stretches(row):
                for columns in planned.columns.stretches(column):
                    decision.decide(rows, columns, _says(planned, held, rows, columns))
            _forget(held, planned, row, column)
        return Prediction(
            item=item,
            class_ids=decision.class_ids,
            confidence=decision.confidence,
            doubt=decision.doubt,
            descriptor=describe(decision.quarters, item.image),
        )


def _groups(items: Iterable[Item | SkippedItem]) -> Iterator[list[Item | SkippedItem]]:
    """Yields items in groups, bounded in number and in bytes."""
    group: list[Item | SkippedItem] = []
    size = 0
    for item in items:
        group.append(item)
        size += item.image.nbytes if isinstance(item, Item) else 0
        if len(group) == _MOST_IMAGES or size >= _MOST_IMAGE_BYTES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _says(planned: Plan, held: dict[tuple[int, int], Views], rows: Stretch, columns: Stretch) -> list[Say]:
    """Returns the windows that decide about a part of an image."""
    tops, lefts = planned.rows.starts, planned.columns.starts
    return [
        Say(held[down.window, right.window], tops[down.window], lefts[right.window], down.weights, right.weights)
        for down in rows.shares
        for right in columns.shares
    ]


def _forget(held: dict[tuple[int, int], Views], planned: Plan, row: int, column: int) -> None:
    """Forgets what no later window decides with: of a line of windows, only the lower ends are kept for the next.

    ``row`` and ``column`` are the place of the window that was decided with last.
    """
    is_last = column + 1 == len(planned.columns.starts)
    done = [place for place in (column - 1, column if is_last else -1) if place >= 0]
    for place in done:
        held.pop((row - 1, place), None)
        if row + 1 == len(planned.rows.starts):
            held.pop((row, place))
        else:
            held[row, place] = _lower_end(held[row, place], planned.rows, row)


def _lower_end(views: Views, rows: Axis, row: int) -> Views:
    fade = rows.fade(row + 1)
    return views.only(fade.begin - rows.starts[row], fade.end - rows.starts[row])
