"""Where the files of a model are: in a folder, whose links may not lead out of it, or in a ZIP.

``models/`` belongs to the operator, and so do the links in it, which are followed. The folder of a model may have come
from anywhere, with links of its own: they are followed as far as the folder goes. A snapshot in the cache of Hugging
Face is links into the folder of blobs beside it, which is part of the same download.
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import IO, BinaryIO

from segdrop import regular_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue

#: A ZIP of a model has a dozen members, a model.pth a thousand or two.
_MOST_MEMBERS = 20_000
_MOST_DIRECTORY_BYTES = 8 << 20
_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR = struct.Struct("<4sLQL")
_MOST_COMMENT_BYTES = 0xFFFF
#: what zipfile and its helpers raise for a ZIP that is none, is damaged, encrypted, or packed in a way that is not read
_DAMAGE = (zipfile.BadZipFile, EOFError, OverflowError, RuntimeError, struct.error, zlib.error)


def open_file(path: Path) -> BinaryIO:
    """Opens a regular file, or the one that a link of the operator's leads to; raises ``OSError`` as open(2) does."""
    return regular_files.open_binary(path.resolve())


def open_inside(folder: Path, name: str) -> BinaryIO:
    """Opens a regular file of a model's folder.

    Raises ``DataError`` where it is a link that leads elsewhere, or no regular file, and ``OSError`` as open(2) does.
    """
    return regular_files.open_binary(inside(folder, name))


def inside(folder: Path, name: str) -> Path:
    """Returns the file itself that a name in a model's folder stands for; raises ``DataError`` as ``open_inside``."""
    home = folder.resolve()
    path = (home / name).resolve()
    allowed = [home]
    if home.parent.name == "snapshots":
        allowed.append(home.parent.parent / "blobs")
    if not any(path.is_relative_to(root) for root in allowed):
        message = f"{folder.name}/{name} is a link that leads out of the folder"
        raise DataError([Issue.of(Code.MODEL_INVALID, message, files=[name], fix="Put the file itself there.")])
    return path


def names_in(folder: Path) -> tuple[Path, list[str]]:
    """Returns the folder that has the files, and their names: the folder itself, or the only one in it."""
    for _ in range(2):
        entries = [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
        files = sorted(entry.name for entry in entries if entry.is_file())
        if files or len(entries) != 1 or entries[0].is_symlink() or not entries[0].is_dir():
            break
        folder = entries[0]
    return folder, files


def names_in_zip(path: Path) -> tuple[str, list[str]]:
    """Returns the folder in a ZIP that has the files (empty, or with a slash at its end), and their names.

    Raises ``DataError`` where it is no ZIP or has far too many members, and ``OSError`` as open(2) does.
    """
    with open_zip(path) as archive:
        members = [name for name in archive.namelist() if not _is_litter(name)]
    prefix = ""
    tops = {name.partition("/")[0] for name in members}
    if len(tops) == 1 and not any(name in tops for name in members):
        prefix = f"{tops.pop()}/"
    inner = (name.removeprefix(prefix) for name in members)
    return prefix, sorted(name for name in inner if name and "/" not in name)


def _is_litter(name: str) -> bool:
    return name.startswith("__MACOSX/") or name.rpartition("/")[2].startswith(".")


@contextmanager
def open_zip(source: Path | IO[bytes]) -> Iterator[zipfile.ZipFile]:
    """Opens a ZIP of which the directory is no larger than a model's; raises as :func:`names_in_zip`.

    An error in what is done with it is raised as ``DataError`` (``model.invalid``) too, where the ZIP is at fault.
    A stream is left open.
    """
    name = source.name if isinstance(source, Path) else "the model"
    with open_file(source) if isinstance(source, Path) else nullcontext(source) as stream:
        try:
            _require_small_directory(stream)
            with zipfile.ZipFile(stream) as archive:
                yield archive
        except _DAMAGE as error:
            raise DataError([Issue.of(Code.MODEL_INVALID, f"{name} is damaged, or no ZIP: {error}")]) from error


def _require_small_directory(stream: IO[bytes]) -> None:
    """Raises ``BadZipFile`` before ``zipfile`` makes an object for every one of too many members (APPNOTE 4.3.14)."""
    size_bytes = stream.seek(0, 2)
    stream.seek(max(0, size_bytes - _MOST_COMMENT_BYTES - _END.size - _LOCATOR.size - _END64.size))
    tail = stream.read()
    position = tail.rfind(b"PK\5\6")
    if position < 0 or position + _END.size > len(tail):
        raise zipfile.BadZipFile("it has no directory at its end")
    _, _, _, _, count, directory_bytes, _, _ = _END.unpack_from(tail, position)
    if tail[: max(0, position - _LOCATOR.size) + 4].endswith(b"PK\6\7"):
        count, directory_bytes = _wide(stream, _LOCATOR.unpack_from(tail, position - _LOCATOR.size)[2])
    if count > _MOST_MEMBERS or directory_bytes > _MOST_DIRECTORY_BYTES:
        raise zipfile.BadZipFile(f"it has {count} members, more than any model")


def _wide(stream: IO[bytes], offset: int) -> tuple[int, int]:
    stream.seek(offset)
    record = stream.read(_END64.size)
    if len(record) < _END64.size or not record.startswith(b"PK\6\6"):
        raise zipfile.BadZipFile("its ZIP64 end record is missing")
    *_, count, directory_bytes, _ = _END64.unpack(record)
    return count, directory_bytes
