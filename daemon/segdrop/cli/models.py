"""The commands ``models`` and ``models fetch``: architectures, weights to start from, and models that predict."""

import json
from pathlib import Path
from typing import Annotated

import typer

from segdrop import architectures, weights_files
from segdrop.cli import tables
from segdrop.cli.foreground_check import open_models
from segdrop.cli.options import ConfigOption, JsonOption, RootOption, load
from segdrop.errors import DataError
from segdrop.model_files import hashing, resolving
from segdrop.model_files.catalogue import Catalogue, ModelEntry, ModelsFile
from segdrop.request import nearest
from segdrop.settings import Settings
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout


def models(
    context: typer.Context,
    *,
    as_json: JsonOption = False,
    with_hashes: Annotated[
        bool, typer.Option("--hash", help="Read the files in models/ for their SHA-256, which takes a while.")
    ] = False,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """List architectures, the weights that trainings start from, the models that predict, and what is installed."""
    if context.invoked_subcommand is not None:
        return
    loaded = load(config, root)
    found = _named_models(loaded, with_hashes=with_hashes)
    if as_json:
        typer.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
        return
    _print_architectures(loaded)
    if found.models:
        tables.terminal().print("", tables.model_table(found.models), sep="\n")


def _named_models(loaded: Settings, *, with_hashes: bool) -> ModelsFile:
    """Returns the models that a request can name; where folders are closed to us, as the daemon has published them."""
    layout = RootLayout(loaded.root)
    try:
        found = Catalogue(layout).look()
    except PermissionError:
        return _published(layout)
    if not with_hashes:
        return found
    return found.model_copy(update={"models": [_hashed(entry, layout) for entry in found.models]})


def _published(layout: RootLayout) -> ModelsFile:
    try:
        return ModelsFile.load(layout.models_file)
    except (OSError, ValueError):
        return ModelsFile(models=[], is_complete=False)


def _hashed(entry: ModelEntry, layout: RootLayout) -> ModelEntry:
    """Returns an entry with its hash, where the model can be read."""
    if entry.sha256 is not None or entry.kind is None:
        return entry
    try:
        digest = hashing.sha256(resolving.resolve(entry.name, layout.models, None))
    except DataError as error:
        return entry.model_copy(update={"problem": error.issues[0]})
    return entry.model_copy(update={"sha256": digest})


def _print_architectures(loaded: Settings) -> None:
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
