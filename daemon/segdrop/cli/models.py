"""The commands ``models`` and ``models fetch``: architectures, and the weights that training starts from."""

from pathlib import Path
from typing import Annotated

import typer

from segdrop import architectures, weights_files
from segdrop.cli import tables
from segdrop.cli.foreground_check import open_models
from segdrop.cli.options import ConfigOption, RootOption, load
from segdrop.request import nearest
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout


def models(context: typer.Context, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """List architectures, the weights that `pretrained: auto` looks for, and what is installed."""
    if context.invoked_subcommand is not None:
        return
    loaded = load(config, root)
    models_dir = open_models(loaded)
    dirs = weights_files.search_dirs(models_dir or RootLayout(loaded.root).models)[0 if models_dir else 1 :]
    terminal = tables.terminal()
    for architecture in architectures.ARCHITECTURES.values():
        terminal.print(
            f"[bold]{architecture.name}[/bold]: {architecture.summary}, {architecture.parameters_millions} M parameters"
        )
        for file in architecture.weights:
            where = _where(file.file_name, dirs)
            terminal.print(
                f"  {file.file_name}  {file.trained_on}, {file.megabytes} MB: {where}",
                highlight=False,
                soft_wrap=True,
            )


def _where(file_name: str, dirs: list[Path]) -> str:
    try:
        found = weights_files.find(file_name, dirs)
    except PermissionError as error:
        return f"not known: you may not look into {tables.clean(Path(str(error.filename)).parent)}"
    return f"[green]in {tables.clean(found.parent)}[/green]" if found else "not installed"


def fetch(
    name: Annotated[
        str, typer.Argument(help="An architecture (its best weights), or a file name from `segdrop models`.")
    ],
    *,
    base_url: Annotated[
        str, typer.Option("--url", help="Where the files are; a mirror of your own works.")
    ] = weights_files.BASE_URL,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Download published weights into models/, checked by SHA-256: the only command that uses the network."""
    loaded = load(config, root)
    layout = RootLayout(loaded.root)
    spool_root.create(layout)
    file_name = _weights_name(name)
    with tables.download_bar(tables.terminal(stderr=True), file_name) as on_progress:
        path = weights_files.fetch(file_name, layout.models, base_url=base_url, on_progress=on_progress)
    tables.terminal().print(f"{tables.clean(path)}", soft_wrap=True, highlight=False)


def _weights_name(name: str) -> str:
    if name in architectures.ARCHITECTURES:
        return architectures.ARCHITECTURES[name].weights[0].file_name
    known = [file.file_name for architecture in architectures.ARCHITECTURES.values() for file in architecture.weights]
    if name not in known:
        guess = nearest(name, [*architectures.ARCHITECTURES, *known])
        raise typer.BadParameter(
            f"{name!r} is not known" + (f"; did you mean {guess}?" if guess else ""), param_hint="NAME"
        )
    return name
