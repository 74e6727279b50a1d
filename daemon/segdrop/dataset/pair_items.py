"""The pairs that the check of an evaluation has left, in the canonical layout: each image with its truth.

The check has found them without fault and written them (``segdrop.dataset.convert``): masks hold class ids, and lie on
their images as these are displayed.
"""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from segdrop.codes import Code
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.masks import decode, image_reading
from segdrop.dataset.masks.deep_values import DeepRange
from segdrop.dataset.samples import is_image
from segdrop.dataset.unlabelled.image_files import skipped
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.source import Begin, untold
from segdrop.dataset.unlabelled.stems import readable, stems
from segdrop.errors import DataError, Issue
from segdrop.spec import Limits

_IMAGES, _MASKS = "images/", "masks/"


class PairItems:
    """The pairs of a ZIP in the canonical layout; a :class:`~segdrop.dataset.unlabelled.source.Source`.

    Items have truth: (H, W) uint8 class ids of the dataset, 255 where a pixel is ignored. Their names are those of the
    images without the folder ``images/``.
    """

    def __init__(self, path: Path, limits: Limits, deep_range: DeepRange | None = None) -> None:
        """Reads the directory. Raises DataError where that is at fault, and OSError."""
        decode.configure(limits.max_image_pixels)
        self._archive, self._deep_range = Archive(path, limits), deep_range
        self._members = {name: member for member, name in enumerate(self._archive.names)}
        self._images = [name for name in self._archive.names if is_image(name) and _IMAGES in _side_and_rest(name)]
        if not self._archive.is_safe:
            self._archive.__exit__(None, None, None)
            raise DataError(self._archive.issues)

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self._images)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._archive.__exit__(kind, error, traceback)

    def items(self, start: int = 0, begin: Begin = untold) -> Iterator[Item | SkippedItem]:
        """Yields the pairs in the order in which the check has written them."""
        names = [readable("".join(part for part in _side_and_rest(path) if part != _IMAGES)) for path in self._images]
        places = stems(names)
        for index in range(start, len(names)):
            begin(index, names[index])
            yield self._item(index, names[index], places[index])

    def _item(self, index: int, name: str, stem: str) -> Item | SkippedItem:
        try:
            content = self._archive.read(self._members[self._images[index]])
            image, _ = image_reading.read_whole(content, self._deep_range)
            return Item(index, name, stem, image, self._truth(self._images[index], image.shape[:2]))
        except (decode.DecodeError, MemberError) as error:
            return skipped(index, name, error)

    def _truth(self, image_path: str, size: tuple[int, ...]) -> decode.Bytes:
        """Returns the class ids for an image of a size (height, width)."""
        side, _, rest = _side_and_rest(image_path)
        path = f"{side}{_MASKS}{rest.rpartition('.')[0]}.png"
        if path not in self._members:
            raise decode.DecodeError(Code.PAIR_MISSING_MASK, "its mask is not there")
        with decode.opened(self._archive.read(self._members[path])) as mask:
            ids = np.asarray(mask)
        return decode.resize_nearest(ids, *size[:2]).astype(np.uint8, copy=False)

    def issues(self) -> list[Issue]:
        """Returns nothing: the check has said what there is to say of the dataset."""
        return []


def _side_and_rest(path: str) -> tuple[str, str, str]:
    """Returns the folder of the path's side of the split, ``images/`` if it is an image's, and the rest of the path."""
    side, found, rest = path.partition(_IMAGES)
    is_folder = found and (not side or (side.endswith("/") and side.count("/") == 1))
    return (side, found, rest) if is_folder else (path, "", "")
