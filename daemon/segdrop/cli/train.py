"""``train``: one ZIP in the foreground, on the daemon's own path."""

import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from segdrop.cli.options import ConfigOption, RequestOption, RootOption, SetOption, ZipArgument, load
from segdrop.cli.request import given_request
from segdrop.cli.results import print_results
from segdrop.cli.serve import serve
from segdrop.errors import Exit
from segdrop.settings import IntakeSettings
from segdrop.spool import root as spool_root
from segdrop.spool.layout import RootLayout


def train(
    zip_path: ZipArgument,
    *,
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the result.")] = Path(),
    request: RequestOption = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Train on one ZIP in the foreground; the same path as the daemon's."""
    loaded = load(config, root)
    wanted = given_request(zip_path, request, assignments)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".segdrop-", dir=output) as folder:
        private = RootLayout(Path(folder).absolute())
        spool_root.create(private)
        _link_models(RootLayout(loaded.root).models, private.models)
        stem = zip_path.stem.lstrip(".~") or "data"  # an inbox leaves such names alone; this one was asked for
        shutil.copyfile(zip_path, private.inbox / f"{stem}.zip")
        if wanted is not None:
            (private.inbox / f"{stem}.json").write_bytes(wanted.content)
        intake = IntakeSettings(settle_seconds=0, incomplete_seconds=0, scan_seconds=0.5, watch=False)
        status = serve(loaded.model_copy(update={"root": private.root, "intake": intake}), until_drained=True)
        results = sorted(path for path in private.outbox.iterdir() if path != private.status)
        for path in results:
            shutil.move(path, output / path.name)
    print_results([output / path.name for path in results])
    sys.exit(_foreground_exit([output / path.name for path in results], status))


def _link_models(source: Path, target: Path) -> None:
    if source.is_dir():
        for path in source.iterdir():
            (target / path.name).symlink_to(path)


def _foreground_exit(paths: list[Path], status: Exit) -> int:
    statuses = {json.loads(path.read_bytes())["status"] for path in paths if path.suffix == ".json"}
    return Exit.DATA if "rejected" in statuses else status
