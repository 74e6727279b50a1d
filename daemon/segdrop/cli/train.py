"""The command ``train``: one ZIP in the foreground, by the daemon's own loop."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from segdrop.cli.foreground_check import open_models
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
from segdrop.cli.serve import serve
from segdrop.errors import Exit
from segdrop.intake import names
from segdrop.settings import IntakeSettings
from segdrop.spool import root as spool_root
from segdrop.spool.job import Outcome
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
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".segdrop-", dir=output) as folder:
        private = RootLayout(Path(folder).absolute())
        spool_root.create(private)
        _link_models(open_models(loaded), private.models)
        # an inbox leaves hidden names and conflict copies alone; this one was asked for
        stem = Path(names.conflict_free(zip_path.name)).stem.lstrip(".~") or "data"
        shutil.copyfile(zip_path, private.inbox / f"{stem}.zip")
        if wanted is not None:
            (private.inbox / f"{stem}.json").write_bytes(wanted.content)
        intake = IntakeSettings(settle_seconds=0, incomplete_seconds=0, scan_seconds=0.5, watch=False)
        status = serve(loaded.model_copy(update={"root": private.root, "intake": intake}), until_drained=True)
        results = sorted(path for path in private.outbox.iterdir() if path not in (private.status, private.models_file))
        for path in results:
            shutil.move(path, output / path.name)
    print_results([output / path.name for path in results])
    sys.exit(_foreground_exit([output / path.name for path in results], status))


def _link_models(source: Path | None, target: Path) -> None:
    for path in source.iterdir() if source else ():
        (target / path.name).symlink_to(path)


def _foreground_exit(paths: list[Path], status: Exit) -> int:
    statuses = {json.loads(path.read_bytes())["status"] for path in paths if path.suffix == ".json"}
    return Exit.DATA if Outcome.REJECTED in statuses else status
