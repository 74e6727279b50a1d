"""``init``, ``config``, ``doctor``, ``health``: setting up, and looking after the machine."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from segdrop import console, doctor, settings
from segdrop.cli.options import ConfigOption, RootOption, load
from segdrop.errors import Exit
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout


def init(
    root: Annotated[Path | None, typer.Argument(help="Folder to set up.")] = None, config: ConfigOption = None
) -> None:
    """Make the folders and the sentinel, and check that files can be renamed between them."""
    loaded = load(config, root)
    layout = RootLayout(loaded.root)
    spool_root.open_root(layout, require_sentinel=False)
    console.terminal().print(
        f"ready: {console.clean(layout.root)}\ncopy dataset ZIPs into {console.clean(layout.inbox)}",
        soft_wrap=True,
    )


def show_config(
    *,
    show_sources: Annotated[bool, typer.Option("--show-sources", help="Where each value comes from.")] = False,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """The settings in effect."""
    loaded = load(config, root)
    values = loaded.model_dump(mode="json")
    origin = settings.sources(config, os.environ, {"root": root} if root else {})
    for key in settings.keys():  # noqa: SIM118  (a function)
        section, _, name = key.rpartition(".")
        value = values[section][name] if section else values[name]
        typer.echo(f"{key} = {json.dumps(value)}" + (f"  # {origin[key]}" if show_sources else ""))


def run_doctor(*, config: ConfigOption = None, root: RootOption = None) -> None:
    """Is this machine ready: folders, renames, filesystem, space, weights, precision."""
    findings = list(doctor.examine(load(config, root)))
    console.terminal().print(console.finding_table(findings))
    sys.exit(Exit.TRY_LATER if any(finding.ok is False for finding in findings) else Exit.OK)


def health(*, config: ConfigOption = None, root: RootOption = None) -> None:
    """Is the daemon alive and able to work? For monitors: exit 0 or 75, one line."""
    finding = doctor.health(RootLayout(load(config, root).root), doctor.now())
    console.terminal().print(console.clean(finding.detail), soft_wrap=True, highlight=False)
    sys.exit(Exit.OK if finding.ok else Exit.TRY_LATER)
