"""How a command writes a file that it was told the name of: under another name first, and over nothing unasked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import typer

from segdrop import durable, regular_files

_HINT = "OUTPUT"


def refuse_existing(output: Path, *, force: bool) -> None:
    """Raises ``typer.BadParameter`` where there is such a file, unless it is to be replaced."""
    if output.exists() and not force:
        raise typer.BadParameter(f"{output} exists: name another, or use --force", param_hint=_HINT)


def part_of(output: Path) -> Path:
    """Returns the name that the file is first written to. Raises ``typer.BadParameter`` for a FIFO or folder there."""
    part = output.absolute().with_name(f"{output.name}.part")
    try:
        kind = regular_files.kind_of(part.stat().st_mode)
    except FileNotFoundError:
        return part
    if kind and kind != "a device":
        raise typer.BadParameter(f"{part} is in the way: it is {kind}", param_hint=_HINT)
    return part


def publish(part: Path, output: Path, *, force: bool) -> None:
    """Gives a finished file its name."""
    if force:
        durable.sync_file(part)
        durable.move(part, output.absolute())
        return
    try:
        durable.publish(part, output.absolute())
    except FileExistsError as error:
        raise typer.BadParameter(f"{output} was made by somebody meanwhile", param_hint=_HINT) from error


@contextmanager
def new_file(output: Path, *, force: bool) -> Iterator[BinaryIO]:
    """Yields a stream whose content becomes the file when it is whole; of one that is not, nothing remains."""
    refuse_existing(output, force=force)
    part = part_of(output)
    try:
        with part.open("wb") as stream:
            yield stream
        publish(part, output, force=force)
    finally:
        part.unlink(missing_ok=True)
