"""Options that several commands have, and how they find the settings and the root."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from segdrop import logs, regular_files, settings
from segdrop.codes import Code
from segdrop.errors import UnavailableError
from segdrop.settings import Settings
from segdrop.spool.layout import RootLayout

# ``readable=False``: typer would look itself, and call what is closed a wrong argument.
#: Errors of a path that cannot be right, whatever becomes of the machine; all others are the environment's.
_WRONG_PATH = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.EINVAL, errno.ENXIO}
)


def _checked(check: Callable[[Path], None]) -> Callable[[Path | None], Path | None]:
    """Makes a check of a path one of typer's. The system's words are told."""

    def callback(path: Path | None) -> Path | None:
        if path is None:
            return None
        try:
            check(path)
        except ValueError as error:  # a NUL
            raise typer.BadParameter(f"{path}: {error}") from error
        except OSError as error:
            if error.errno in _WRONG_PATH:
                raise typer.BadParameter(f"{path}: {error.strerror}") from error
            raise
        return path

    return callback


def _readable(path: Path) -> None:
    """Demands a regular file that can be opened. A link was named by the caller, and is followed."""
    if kind := regular_files.kind_of(path.stat().st_mode):
        raise OSError(errno.EINVAL, f"it is {kind}, not a regular file", str(path))
    os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC))


def _readable_or_folder(path: Path) -> None:
    if path.is_dir():
        os.scandir(path).close()
    else:
        _readable(path)


def _each(check: Callable[[Path | None], Path | None]) -> Callable[[list[Path]], list[Path]]:
    """Makes the check of a path one of a list of paths."""

    def callback(paths: list[Path]) -> list[Path]:
        for path in paths:
            check(path)
        return paths

    return callback


def _replaceable(path: Path) -> None:
    """Demands a regular file, or a free name in a folder: never a device, which a write would replace or fill."""
    try:
        kind = regular_files.kind_of(path.stat().st_mode)
    except FileNotFoundError:
        _folder(path.absolute().parent)
        kind = "a link to nothing" if path.is_symlink() else ""
    if kind:
        raise OSError(errno.EINVAL, f"it is {kind}: a file cannot be written there", str(path))


def _folder(path: Path) -> None:
    if not stat.S_ISDIR(path.stat().st_mode):
        raise OSError(errno.ENOTDIR, "it is no folder", str(path))


def _folder_to_be(path: Path) -> None:
    """Demands a folder, or a name below one; the folders between are made later."""
    while not os.path.lexists(path):
        path = path.absolute().parent
    _folder(path)


def _named(text: str) -> Path:
    """Refuses an empty name: it would mean the working directory."""
    if not text:
        raise typer.BadParameter("it is empty: name a folder")
    return Path(text)


RootOption = Annotated[
    Path | None,
    typer.Option("--root", parser=_named, metavar="PATH", help="Folder with inbox/, outbox/ and the others."),
]
RootArgument = Annotated[Path | None, typer.Argument(parser=_named, metavar="[ROOT]", help="Folder to set up.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", readable=False, help="Settings file (TOML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
RequestOption = Annotated[
    Path | None,
    typer.Option(
        "--request",
        callback=_checked(_readable),
        readable=False,
        help="Request (JSON); default: NAME.json beside the ZIP.",
    ),
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="One request key, as KEY=VALUE; repeatable.")]
ZipArgument = Annotated[Path, typer.Argument(callback=_checked(_readable), readable=False, help="Dataset ZIP.")]


def _paths(described: str) -> Any:  # noqa: ANN401  (typer's)
    check = _each(_checked(_readable_or_folder))
    return typer.Argument(metavar="PATH...", callback=check, readable=False, help=described)


PathsArgument = Annotated[list[Path], _paths("Images, folders, ZIPs, or one video.")]
ImagesArgument = Annotated[list[Path], _paths("Images, folders, ZIPs.")]
JsonArgument = Annotated[
    Path,
    typer.Argument(metavar="FILE", callback=_checked(_readable), readable=False, help="JSON with images or masks."),
]
STDOUT = Path("-")
OutputFile = _checked(_replaceable)
OutputFileOrStdout = _checked(lambda path: _replaceable(path) if path != STDOUT else None)
OutputFolder = _checked(_folder_to_be)


def load(config: Path | None, root: Path | None) -> Settings:
    """Returns the settings in effect, and sets up logging by them."""
    loaded = settings.load(config, {"root": root} if root else {})
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded.model_copy(update={"root": loaded.root.absolute()})


def existing(loaded: Settings) -> RootLayout:
    """Returns the root. Raises ``UnavailableError`` where it has not been set up.

    Only ``outbox/`` is looked at, which everyone who may read results may look into.
    """
    layout = RootLayout(loaded.root)
    try:
        found = stat.S_ISDIR(layout.outbox.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        found = False
    if not found:
        raise UnavailableError(Code.ROOT_UNAVAILABLE, f"there is no segdrop root at {loaded.root} (`segdrop init`)")
    return layout
