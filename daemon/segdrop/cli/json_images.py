"""The commands ``images-to-json`` and ``json-to-images``: images in base64 in a JSON, as the inbox takes and gives."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from segdrop.cli import tables
from segdrop.cli.new_file import new_file
from segdrop.cli.options import (
    STDOUT,
    ConfigOption,
    ImagesArgument,
    JsonArgument,
    OutputFileOrStdout,
    OutputFolder,
    RootOption,
    load,
)
from segdrop.codes import Code
from segdrop.dataset.archive.safety import is_junk
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.samples import extension, is_image
from segdrop.dataset.unlabelled import json_packing
from segdrop.dataset.unlabelled.json_packing import ImageFile
from segdrop.errors import DataError, Exit, Issue, has_fault
from segdrop.settings import LimitSettings

_CHUNK_BYTES = 1 << 18
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that are there.")]


def images_to_json(
    paths: ImagesArgument,
    *,
    output: Annotated[
        Path,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            callback=OutputFileOrStdout,
            readable=False,
            help="JSON to write; - is the standard output.",
        ),
    ],
    force: ForceOption = False,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Write images, and those in folders and ZIPs, as base64 into one JSON, as an inbox takes it."""
    limits = load(config, root).limits
    with ExitStack() as stack:
        files = [file for path in paths for file in _found(path, stack, limits, keeps_folder=len(paths) > 1)]
        _refuse(files, paths, output, limits)
        stream = sys.stdout.buffer if output == STDOUT else stack.enter_context(new_file(output, force=force))
        json_packing.write(stream, files)
    if output != STDOUT:
        _print(f"wrote {tables.clean(output)}: {len(files)} images")


def _found(given: Path, stack: ExitStack, limits: LimitSettings, *, keeps_folder: bool) -> Iterator[ImageFile]:
    """Yields the images that a path names or holds. What is in a folder may keep the folder's own name before its."""
    if given.is_dir():
        folder = Path(os.path.abspath(given))  # noqa: PTH100  (`..` becomes a name, and links stay as they are)
        base = folder.parent if keeps_folder else folder
        yield from (_file(path, path.relative_to(base).as_posix()) for path in _images_below(folder))
    elif extension(given.name) == "zip":
        yield from _members(stack.enter_context(Archive(given.resolve(), limits.for_child())), given)
    else:
        yield _file(given, given.name)


def _images_below(folder: Path) -> Iterator[Path]:
    """Yields the images in a folder in the order of their paths, without what file managers leave there."""

    def refuse(error: OSError) -> None:
        raise error

    for name, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = sorted(inner for inner in folders if not is_junk(inner))
        paths = (Path(name) / file for file in sorted(files) if is_image(file) and not is_junk(file))
        yield from (path for path in paths if path.is_file())


def _file(path: Path, name: str) -> ImageFile:
    return ImageFile(name, path.stat().st_size, partial(_chunks, path))


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _members(archive: Archive, path: Path) -> Iterator[ImageFile]:
    if has_fault(archive.issues):
        raise DataError(archive.issues)
    for member, name in enumerate(archive.names):
        if is_image(name):
            yield ImageFile(name, archive.unpacked_bytes(member), partial(_unpacked, archive, member, path))


def _unpacked(archive: Archive, member: int, path: Path) -> Iterator[bytes]:
    try:
        yield from archive.chunks(member)
    except MemberError as error:
        message = f"{archive.names[member]} in {path.name} is damaged: {error}"
        raise DataError([Issue.of(Code.ARCHIVE_CORRUPT, message, files=[archive.names[member]])]) from error


def _refuse(files: Sequence[ImageFile], paths: Sequence[Path], output: Path, limits: LimitSettings) -> None:
    """Raises for what an inbox would not take or could not tell apart, and for a file that would replace an image."""
    if not files:
        raise DataError([Issue.of(Code.INPUT_NO_IMAGES, f"there are no images in {', '.join(map(str, paths))}")])
    if len(files) > limits.max_json_images:
        message = f"these are {len(files)} images; the limit is {limits.max_json_images}"
        raise DataError([Issue.of(Code.INPUT_TOO_MANY_IMAGES, message)])
    if (size := json_packing.size_bytes(files)) > limits.max_json_bytes:
        message = f"the JSON would have {size} bytes; the limit is {limits.max_json_bytes}"
        raise DataError([Issue.of(Code.INPUT_TOO_LARGE, message)])
    names: set[str] = set()
    for file in files:
        if file.name in names:
            problem = f"several images would be called {file.name}: name the folder that all of them are in"
            raise typer.BadParameter(problem, param_hint="PATH...")
        names.add(file.name)
    if output != STDOUT and output.exists() and any(output.samefile(path) for path in paths):
        raise typer.BadParameter(f"{output} is an image to read", param_hint="OUTPUT")


def json_to_images(
    json_path: JsonArgument,
    *,
    folder: Annotated[
        Path,
        typer.Option(
            "-o", "--output", metavar="DIR", callback=OutputFolder, readable=False, help="Folder for the files."
        ),
    ],
    force: ForceOption = False,
) -> None:
    """Write the images of such a JSON, or the masks of a prediction's answer to one, as files."""
    from segdrop.dataset.unlabelled import json_unpacking  # noqa: PLC0415  (numpy and Pillow: not for the others)

    path = json_path.resolve()
    contents = json_unpacking.read_contents(path)
    targets = [target for names in contents.targets().values() for target in names]
    _refuse_targets(folder, targets, force=force)
    broken = json_unpacking.unpack(path, contents, folder, replace=force)
    written = len(targets) - sum(issue.count for issue in broken)
    _print(f"wrote {written} of {len(targets)} images into {tables.clean(folder)}")
    issues = [*contents.issues(json_path.name), *broken]
    if issues:
        tables.terminal(stderr=True).print(tables.issue_table(issues))
    sys.exit(Exit.DATA if broken else Exit.OK)


def _refuse_targets(folder: Path, targets: Sequence[str], *, force: bool) -> None:
    """Raises ``typer.BadParameter`` where a file is there already, or a link below the folder leads out of it."""
    inside = folder.resolve()
    for target in targets:
        path = folder / target
        if not path.parent.resolve().is_relative_to(inside):
            raise typer.BadParameter(f"{path.parent} leads out of {folder}", param_hint="OUTPUT")
        if os.path.lexists(path) and (path.is_dir() or not force):
            raise typer.BadParameter(f"{path} exists: name another folder, or use --force", param_hint="OUTPUT")


def _print(text: str) -> None:
    tables.terminal().print(text, soft_wrap=True, highlight=False)
