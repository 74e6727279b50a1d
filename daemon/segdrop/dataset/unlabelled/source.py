"""What a source of images is, whatever kind of file they come in."""

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Protocol, Self

from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.errors import Issue

#: Told the index and the name of each image before it is decoded, also of one that is decoded only for the later ones.
Begin = Callable[[int, str], None]


def untold(index: int, name: str) -> None:
    """Tells nobody that an image is begun."""


class Source(Protocol):
    """An open input. Opening it raises ``DataError`` where nothing of it can be read, and ``OSError``."""

    @property
    def count(self) -> int | None:
        """Number of images, readable or not, as the input promises; None where it promises nothing."""

    def items(self, start: int = 0, begin: Begin = untold) -> Iterator[Item | SkippedItem]:
        """Yields the images from index ``start`` on, in order, and in place of one that cannot be read, why.

        Raises ``DataError`` where the rest of the input cannot be read at all.
        """

    def issues(self) -> list[Issue]:
        """Returns what reading the images has shown besides, and no survey says; complete after the last of them."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...
