"""The command ``train``: one ZIP in the foreground, by the daemon's own loop."""

import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from segdrop.cli.foreground_job import finished, inbox_name
from segdrop.cli.given_request import given_request
from segdrop.cli.options import (
    ConfigOption,
    OutputFolder,
    RequestOption,
    RootOption,
    SetOption,
    ZipArgument,
    load,
)
from segdrop.cli.result_table import print_results
from segdrop.spool.layout import RootLayout


def train(
    zip_path: ZipArgument,
    *,
    output: Annotated[
        Path, typer.Option("-o", "--output", callback=OutputFolder, readable=False, help="Folder for the result.")
    ] = Path(),
    request: RequestOption = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Train on one ZIP in the foreground, as the daemon would."""
    loaded = load(config, root)
    wanted = given_request(zip_path, request, assignments)
    stem = Path(inbox_name(zip_path)).stem

    def drop(private: RootLayout) -> None:
        shutil.copyfile(zip_path, private.inbox / f"{stem}.zip")
        if wanted is not None:
            (private.inbox / f"{stem}.json").write_bytes(wanted.content)

    with finished(loaded, output, drop) as job:
        exit_code = job.exit_code
        for path in job.files:
            shutil.move(path, output / path.name)
    print_results([output / path.name for path in job.files])
    sys.exit(exit_code)
