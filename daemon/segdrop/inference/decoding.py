"""The images of an input, decoded in a child of its own that touches no torch, ahead of the model.

A crash of the decoder costs the image that it crashed on and no other: the child is started again behind it. Two
images are decoded ahead, so that the model need not wait.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from segdrop import durable, logs
from segdrop.child_runtime import BEGUN_NAME
from segdrop.codes import Code, Severity
from segdrop.dataset.unlabelled import messages
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.environment import unknown
from segdrop.errors import CorruptError, DataError, DeferredError, InstallationError, Issue, StoppedError
from segdrop.execution import outcome
from segdrop.execution.outcome import Ending
from segdrop.execution.output import last_words, tail
from segdrop.execution.piped import PipedChild
from segdrop.execution.runner import Cause, Command, End
from segdrop.input_kinds import InputKind
from segdrop.spec import DecodeOrder, DecodeSpec

NUM_SLOTS = 3
#: Time for one image while the model waits for it, and until the first one is begun, on a machine that has other things
#: to do as well.
ITEM_SECONDS = OPENING_SECONDS = 900.0
#: The child is started so often for one image, before that is left out.
_MAX_DEATHS = 2
#: The decoder dies of single images, and not of ten in a row: then something else is wrong.
_MAX_LOST_IN_A_ROW = 10
#: memory of a slot that is kept for the next image; a larger one is given back
_KEPT_BYTES = 1 << 25
_CHANNELS = 3


class Decoder:
    """The images of one input, in order. It is a context manager: at its end the child is gone.

    The arrays of an item are its receiver's own. All of it has to be used in the thread that enters it, which has to
    live as long: the kernel ends the child with that thread.
    """

    def __init__(
        self,
        order: DecodeOrder,
        folder: Path,
        log_path: Path,
        *,
        item_seconds: float = ITEM_SECONDS,
        module: str = "segdrop.dataset",
    ) -> None:
        """``folder`` is for the files that parent and child exchange, and no one else's; it is made where it is not
        there. The child's log lines are appended to ``log_path``.
        """
        self._order, self._folder, self._item_seconds = order, folder, item_seconds
        self._command = Command(module, ("decode", str(folder / "spec.json")), log_path, "decode", one_thread=True)
        self._slots: list[int] = []
        self._child: PipedChild | None = None
        self._next = order.start  #: index of the first image that was not given yet
        self._begun: messages.Begun | None = None
        self._suspect: messages.Begun | None = None  #: the image that the last child has died of
        self._deaths = self._num_lost = 0
        self._is_open = self._is_over = False
        self.count: int | None = None
        self.issues: list[Issue] = []

    def __enter__(self) -> Self:
        """Starts the child, and does not wait for it.

        Raises InstallationError where there is no interpreter, and OSError where there is no room for another process.
        """
        durable.ensure_dir(self._folder)
        self._slots = [_shared_file() for _ in range(NUM_SLOTS)]
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._child is not None:
            self._child.kill()
            self._child = None
        for slot in self._slots:
            os.close(slot)
        self._slots.clear()

    @property
    def pid(self) -> int | None:
        """Process id of the child that is at work, for the log."""
        return self._child.child.popen.pid if self._child is not None else None

    def wait_until_open(self) -> None:
        """Waits until ``count`` is known: the number of images, as the input promises; None where it promises none.

        Raises what iterating does.
        """
        while not self._is_open:
            message = self._receive()
            if isinstance(message, messages.Opened):
                self._is_open, self.count = True, message.count

    def __iter__(self) -> Iterator[Item | SkippedItem]:
        """Yields the images, and what is said of those that cannot be read. At the end, ``issues`` are complete.

        Raises DataError where the rest of the input cannot be read, DeferredError where the environment stands in the
        way, InstallationError where the child cannot begin, CorruptError where a file of the job is gone, and
        StoppedError where somebody has asked the child to stop.
        """
        self.wait_until_open()
        while not self._is_over:
            match message := self._receive():
                case messages.Begun():
                    self._begun = message
                case messages.Decoded():
                    item = self._taken(message)
                    self._passed(message.index)
                    self._num_lost = 0
                    yield item
                case messages.Skipped():
                    self._passed(message.index)
                    yield SkippedItem(message.index, message.name, message.issue)
                case messages.Ended():
                    self.issues += message.issues
                    self._is_over = True
                case SkippedItem():
                    yield message

    def _receive(self) -> messages.Message | SkippedItem | None:
        """Returns the child's next message. Where the child has died, what is left out for it, or None; then another
        one is at work.
        """
        child = self._child
        if child is None:
            raise RuntimeError("the decoder was not entered, or has ended with an error")
        patience_seconds = self._item_seconds if self._begun is not None else OPENING_SECONDS
        try:
            line = child.receive(patience_seconds)
            if line:
                return messages.read(line)
        except TimeoutError:
            return self._killed(child, f"took more than {patience_seconds:g} s")
        except ValueError:
            return self._killed(child, "answered what cannot be understood")
        self._child = None
        return self._ended(child.ended())

    def _killed(self, child: PipedChild, why: str) -> SkippedItem | None:
        """Ends a child with which nothing can be done any more."""
        self._child = None
        child.kill()
        return self._died(why)

    def _start(self) -> None:
        """Starts a child at the first image that is wanted and was not given."""
        for stale in (self._error_path, self._folder / BEGUN_NAME):
            stale.unlink(missing_ok=True)
        for slot in self._slots:
            os.ftruncate(slot, 0)
        told = self._order.model_dump(exclude={"start"}) | {"start": self._next}
        paths = [Path(f"/dev/fd/{slot}") for slot in self._slots]
        spec = DecodeSpec.model_validate(told | {"memory_paths": paths, "error_path": self._error_path})
        durable.write_json(self._folder / "spec.json", spec.dump(self._folder, self._folder))
        self._begun = None
        self._child = PipedChild.start(self._command, tuple(self._slots))

    @property
    def _error_path(self) -> Path:
        return self._folder / "error.json"

    def _passed(self, index: int) -> None:
        self._next, self._begun, self._suspect, self._deaths = index + 1, None, None, 0

    def _taken(self, message: messages.Decoded) -> Item:
        """Returns the image in a slot, which is free then."""
        slot = self._slots[message.slot]
        size = message.height, message.width
        image = np.empty((*size, _CHANNELS), np.uint8)
        _read_into(slot, image, 0)
        truth = np.empty(size, np.uint8) if message.has_truth else None
        if truth is not None:
            _read_into(slot, truth, image.nbytes)
        if image.nbytes > _KEPT_BYTES:
            os.ftruncate(slot, 0)
        if self._child is not None:
            self._child.send(b"%d\n" % message.slot)
        return Item(message.index, message.name, message.stem, image, truth, message.seconds)

    def _ended(self, end: End) -> SkippedItem | None:
        """Reads the end of a child that has not told of the input's."""
        error_file = self._error_path.read_bytes() if self._error_path.exists() else None
        result = outcome.read(
            end.status,
            answered=False,
            begun=(self._folder / BEGUN_NAME).exists(),
            error_file=error_file,
            last_words=last_words(tail(self._command.log_path)),
        )
        match result.ending:
            case Ending.DATA_FAULT:
                raise DataError(list(result.issues))
            case Ending.ENVIRONMENT:
                raise DeferredError(result.fault or unknown(result.detail))
            case Ending.INSTALLATION:
                raise InstallationError("decode", result.detail)
            case Ending.CORRUPT:
                raise CorruptError(result.detail)
            case Ending.STOPPED:
                raise StoppedError
        return self._died("was ended for want of memory" if end.cause is Cause.OUT_OF_MEMORY else result.detail)

    def _died(self, how: str) -> SkippedItem | None:
        """Starts the child again: once for the image that it died of, then behind that, which is left out.

        A video has no "behind": its frames rest on the earlier ones. Raises DataError where nothing is to be had.
        """
        self._deaths += 1
        begun = {"file": self._begun.name, "index": self._begun.index} if self._begun is not None else {}
        logs.get().warning("decoder.died", detail=how, times=self._deaths, **begun)
        self._suspect = self._begun or self._suspect
        if self._deaths < _MAX_DEATHS:
            self._start()
            return None
        if self._order.kind is InputKind.VIDEO and self._next:
            self.issues.append(self._issue(f"the decoder {how} at frame {self._next}; the rest was left out"))
            self._is_over = True
            return None
        return self._lost(how)

    def _lost(self, how: str) -> SkippedItem:
        """Goes on behind the image that the child has died of."""
        suspect = self._suspect
        self._num_lost += 1
        if suspect is None or self._order.kind is InputKind.VIDEO or self._num_lost > _MAX_LOST_IN_A_ROW:
            where = suspect.name if suspect is not None else "the beginning of the input"
            raise DataError([self._issue(f"the decoder {how}, {_MAX_DEATHS} times, at {where}", Severity.FAULT)])
        message = f"{suspect.name}: the decoder {how}, {_MAX_DEATHS} times; it was left out"
        self._passed(suspect.index)
        self._start()
        return SkippedItem(suspect.index, suspect.name, self._issue(message, name=suspect.name))

    def _issue(self, message: str, severity: Severity = Severity.WARNING, name: str | None = None) -> Issue:
        files = [name or self._order.name]
        return Issue.of(Code.INPUT_DECODER_DIED, message, files=files, severity=severity)


def _shared_file() -> int:
    """Returns the descriptor of a new file in memory, or on the disk where the system knows none in memory."""
    if hasattr(os, "memfd_create"):
        with contextlib.suppress(OSError):  # forbidden, in some sandboxes
            return os.memfd_create("segdrop-image")
    descriptor, path = tempfile.mkstemp()
    os.unlink(path)  # noqa: PTH108  (a text)
    return descriptor


def _read_into(file: int, array: npt.NDArray[np.uint8], position: int) -> None:
    """Fills an array with the bytes at a position. Raises ``ValueError`` where there are not so many."""
    content = array.data.cast("B")
    while content:
        count = os.preadv(file, [content], position)
        if not count:
            raise ValueError("the decoder has written fewer pixels than it says")
        content, position = content[count:], position + count
