"""The child's side of decoding: it opens an input, and hands its images over in the memory of a few slots.

What is told is :mod:`segdrop.dataset.unlabelled.messages`; a slot is free again once its number comes back.
"""

import os
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Self

import numpy as np

from segdrop import child_runtime, environment
from segdrop.dataset.pair_items import PairItems
from segdrop.dataset.unlabelled import messages
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.source import Source
from segdrop.dataset.unlabelled.sources import open_source
from segdrop.errors import CorruptError, DeferredError, StoppedError
from segdrop.input_kinds import InputKind
from segdrop.regular_files import NotRegularError
from segdrop.spec import DecodeSpec

#: Processor time for one image, or for one frame with what it rests on. The largest images that are allowed take a few
#: seconds; what takes minutes is made to. The number of images is limited elsewhere.
ITEM_CPU_SECONDS = 120


def decode(spec: DecodeSpec, stop: child_runtime.StopFlag) -> None:
    """Decodes an input to its end, or until the parent goes.

    Raises DataError where the input cannot be read, OSError, and StoppedError once the process was asked to stop.
    """
    with _lines() as (orders, answers):
        child_runtime.allow_cpu(ITEM_CPU_SECONDS)
        with _source(spec) as source, _Slots(spec, orders) as slots:
            answers.write(messages.written(messages.Opened(count=source.count)))
            for item in source.items(spec.start, lambda index, name: _begin(answers, index, name)):
                if stop:
                    raise StoppedError
                _hand_over(item, slots, answers)
            answers.write(messages.written(messages.Ended(issues=tuple(source.issues()))))


def _source(spec: DecodeSpec) -> Source:
    """Opens the input. Raises CorruptError where it is gone or no file any more: it belongs to the job."""
    try:
        return _opened(spec)
    except OSError as error:
        if environment.is_misplaced(error) or isinstance(error, NotRegularError):
            raise CorruptError(f"{spec.name}: {error.strerror}") from error
        raise


def _opened(spec: DecodeSpec) -> Source:
    if spec.kind is InputKind.PAIRS:
        return PairItems(spec.input_path, spec.limits, spec.deep_range)
    return open_source(spec.input_path, spec.name, spec.kind, spec.limits, spec.deep_range)


def _begin(answers: BinaryIO, index: int, name: str) -> None:
    """Tells that an image is begun, and gives it its processor time."""
    answers.write(messages.written(messages.Begun(index=index, name=name)))
    child_runtime.allow_cpu(ITEM_CPU_SECONDS)


def _hand_over(item: Item | SkippedItem, slots: "_Slots", answers: BinaryIO) -> None:
    if isinstance(item, SkippedItem):
        answers.write(messages.written(messages.Skipped(index=item.index, name=item.name, issue=item.issue)))
        return
    height, width, _ = item.image.shape
    message = messages.Decoded(
        index=item.index,
        name=item.name,
        stem=item.stem,
        slot=slots.put(item),
        height=height,
        width=width,
        has_truth=item.truth is not None,
        seconds=item.seconds,
    )
    answers.write(messages.written(message))


class _Slots:
    """The files that pixels are handed over in. Each belongs to one image at a time."""

    def __init__(self, spec: DecodeSpec, orders: BinaryIO) -> None:
        self._orders = orders
        self._files = [_opened_slot(path) for path in spec.memory_paths]
        self._free = deque(range(len(self._files)))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for file in self._files:
            os.close(file)

    def put(self, item: Item) -> int:
        """Writes the pixels of an image, once a slot is free, and returns the slot's number.

        Raises StoppedError where the parent has closed the pipe.
        """
        while not self._free:
            line = self._orders.readline()
            if not line:
                raise StoppedError
            self._free.append(int(line))
        slot = self._free.popleft()
        position = 0
        for plane in (item.image, item.truth):
            if plane is not None:
                position = _write_all(self._files[slot], np.ascontiguousarray(plane, np.uint8).data.cast("B"), position)
        return slot


def _opened_slot(path: Path) -> int:
    """Returns a descriptor of the memory of a slot. Raises DeferredError where the machine does not give it away."""
    try:
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except OSError as error:
        message = f"{path}, the memory that images are handed over in: {error.strerror}; is /proc mounted?"
        raise DeferredError(environment.unknown(message)) from error


def _write_all(file: int, content: memoryview, position: int) -> int:
    """Writes at a position, and returns the one behind."""
    while content:
        count = os.pwrite(file, content, position)
        content, position = content[count:], position + count
    return position


@contextmanager
def _lines() -> Iterator[tuple[BinaryIO, BinaryIO]]:
    """Yields standard input and output for messages. Whatever else is printed meanwhile goes to standard error."""
    sys.stdout.flush()
    own = os.dup(1)
    os.dup2(2, 1)
    try:
        with os.fdopen(own, "wb", buffering=0) as answers, os.fdopen(os.dup(0), "rb") as orders:
            yield orders, answers
    except BrokenPipeError:  # nobody reads any more
        raise StoppedError from None
