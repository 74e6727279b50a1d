"""Writes the images in a JSON as files: those of an input, or the masks of a prediction's answer.

An input has ``image_names`` and ``images``, an answer (``predictions.json``) has ``image_names`` and ``masks``. It is
read twice as a stream, first for its names and then image by image, so that memory holds one image. Names are labels
and never paths: a file is always written below the folder that is given.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from segdrop import regular_files
from segdrop.codes import Code, Severity
from segdrop.dataset.samples import is_image
from segdrop.dataset.unlabelled.json_images import Base64Error, decoded, from_base64, labels
from segdrop.dataset.unlabelled.json_reader import JsonReader, JsonStreamError
from segdrop.dataset.unlabelled.stems import free_names, safe_path, stems, without_suffix
from segdrop.errors import DataError, Issue

_NAMES, _IMAGES, _MASKS = "image_names", "images", "masks"
_MAX_NAME_BYTES = 1024
#: First bytes of image files, and the suffix of a file whose label has none.
_SUFFIXES = {
    b"\x89PNG": ".png",
    b"\xff\xd8\xff": ".jpg",
    b"GIF8": ".gif",
    b"BM": ".bmp",
    b"II*\0": ".tif",
    b"MM\0*": ".tif",
    b"RIFF": ".webp",
}


@dataclass(slots=True)
class Contents:
    """What a JSON of images holds: the names as it gives them, and the suffix of each image by its first bytes."""

    names: list[str | None] | None = None
    suffixes: dict[str, list[str]] = field(default_factory=dict)  #: by the key of the list

    def targets(self) -> dict[str, list[str]]:
        """Returns the relative path of the file for each image, by the key of its list. No two are the same.

        Images keep the suffix of their label; one without gets that of its kind. Masks are PNGs, called like their
        images. Where there are both, each kind has a folder of its own.
        """
        found = {}
        for key, suffixes in self.suffixes.items():
            given = labels(self.names, len(suffixes))
            paths = _paths_of_masks(given) if key == _MASKS else _paths_of_images(given, suffixes)
            found[key] = [f"{key}/{path}" for path in paths] if len(self.suffixes) > 1 else paths
        return found

    def issues(self, file_name: str) -> list[Issue]:
        """Returns what there is to say of the names."""
        named = sum(name is not None for name in self.names or ())
        counts = {len(suffixes) for suffixes in self.suffixes.values()}
        if self.names is None or counts == {named} == {len(self.names)}:
            return []
        message = f"{file_name} has {' and '.join(map(str, sorted(counts)))} images, and {named} names in `{_NAMES}`"
        return [Issue.of(Code.INPUT_JSON_NAMES, message)]


def _paths_of_masks(given: list[str]) -> list[str]:
    return [f"{stem}.png" for stem in stems(given)]


def _paths_of_images(given: list[str], suffixes: list[str]) -> list[str]:
    paths = []
    for label, suffix in zip(given, suffixes, strict=True):
        stem = without_suffix(label)
        paths.append(safe_path(stem) + (label[len(stem) :] if is_image(label) else suffix))
    return free_names(paths)


def read_contents(path: Path) -> Contents:
    """Returns what a JSON of images holds. Raises DataError where it is none, and OSError."""
    found = Contents()
    with regular_files.open_binary(path) as stream:
        try:
            _read(JsonReader(stream), found)
        except JsonStreamError as error:
            raise _broken(path, str(error)) from error
    if not any(found.suffixes.values()):
        raise _broken(path, f"it has no `{_IMAGES}` and no `{_MASKS}`, or nothing in them")
    return found


def _read(reader: JsonReader, found: Contents) -> None:
    for key in reader.keys():  # noqa: SIM118  (no dictionary)
        if key not in (_NAMES, _IMAGES, _MASKS):
            reader.skip()
            continue
        if not reader.is_list() or key in found.suffixes or (key == _NAMES and found.names is not None):
            reason = "stands there a second time" if reader.is_list() else "is no list"
            raise JsonStreamError(f"byte {reader.position}: `{key}` {reason}")
        if key == _NAMES:
            found.names = [_name(reader) for _ in reader.entries()]
        else:
            found.suffixes[key] = [_suffix(reader) for _ in reader.entries()]
    reader.finish()


def _name(reader: JsonReader) -> str | None:
    if reader.is_text():
        return reader.text(_MAX_NAME_BYTES)
    reader.skip()
    return None


def _suffix(reader: JsonReader) -> str:
    """Returns the suffix of the image that comes next, by its first bytes; "" where they tell nothing."""
    if not reader.is_text():
        reader.skip()
        return ""
    pieces = decoded(reader.latin_pieces())
    try:
        head = next(pieces, b"")
    except Base64Error:
        head = b""
    finally:
        pieces.close()  # which reads the text to its end
    return next((suffix for magic, suffix in _SUFFIXES.items() if head.startswith(magic)), "")


def _broken(path: Path, reason: str) -> DataError:
    return DataError([Issue.of(Code.INPUT_JSON_BROKEN, f"{path.name}: {reason}", files=[path.name])])


def unpack(path: Path, contents: Contents, folder: Path, *, replace: bool = False) -> list[Issue]:
    """Writes the files, and returns what is wrong with images that could not be.

    Raises FileExistsError where there is such a file already, unless it is to be replaced, and OSError.
    """
    broken: dict[str, str] = {}
    targets = contents.targets()
    with regular_files.open_binary(path) as stream:
        try:
            for target, result in _images(JsonReader(stream), targets):
                if isinstance(result, Base64Error):
                    broken[target] = str(result)
                else:
                    _write(folder / target, result, replace=replace)
        except JsonStreamError as error:  # somebody has written to it since it was read
            raise _broken(path, str(error)) from error
    if not broken:
        return []
    first, reason = next(iter(broken.items()))
    message = f"{len(broken)} of {sum(map(len, targets.values()))} were not written; {first}: {reason}"
    return [Issue.of(Code.INPUT_JSON_IMAGE_BROKEN, message, files=broken, severity=Severity.FAULT)]


def _images(reader: JsonReader, targets: dict[str, list[str]]) -> Iterator[tuple[str, bytes | Base64Error]]:
    """Yields each image with the path of its file: its bytes, or why there are none."""
    for key in reader.keys():  # noqa: SIM118  (no dictionary)
        if key not in targets:
            reader.skip()
            continue
        for number in reader.entries():
            if number >= len(targets[key]):
                raise JsonStreamError("it was changed while it was read")
            yield targets[key][number], _content(reader)


def _content(reader: JsonReader) -> bytes | Base64Error:
    if not reader.is_text():
        reader.skip()
        return Base64Error("it is no text")
    try:
        return from_base64(reader.latin_pieces())
    except Base64Error as error:
        return error


def _write(path: Path, content: bytes, *, replace: bool) -> None:
    """Writes a new file, of which nothing remains where it cannot be written to its end. No link is followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if replace:
        path.unlink(missing_ok=True)
    with path.open("xb") as stream:
        try:
            stream.write(content)
            stream.flush()
        except BaseException:
            path.unlink(missing_ok=True)
            raise
