"""Decoding, prediction and writing at the same time, for any number of images in the same memory.

Images are decoded ahead by the process that they come from, the model predicts in the thread that asks for results, and
another one writes: torch and Pillow's encoders let go of Python's lock. Results come in the order of the input, each
when all of its files are written, so that a journal can tell of them one after the other.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.inference.prediction import Prediction
from segdrop.inference.predictor import Predictor

Written = TypeVar("Written")

#: Predictions that wait to be written or are being written: in number and, beyond the first one, in bytes.
_MOST_WAITING = 16
_MOST_WAITING_BYTES = 256 << 20


def run(
    items: Iterable[Item | SkippedItem],
    predictor: Predictor,
    write: Callable[[Prediction], Written],
    *,
    writers: int = 1,
) -> Iterator[Written | SkippedItem]:
    """Yields what ``write`` returns of each image's prediction, in the order of the images.

    ``items`` are asked for in the thread of the caller, and skipped ones come back in their place. ``write`` is called
    in another thread, in the order of the images. With more ``writers`` it is called for so many images at once, which
    outputs have to allow: a video is written frame after frame.

    An exception of ``items`` or of the predictor is raised after the results of all images before it that were
    predicted. One of ``write`` is raised in the place of its image's result. When the iterator is closed, or an
    exception was raised, no ``write`` is running any more, and none that had not begun will begin.
    """
    with _Writing(write, writers) as writing:
        results = predictor.predictions(items)
        while True:
            try:
                result = next(results, None)
            except Exception:
                yield from writing.all()
                raise
            if result is None:
                break
            writing.add(result)
            yield from writing.ready()
        yield from writing.all()


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Written]):
    """A result that is on its way."""

    future: Future[Written | SkippedItem]
    num_bytes: int


@dataclass(slots=True)
class _Writing(Generic[Written]):
    """The predictions that are being written, in their order."""

    write: Callable[[Prediction], Written]
    writers: int
    _waiting: deque[_Waiting[Written]] = field(default_factory=deque)
    _pool: ThreadPoolExecutor = field(init=False)

    def __enter__(self) -> "_Writing[Written]":
        self._pool = ThreadPoolExecutor(self.writers, "write")
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def add(self, result: Prediction | SkippedItem) -> None:
        """Lets a prediction be written; what is skipped is done at once."""
        if isinstance(result, SkippedItem):
            done: Future[Written | SkippedItem] = Future()
            done.set_result(result)
            self._waiting.append(_Waiting(done, 0))
        else:
            num_bytes = result.item.image.nbytes + result.class_ids.nbytes + result.confidence.nbytes
            self._waiting.append(_Waiting(self._pool.submit(self.write, result), num_bytes))

    def ready(self) -> Iterator[Written | SkippedItem]:
        """Yields the results that are there, and waits for the next one while too many are on their way."""
        while self._waiting and (self._waiting[0].future.done() or self._is_full()):
            yield self._waiting.popleft().future.result()

    def all(self) -> Iterator[Written | SkippedItem]:
        """Waits for all results, and yields them."""
        while self._waiting:
            yield self._waiting.popleft().future.result()

    def _is_full(self) -> bool:
        size = sum(waiting.num_bytes for waiting in self._waiting)
        return len(self._waiting) > _MOST_WAITING or (len(self._waiting) > 1 and size > _MOST_WAITING_BYTES)
