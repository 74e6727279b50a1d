"""The journal: a line for each image whose files are there, or that was left out. An interrupted prediction goes on
from it.

A line is written after the files that it tells of, so a killed process costs nothing but the image at hand. Half a
line, as it leaves it at the end, tells of nothing. All of them are on the disk before the next ``SYNC_SECONDS`` begin.
Until then the kernel writes in any order, and a power cut may leave a line without its files. So a file beside the
journal says how much of it was on the disk with its files, and since which start of the machine: after another start,
no line beyond that is believed, and those seconds of work are done again.
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
from segdrop.record import Record

SYNC_SECONDS = 10.0
#: Another one at each start of the machine: random(4).
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_LINE: TypeAdapter[ImageRecord | SkippedRecord] = TypeAdapter(ImageRecord | SkippedRecord)


class Synced(Record):
    """How much of a journal is on the disk together with the files that it tells of."""

    boot: str  #: the start of the machine since which all of the journal was written; empty where it cannot be told
    size: int  #: bytes of the journal


def _boot() -> str:
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return ""


class Journal:
    """The records of the images that are done, in the order of the input."""

    def __init__(
        self, path: Path, *, clock: Callable[[], float] = time.monotonic, sync: Callable[[], None] = os.sync
    ) -> None:
        """Opens the journal at ``path``, or begins it. ``sync`` makes durable what was written before, files too."""
        self._path = path
        self._synced_path = path.with_name(f"{path.name}.synced")
        self._clock = clock
        self._sync_all = sync
        self.next_index = 0  #: of the first image that is not done
        self.count = 0  #: number of images that are done, those that were left out among them
        synced = self._read_synced()
        size = self._read_whole_lines(None if synced.boot == _boot() else synced.size)
        self._stream = path.open("r+b") if path.exists() else path.open("w+b")
        self._stream.truncate(size)
        self._stream.seek(size)
        self._note_synced(min(size, synced.size))
        self._synced_at = clock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stream.close()

    def _read_whole_lines(self, believed: int | None) -> int:
        """Takes note of the records in the first ``believed`` bytes, or in all; returns the size of their lines."""
        size = 0
        if self._path.exists():
            with self._path.open("rb") as stream:
                for line in stream:
                    if not line.endswith(b"\n") or (believed is not None and size + len(line) > believed):
                        break
                    self._note(_LINE.validate_json(line))
                    size += len(line)
        return size

    def _read_synced(self) -> Synced:
        """Returns what is on the disk for certain: nothing of a journal that is only begun."""
        return Synced.load(self._synced_path) if self._synced_path.exists() else Synced(boot=_boot(), size=0)

    def _note_synced(self, size: int) -> None:
        durable.write_json(self._synced_path, Synced(boot=_boot(), size=size).to_json())

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
        self._note_synced(self._stream.tell())
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
