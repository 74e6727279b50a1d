"""The commands: the only place that loads settings and wires objects together.

Each command is a function in the module named here; what several of them need stands in the other modules.
"""

import sys
from typing import NoReturn

import typer

from segdrop import console, logs
from segdrop.cli import datasets, jobs, machine, models, serve, train
from segdrop.errors import DataError, Exit, SegdropError

app = typer.Typer(
    name="segdrop",
    help="Drop a dataset ZIP into a folder, get a trained segmentation model back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command()(serve.run)
app.command()(serve.once)
app.command()(machine.init)
app.command()(datasets.check)
app.command()(train.train)
app.command()(datasets.convert)
app.command()(datasets.demo)
app.command()(jobs.status)
app.command()(jobs.jobs)
app.command()(jobs.show)
app.command()(jobs.cancel)
app.command()(jobs.retry)
app.command("doctor")(machine.run_doctor)
app.command()(machine.health)
app.command("config")(machine.show_config)

models_app = typer.Typer(help="Architectures and weights.", invoke_without_command=True)
models_app.callback()(models.models)
models_app.command()(models.fetch)
app.add_typer(models_app, name="models")


def main() -> NoReturn:
    """Run the command line; known errors become one line and an exit code."""
    try:
        app(standalone_mode=True)
    except DataError as error:
        console.terminal(stderr=True).print(console.issue_table(error.issues))
        sys.exit(error.exit_code)
    except SegdropError as error:
        console.terminal(stderr=True).print(
            logs.for_journal(f"segdrop: {console.clean(error)}"), style="red", highlight=False, soft_wrap=True
        )
        sys.exit(error.exit_code)
    sys.exit(Exit.OK)
