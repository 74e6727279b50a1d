"""The part of predict.py that finds and reads images: files, folders, ZIPs, and what fits a pattern."""

import fnmatch
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from PIL import Image

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".dib", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pnm"}
JUNK_NAMES = {
    *("__macosx", "icon\r", "@eadir", "#recycle", "@recycle", "lost+found", "thumbs.db", "ehthumbs.db"),
    *("desktop.ini", "$recycle.bin", "system volume information"),
}
#: in each file that is written: so that predictions are not predicted again where they lie among the images
SOFTWARE = "segdrop predict.py"
#: names in a ZIP that are absolute, have a drive, or lead upwards
LEADS_OUT = re.compile(r"^$|^[/\\]|^[A-Za-z]:|(?:^|[/\\])\.\.(?:[/\\]|$)")
WILDCARD = re.compile(r"[*?[]")
MAX_MEMBER_BYTES = 2 << 30


class PredictError(Exception):
    """Something that the person at the keyboard can put right."""


@dataclass(frozen=True)
class Source:
    """An image to predict: a file, or a member of a ZIP."""

    path: Path
    member: str = ""

    def __str__(self) -> str:
        """Returns the name for people."""
        return f"{self.path}/{self.member}" if self.member else str(self.path)

    @property
    def suffix(self) -> str:
        """The suffix of the image's own name."""
        return PurePosixPath(self.member or self.path).suffix

    @property
    def is_jpeg(self) -> bool:
        """Whether the image was stored with loss."""
        return self.suffix.lower() in (".jpg", ".jpeg")


class SourceReader:
    """Reads the bytes of images. The ZIP that was read last stays open, or each member would cost its directory."""

    def __init__(self) -> None:
        self._zip: tuple[Path, zipfile.ZipFile] | None = None

    def close(self) -> None:
        """Closes the ZIP."""
        if self._zip is not None:
            self._zip[1].close()
        self._zip = None

    def read(self, source: Source) -> bytes:
        """Returns the bytes of an image; raises ``PredictError`` where they cannot be read."""
        try:
            return self._member(source) if source.member else file_content(source.path)
        except PredictError:
            raise
        except Exception as error:  # zipfile raises anything
            raise PredictError(f"{source}: cannot be read ({error})") from error

    def _member(self, source: Source) -> bytes:
        if self._zip is None or self._zip[0] != source.path:
            self.close()
            self._zip = source.path, zipfile.ZipFile(source.path)
        archive = self._zip[1]
        unpacked_bytes = archive.getinfo(source.member).file_size  # zipfile unpacks no more than this
        if unpacked_bytes > MAX_MEMBER_BYTES:
            raise PredictError(f"{source}: would unpack to {unpacked_bytes} bytes; the limit is {MAX_MEMBER_BYTES}")
        return archive.read(source.member)


def file_content(path: Path) -> bytes:
    """Returns the bytes of a file; raises ``PredictError`` where they are not those of an image."""
    if not path.is_file():
        reason = "no file fits this pattern" if WILDCARD.search(str(path)) else "there is no such file"
        raise PredictError(f"{path}: cannot be read as an image ({reason})")
    if is_zip(path):
        members(path)  # raises what was wrong with it
    return path.read_bytes()


def is_zip(path: Path) -> bool:
    """Whether a file is searched for images, as a ZIP."""
    return path.suffix.lower() == ".zip" and path.is_file()


