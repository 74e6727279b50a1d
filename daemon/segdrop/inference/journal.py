"""The journal: a line for each image whose files are there, or that was left out. An interrupted prediction goes on
from it.

A line is written after the files that it tells of, and both are on the disk before the next ``SYNC_SECONDS`` begin; so
a power cut costs that much work, and a killed process nothing but the image at hand. Half a line, as a crash leaves it
at the end, tells of nothing.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import TypeAdapter

from segdrop import durable
from segdrop.inference.prediction import ImageRecord, SkippedRecord

SYNC_SECONDS = 10.0
_LINE: TypeAdapter[ImageRecord | SkippedRecord] = TypeAdapter(ImageRecord | SkippedRecord)


class Journal:
    """The records of the images that are done, in the order of the input."""

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.monotonic, sync: Callable[[], None] = os.sync
    ) -> None:
        """Opens the journal at ``path``, or begins it. ``sync`` makes durable what was written before, files too."""
        self._path = path
        self._clock = clock
        self._sync_all = sync
        self.next_index = 0  #: of the first image that is not done
        self.count = 0  #: number of images that are done, those that were left out among them
        self._size = self._read_whole_lines()
        self._stream = path.open("r+b") if path.exists() else path.open("w+b")
        self._stream.truncate(self._size)
        self._stream.seek(self._size)
        self._synced_at = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    def _read_whole_lines(self) -> int:
        """Takes note of the records that are there; returns the size in bytes of the lines that are whole."""
        size = 0
        if self._path.exists():
            with self._path.open("rb") as stream:
                for line in stream:
                    if not line.endswith(b"\n"):
                        break
                    self._note(_LINE.validate_json(line))
                    size += len(line)
        return size

    def _note(self, record: ImageRecord | SkippedRecord) -> None:
        self.next_index, self.count = record.index + 1, self.count + 1

    def append(self, record: ImageRecord | SkippedRecord) -> None:
        """Adds the record of an image whose files are written, or that is left out; makes all durable now and then."""
        self._stream.write(record.model_dump_json(exclude_none=True).encode() + b"\n")
        self._stream.flush()
        self._note(record)
        if self._clock() - self._synced_at >= SYNC_SECONDS:
            self.sync()

    def sync(self) -> None:
        """Makes everything durable that was written up to now: the files first, then the lines about them."""
        self._sync_all()
        durable.sync_file(self._path)
        durable.sync_dir(self._path.parent)
        self._synced_at = self._clock()

    def records(self) -> Iterator[ImageRecord]:
        """Yields the records of all images that are predicted, one at a time; may be called again."""
        return (record for record in self._lines() if isinstance(record, ImageRecord))

    def skipped(self) -> Iterator[SkippedRecord]:
        """Yields the images that were left out, one at a time; may be called again."""
        return (record for record in self._lines() if isinstance(record, SkippedRecord))

    def _lines(self) -> Iterator[ImageRecord | SkippedRecord]:
        self._stream.flush()
        with self._path.open("rb") as stream:
            for line in stream:
                yield _LINE.validate_json(line)
