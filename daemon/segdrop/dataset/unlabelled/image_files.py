"""Images as files: one by itself, or many in a ZIP with its folders. They are decoded exactly as for training."""

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from segdrop import regular_files
from segdrop.codes import Code, Severity
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.image_tally import ImageTally
from segdrop.dataset.masks import decode, image_reading
from segdrop.dataset.masks.deep_values import DeepRange
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.names import image_members
from segdrop.dataset.unlabelled.source import Begin, untold
from segdrop.dataset.unlabelled.stems import readable, stems
from segdrop.errors import DataError, Issue
from segdrop.spec import Limits

_LEFT_OUT = "it was left out"


class ImageFile:
    """One image; a :class:`~segdrop.dataset.unlabelled.source.Source`."""

    count = 1

    def __init__(self, path: Path, name: str, limits: Limits, deep_range: DeepRange | None = None) -> None:
        """Reads the file. Raises DataError where it has more bytes than allowed, and OSError."""
        decode.configure(limits.max_image_pixels)
        self._name, self._deep_range, self._tally = readable(name), deep_range, ImageTally()
        self._content = whole_file(path, name, limits.max_member_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._content = b""

    def items(self, start: int = 0, begin: Begin = untold) -> Iterator[Item]:
        """Yields the image. Raises DataError where it cannot be decoded: there is no other."""
        if start:
            return
        begin(0, self._name)
        try:
            pixels, facts = image_reading.read_whole(self._content, self._deep_range)
        except decode.DecodeError as error:
            raise DataError([Issue.of(error.code, f"{self._name}: {error}", files=[self._name])]) from error
        self._tally.add(self._name, facts)
        yield Item(0, self._name, stems([self._name])[0], pixels)

    def issues(self) -> list[Issue]:
        """Returns what was not read as it stands: bands, pages, transparency."""
        return self._tally.issues()


class ImageArchive:
    """The images of a ZIP, by their names; a :class:`~segdrop.dataset.unlabelled.source.Source`.

    What operating systems leave behind is no file at all, as in a check. Other files are left out and counted.
    """

    def __init__(self, path: Path, limits: Limits, deep_range: DeepRange | None = None) -> None:
        """Reads the directory. Raises DataError where that is at fault or names no image, and OSError."""
        decode.configure(limits.max_image_pixels)
        self._archive, self._deep_range, self._tally = Archive(path, limits), deep_range, ImageTally()
        try:
            self._members, _ = image_members(self._archive)
        except DataError:
            self._archive.__exit__(None, None, None)
            raise

    @property
    def count(self) -> int:
        """Number of images, by their names."""
        return len(self._members)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._archive.__exit__(kind, error, traceback)

    def items(self, start: int = 0, begin: Begin = untold) -> Iterator[Item | SkippedItem]:
        """Yields the images in the order of the ZIP's directory, without unpacking those before ``start``."""
        names = [readable(self._archive.names[member]) for member in self._members]
        places = stems(names)
        for index in range(start, len(names)):
            begin(index, names[index])
            yield self._item(index, names[index], places[index])

    def _item(self, index: int, name: str, stem: str) -> Item | SkippedItem:
        try:
            content = self._archive.read(self._members[index])
            pixels, facts = image_reading.read_whole(content, self._deep_range)
        except (decode.DecodeError, MemberError) as error:
            return skipped(index, name, error)
        self._tally.add(name, facts)
        return Item(index, name, stem, pixels)

    def issues(self) -> list[Issue]:
        """Returns what was not read as it stands: bands, pages, transparency."""
        return self._tally.issues()


def whole_file(path: Path, name: str, most_bytes: int) -> bytes:
    """Returns the bytes of a regular file. Raises DataError where there are more than allowed, and OSError."""
    with regular_files.open_binary(path) as stream:
        content = stream.read(most_bytes + 1)
    if len(content) > most_bytes:
        message = f"{readable(name)} has more than {most_bytes} bytes"
        raise DataError([Issue.of(Code.INPUT_TOO_LARGE, message, files=[readable(name)])])
    return content


def skipped(index: int, name: str, error: decode.DecodeError | MemberError) -> SkippedItem:
    """Returns what is said of an image that cannot be decoded, and without which the others go on."""
    code = error.code if isinstance(error, decode.DecodeError) else Code.ARCHIVE_CORRUPT
    issue = Issue.of(code, f"{name}: {error}; {_LEFT_OUT}", files=[name], severity=Severity.WARNING)
    return SkippedItem(index, name, issue)
