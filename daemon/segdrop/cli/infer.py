"""The commands ``predict`` and ``evaluate``: a trained model at work in the foreground, by the daemon's own loop."""

import contextlib
import json
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from segdrop.cli import tables
from segdrop.cli.foreground_job import finished, inbox_name
from segdrop.cli.given_request import given_keys
from segdrop.cli.options import (
    ConfigOption,
    OutputFolder,
    PathsArgument,
    RequestOption,
    RootOption,
    SetOption,
    ZipArgument,
    load,
)
from segdrop.cli.result_table import print_findings
from segdrop.settings import Settings
from segdrop.spool.kept_models import MODEL_NAME
from segdrop.spool.layout import RootLayout

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help="A job id, a name in models/, a model file, or a result ZIP.")
]
OutputsOption = Annotated[
    str | None, typer.Option("--outputs", help="What is written, separated by commas: masks,overlay,coco")
]
#: Name of the ZIP that several files are packed into for the inbox.
PACKED_NAME = "images.zip"


def predict(  # noqa: PLR0913  (the options of a command)
    model: ModelArgument,
    paths: PathsArgument,
    *,
    output: Annotated[
        Path,
        typer.Option("-o", "--output", callback=OutputFolder, readable=False, help="Folder for what is predicted."),
    ],
    outputs: OutputsOption = None,
    request: RequestOption = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Predict images or a video with a trained model in the foreground, as the daemon would."""
    loaded = load(config, root)
    keys = _keys("predict", outputs, request, assignments)

    def drop(private: RootLayout) -> None:
        _write_request(private, _put(paths, private.inbox), keys, model)

    sys.exit(_run(loaded, output, drop))


def evaluate(  # noqa: PLR0913  (the options of a command)
    model: ModelArgument,
    zip_path: ZipArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", callback=OutputFolder, readable=False, help="Folder for the outputs asked for."),
    ] = None,
    outputs: OutputsOption = None,
    request: RequestOption = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Measure a trained model on a labelled ZIP in the foreground, as the daemon would."""
    loaded = load(config, root)
    keys = _keys("evaluate", outputs, request, assignments)
    name = f"{Path(inbox_name(zip_path)).stem}.zip"

    def drop(private: RootLayout) -> None:
        shutil.copyfile(zip_path, private.inbox / name)
        _write_request(private, name, keys, model)

    sys.exit(_run(loaded, output, drop))


def _run(loaded: Settings, output: Path | None, drop: Callable[[RootLayout], None]) -> int:
    """Runs the job, prints what was found, unpacks its result into ``output``, and returns the exit code."""
    with contextlib.ExitStack() as stack:
        folder = output or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        job = stack.enter_context(finished(loaded, folder, drop))
        if job.answer is not None:
            print_findings(job.answer)
        if output is not None and job.archive is not None:
            _unpack(job.archive, output)
        return job.exit_code


def _keys(task: str, outputs: str | None, request: Path | None, assignments: list[str] | None) -> dict[str, Any]:
    """Returns the request less its model; what the command line says wins."""
    keys = given_keys(request, assignments)
    if outputs is not None:
        keys["outputs"] = [name.strip() for name in outputs.split(",") if name.strip()]
    return keys | {"task": task}


def _write_request(private: RootLayout, input_name: str, keys: dict[str, Any], model: str) -> None:
    wanted = {"model": _placed(model, private.models)} | keys
    path = private.inbox / f"{Path(input_name).stem}.json"
    path.write_text(json.dumps(wanted), encoding="utf-8")


def _placed(model: str, models: Path) -> str:
    """Returns the name by which a request calls the model. One that is named by its path is put into ``models``."""
    path = Path(model)
    if not path.exists():
        return model
    if path.suffix.lower() == ".zip" and _take_model(path, models / f"{path.stem}.pth"):
        return f"{path.stem}.pth"
    if not (models / path.name).exists():
        (models / path.name).symlink_to(path.absolute())
    return path.name


def _take_model(archive_path: Path, target: Path) -> bool:
    """Copies the model out of a result ZIP; returns False where it is none."""
    try:
        with zipfile.ZipFile(archive_path) as archive, archive.open(MODEL_NAME) as source, target.open("wb") as stream:
            shutil.copyfileobj(source, stream)
    except (zipfile.BadZipFile, KeyError):
        return False
    return True


def _put(paths: Sequence[Path], inbox: Path) -> str:
    """Copies one file as it is, or packs several, or folders, into a ZIP; returns its name in the inbox."""
    if len(paths) == 1 and paths[0].is_file():
        name = inbox_name(paths[0])
        shutil.copyfile(paths[0], inbox / name)
        return name
    with zipfile.ZipFile(inbox / PACKED_NAME, "w") as archive:
        for path, name in _members(paths):
            archive.write(path, name)
    return PACKED_NAME


def _members(paths: Sequence[Path]) -> Iterator[tuple[Path, str]]:
    """Yields all regular files that are named, or lie in folders that are, each with its name in the ZIP."""
    taken: set[str] = set()
    for given in paths:
        for path in sorted(given.rglob("*")) if given.is_dir() else [given]:
            if path.is_file():
                name = path.relative_to(given.parent if given.is_dir() and len(paths) > 1 else given).as_posix()
                name = _free(path.name if name == "." else name, taken)
                taken.add(name.casefold())
                yield path, name


def _free(name: str, taken: set[str]) -> str:
    """Returns a name that no other file has: files of the same name in several places are numbered."""
    number, free = 1, name
    while free.casefold() in taken:
        number += 1
        free = f"{number}/{name}"
    return free


def _unpack(archive_path: Path, folder: Path) -> None:
    """Puts the files of a result into a folder, in which those of an earlier run are replaced."""
    with zipfile.ZipFile(archive_path) as archive:
        archive.extractall(folder)
        count = len(archive.namelist())
    tables.terminal().print(f"{count} files in {tables.clean(folder)}", soft_wrap=True, highlight=False)