def members(path: Path) -> list[str]:
    """Returns the names of the files in a ZIP; raises ``PredictError`` where it is none, or where they lead out."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = sorted({info.filename for info in archive.infolist() if not info.is_dir()})
    except Exception as error:  # zipfile raises anything
        raise PredictError(f"{path}: cannot be read as a ZIP ({error})") from error
    if unsafe := next(filter(LEADS_OUT.search, names), None):
        raise PredictError(f"{path}: holds {unsafe!r}, which leads out of the folder: none of it was predicted")
    return names


def is_junk(path: Path) -> bool:
    """Whether a file manager left a file behind (``._a.jpg``, ``Thumbs.db``, ``@eaDir/``), as for training."""
    return any(part.startswith((".", "~")) or part.casefold() in JUNK_NAMES for part in path.parts)


def is_prediction(path: Path, opened: Callable[[], Any]) -> bool:
    """Whether an image was written by this script: a PNG, or the overlay of a JPEG."""
    if path.suffix.lower() not in (".png", ".jpg"):
        return False
    try:
        with opened() as stream, Image.open(stream) as image:
            return SOFTWARE in (image.info.get("Software"), image.info.get("comment", b"").decode("latin-1"))
    except Exception:  # noqa: BLE001  (a decoder may raise anything: said when it is predicted)
        return False


def find_images(inputs: list[Path], left_out: set[Path]) -> Iterator[tuple[Source, Path]]:
    """Yields every image with the relative path of its prediction, less the suffix.

    Folders, ZIPs and what fits a pattern are searched in depth, without what file managers and earlier runs of this
    script put there, and without the folders in ``left_out``. A file that is named is taken, whatever it is.
    """
    for given in inputs:
        base, pattern = _split(given)
        if given.is_dir() or is_zip(given):
            yield from _images_at(given, given, left_out)
        elif pattern and base.is_dir() and not os.path.lexists(given):
            fitting = [
                found for path in _fitting(base, pattern, left_out) for found in _images_at(path, base, left_out)
            ]
            yield from fitting or [(Source(given), Path(given.stem))]  # as a shell leaves it: said when it is predicted
        else:
            yield Source(given), Path(given.stem)


def _images_at(path: Path, base: Path, left_out: set[Path]) -> Iterator[tuple[Source, Path]]:
    """Yields the images below a folder, in a ZIP, or the one that a file is, with their paths from ``base``."""
    if is_zip(path):
        yield from _images_in(path)
        return
    for file in sorted(_files(path, left_out)) if path.is_dir() else [path]:
        inner = file.relative_to(base)
        if _is_wanted(inner, partial(file.open, "rb")):
            yield Source(file), inner.with_suffix("")


def _images_in(path: Path) -> Iterator[tuple[Source, Path]]:
    try:
        names = members(path)
    except PredictError:
        yield Source(path), Path(path.stem)  # said when it is predicted
        return
    with zipfile.ZipFile(path) as archive:
        for name in names:
            inner = Path(*PurePosixPath(name.replace("\\", "/")).parts)
            if _is_wanted(inner, partial(archive.open, name)):
                yield Source(path, name), inner.with_suffix("")


def _is_wanted(inner: Path, opened: Callable[[], Any]) -> bool:
    return inner.suffix.lower() in SUFFIXES and not is_junk(inner) and not is_prediction(inner, opened)


def _files(folder: Path, left_out: set[Path]) -> Iterator[Path]:
    """Yields the regular files below a folder; folders that are links are not followed."""

    def refuse(error: OSError) -> None:
        raise PredictError(f"{error.filename}: {error.strerror}") from error

    for name, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [inner for inner in folders if (Path(name) / inner).resolve() not in left_out]
        yield from (Path(name) / file for file in files if os.path.isfile(os.path.join(name, file)))  # noqa: PTH113, PTH118


def _split(path: Path) -> tuple[Path, tuple[str, ...]]:
    """Returns the folder that a pattern begins in, and the parts of the pattern; no parts where it is a plain path."""
    plain = next((number for number, part in enumerate(path.parts) if WILDCARD.search(part)), len(path.parts))
    return Path(*path.parts[:plain]), path.parts[plain:]


def _fitting(folder: Path, pattern: tuple[str, ...], left_out: set[Path]) -> Iterator[Path]:
    """Yields the paths below a folder that fit a pattern, of which a part ``**`` is any number of folders.

    As in :func:`_files`, and other than in Python's ``glob``, a folder that cannot be read is not passed over, and
    below ``**`` links to folders are not followed.
    """
    part, rest = pattern[0], pattern[1:]
    if part == "**" and rest:
        yield from _fitting(folder, rest, left_out)
    for path in _entries(folder):
        is_folder = path.is_dir() and path.resolve() not in left_out
        if part == "**" and is_folder:
            yield from _fitting(path, pattern, left_out) if not path.is_symlink() else ()
        elif (part == "**" or fnmatch.fnmatch(path.name, part)) and not rest:
            yield from [path] if is_folder or path.is_file() else ()
        elif is_folder and fnmatch.fnmatch(path.name, part):
            yield from _fitting(path, rest, left_out)


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise PredictError(f"{error.filename}: {error.strerror}") from error
