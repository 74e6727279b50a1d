"""What commands have in common: their options, the settings, the root."""

from pathlib import Path
from typing import Annotated

import typer

from segdrop import logs, settings
from segdrop.errors import UnavailableError
from segdrop.settings import Settings
from segdrop.spool.layout import RootLayout

RootOption = Annotated[Path | None, typer.Option("--root", help="Folder with inbox/, outbox/ and the others.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
RequestOption = Annotated[
    Path | None,
    typer.Option("--request", exists=True, dir_okay=False, help="Request (JSON); default: NAME.json beside the ZIP."),
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="One request key, as KEY=VALUE; repeatable.")]
ZipArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Dataset ZIP.")]


def load(config: Path | None, root: Path | None) -> Settings:
    """The settings in effect; logging is set up by them."""
    loaded = settings.load(config, {"root": root} if root else {})
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded.model_copy(update={"root": loaded.root.absolute()})


def existing(loaded: Settings) -> RootLayout:
    """The root, if it has been set up; ``UnavailableError`` otherwise."""
    layout = RootLayout(loaded.root)
    if not layout.work.is_dir():
        raise UnavailableError("root.unavailable", f"there is no segdrop root at {loaded.root} (`segdrop init`)")
    return layout
