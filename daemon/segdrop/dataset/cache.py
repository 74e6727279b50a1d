"""The cache: decoded images and masks as uint8 files that training reads by position instead of the ZIP.

Reading is ``pread`` into arrays and not a mapping, because mapped pages count as resident memory: a dataset larger than
the machine would look like a leak, and a memory limit would kill for it.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from segdrop import durable
from segdrop.dataset.report import CACHE_INDEX_NAME as INDEX_NAME
from segdrop.dataset.report import CacheIndex

IMAGES_NAME, MASKS_NAME = "images.u8", "masks.u8"

Bytes = npt.NDArray[np.uint8]


class CacheWriter:
    """Writes pairs in order. The cache exists once ``finish`` has returned: the index is written last.

    Masks are first written as codes (the number of a value, in order of appearance), because what values mean is known
    only after the last mask; ``map_masks`` then maps them in place.
    """

    def __init__(self, folder: Path, height: int, width: int) -> None:
        """``height`` and ``width`` are those of all images, in pixels."""
        self.folder = folder
        self._height, self._width = height, width
        self._count = 0
        durable.ensure_dir(folder)
        durable.remove(folder / INDEX_NAME)
        self._images = (folder / IMAGES_NAME).open("wb", buffering=0)
        self._masks = (folder / MASKS_NAME).open("w+b", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._images.close()
        self._masks.close()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of all images, in pixels."""
        return self._height, self._width

    def append(self, image: Bytes, mask_codes: Bytes) -> None:
        """Add a pair: image (height, width, 3) and mask (height, width), both uint8."""
        _write_all(self._images.fileno(), np.ascontiguousarray(image), self._count)
        _write_all(self._masks.fileno(), np.ascontiguousarray(mask_codes), self._count)
        self._count += 1

    def map_masks(self, class_ids: Bytes) -> None:
        """Replace every code by ``class_ids[code]`` (256 entries), one mask after the other."""
        for position in range(self._count):
            mask = class_ids[_read(self._masks.fileno(), position, (self._height, self._width))]
            _write_all(self._masks.fileno(), mask, position)

    def finish(self, index: CacheIndex) -> None:
        """Make the pixels durable, then the index that says they are there."""
        for name in (IMAGES_NAME, MASKS_NAME):
            durable.sync_file(self.folder / name)
        durable.write_json(self.folder / INDEX_NAME, index.model_dump(mode="json", exclude_none=True))


class CacheReader:
    """Reads batches by position. Every call reads from the files; nothing is kept but the index."""

    def __init__(self, folder: Path) -> None:
        """Open the cache in ``folder``. Raises OSError where it is not there."""
        self.index = CacheIndex.model_validate_json((folder / INDEX_NAME).read_bytes())
        self._images = os.open(folder / IMAGES_NAME, os.O_RDONLY | os.O_CLOEXEC)
        self._masks = os.open(folder / MASKS_NAME, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files."""
        os.close(self._images)
        os.close(self._masks)

    def images(self, positions: Sequence[int] | npt.NDArray[np.integer]) -> Bytes:
        """Returns images as (N, height, width, 3) uint8, RGB.

        Raises IndexError for a position that is not in the cache.
        """
        return self._batch(self._images, positions, (self.index.height, self.index.width, 3))

    def masks(self, positions: Sequence[int] | npt.NDArray[np.integer]) -> Bytes:
        """Returns class ids as (N, height, width) uint8, 255 where a pixel is left out."""
        return self._batch(self._masks, positions, (self.index.height, self.index.width))

    def _batch(
        self, descriptor: int, positions: Sequence[int] | npt.NDArray[np.integer], shape: tuple[int, ...]
    ) -> Bytes:
        batch = np.empty((len(positions), *shape), np.uint8)
        for row, position in zip(batch, positions, strict=True):
            if not 0 <= position < self.index.count:
                raise IndexError(f"position {position} in a cache of {self.index.count}")
            _read_into(descriptor, int(position), row)
        return batch


def _write_all(descriptor: int, block: Bytes, position: int) -> None:
    """Write a block at its place. A short write goes on: a full disk says so only at the next."""
    view = block.data.cast("B")
    offset = position * len(view)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view, offset = view[written:], offset + written


def _read(descriptor: int, position: int, shape: tuple[int, ...]) -> Bytes:
    """Returns the block at a position, uint8 in the given shape."""
    block = np.empty(shape, np.uint8)
    _read_into(descriptor, position, block)
    return block


def _read_into(descriptor: int, position: int, block: Bytes) -> None:
    """Fill a block from its place. Raises EOFError where the file ends before."""
    view = block.data.cast("B")
    offset = position * len(view)
    while view:
        received = os.preadv(descriptor, [view], offset)
        if not received:
            raise EOFError(f"the cache ends before position {position}")
        view, offset = view[received:], offset + received
