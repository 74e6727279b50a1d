"""``models``, ``models fetch``: architectures, and the weights that training starts from."""

from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from segdrop import catalog, console, weights
from segdrop.cli.options import ConfigOption, RootOption, load
from segdrop.request import nearest
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout


def models(context: typer.Context, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Architectures, the weights that `pretrained: auto` looks for, and what is installed."""
    if context.invoked_subcommand is not None:
        return
    loaded = load(config, root)
    dirs = weights.search_dirs(RootLayout(loaded.root).models)
    terminal = console.terminal()
    for architecture in catalog.ARCHITECTURES.values():
        terminal.print(
            f"[bold]{architecture.name}[/bold]: {architecture.summary}, {architecture.parameters_millions} M parameters"
        )
        for file in architecture.weights:
            found = weights.find(file.file_name, dirs)
            where = f"[green]in {console.clean(found.parent)}[/green]" if found else "not installed"
            terminal.print(
                f"  {file.file_name}  {file.trained_on}, {file.megabytes} MB: {where}",
                highlight=False,
                soft_wrap=True,
            )


def fetch(
    name: Annotated[
        str, typer.Argument(help="An architecture (its best weights), or a file name from `segdrop models`.")
    ],
    *,
    base_url: Annotated[
        str, typer.Option("--url", help="Where the files are; a mirror of your own works.")
    ] = weights.BASE_URL,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Download published weights into models/, checked by SHA-256: the only command that uses the network."""
    loaded = load(config, root)
    layout = RootLayout(loaded.root)
    spool_root.create(layout)
    terminal = console.terminal(stderr=True)
    path = weights.fetch(_weights_name(name), layout.models, base_url=base_url, on_progress=_download_bar(terminal))
    console.terminal().print(f"{console.clean(path)}", soft_wrap=True, highlight=False)


def _weights_name(name: str) -> str:
    if name in catalog.ARCHITECTURES:
        return catalog.ARCHITECTURES[name].weights[0].file_name
    known = [file.file_name for architecture in catalog.ARCHITECTURES.values() for file in architecture.weights]
    if name not in known:
        guess = nearest(name, [*catalog.ARCHITECTURES, *known])
        raise typer.BadParameter(
            f"{name!r} is not known" + (f"; did you mean {guess}?" if guess else ""), param_hint="NAME"
        )
    return name


def _download_bar(terminal: Console) -> Callable[[int, int | None], None]:
    def show_progress(done_bytes: int, total_bytes: int | None) -> None:
        total = f" of {total_bytes / 1e6:.1f}" if total_bytes else ""
        if terminal.is_terminal:
            terminal.print(f"{done_bytes / 1e6:.1f}{total} MB", end="\r", highlight=False)

    return show_progress
