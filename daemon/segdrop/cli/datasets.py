"""The commands ``check``, ``convert`` and ``demo``: read a ZIP, rewrite it in the canonical layout, make one up."""

import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from segdrop.cli import new_file, tables
from segdrop.cli.foreground_check import check_spec, print_report, run_check
from segdrop.cli.given_request import given_request
from segdrop.cli.options import (
    ConfigOption,
    JsonOption,
    OutputFile,
    OutputFolder,
    RequestOption,
    RootOption,
    SetOption,
    ZipArgument,
    load,
)
from segdrop.dataset.report import OVERLAY_MARK, OVERLAY_MARK_WITHIN_BYTES, CheckReport
from segdrop.errors import Exit, has_fault
from segdrop.spec import ConvertSpec


def check(  # noqa: PLR0913  (its options)
    zip_path: ZipArgument,
    *,
    request: RequestOption = None,
    assignments: SetOption = None,
    samples: Annotated[
        Path | None,
        typer.Option(
            "--samples",
            callback=OutputFolder,
            readable=False,
            help="Folder for ten pictures of images and masks, to look at.",
        ),
    ] = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Read and validate a ZIP without training; say what was understood, then what is wrong."""
    loaded = load(config, root)
    if samples is not None:
        _make_room(samples)
    with tempfile.TemporaryDirectory(prefix="segdrop-check-") as folder:
        spec = check_spec(loaded, zip_path, given_request(zip_path, request, assignments), Path(folder))
        if samples is not None:
            spec = spec.model_copy(update={"samples_dir": samples.absolute()})
        report = run_check("check", spec, Path(folder))
    issues = report.issues
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        print_report(report, "[green]ready to train[/green]", "[red]cannot be trained on[/red]")
        if samples is not None:
            _print_samples(samples)
    sys.exit(Exit.DATA if has_fault(issues) else Exit.OK)


def _make_room(samples: Path) -> None:
    """Makes an empty folder. Overlays of an earlier check are removed, and nothing else ever is."""
    if samples.is_dir():
        earlier = list(samples.iterdir())
        foreign = next((path.name for path in earlier if not _is_overlay(path)), None)
        if foreign is not None:
            message = f"{samples} holds {foreign}, which is no picture of a check: name an empty folder"
            raise typer.BadParameter(message, param_hint="--samples")
        for path in earlier:
            path.unlink()
    samples.mkdir(parents=True, exist_ok=True)


def _is_overlay(path: Path) -> bool:
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as stream:
        return OVERLAY_MARK in stream.read(OVERLAY_MARK_WITHIN_BYTES)


def _print_samples(samples: Path) -> None:
    count = len(list(samples.iterdir()))
    what = f"pictures to look at: {count} in {tables.clean(samples)}" if count else "no class is known: no pictures"
    tables.terminal().print(what, highlight=False, soft_wrap=True)


def convert(  # noqa: PLR0913  (its options)
    zip_path: ZipArgument,
    output: Annotated[Path, typer.Argument(callback=OutputFile, readable=False, help="ZIP to write.")],
    *,
    max_images: Annotated[int | None, typer.Option(min=1, help="Only so many pairs, of a seeded shuffle.")] = None,
    skip_bad: Annotated[
        bool, typer.Option("--skip-bad", help="Leave out pairs that cannot be used, if not more than half.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the ZIP to write, if there is one.")] = False,
    request: RequestOption = None,
    assignments: SetOption = None,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Write any readable dataset as images/, masks/ and labels.txt, with class ids in the masks."""
    loaded = load(config, root)
    _refuse(zip_path, output, force=force)
    keys = [*(assignments or []), *([f"max_images={max_images}"] if max_images else [])]
    part = new_file.part_of(output)
    try:
        with tempfile.TemporaryDirectory(prefix="segdrop-convert-") as folder:
            spec = check_spec(loaded, zip_path, given_request(zip_path, request, keys), Path(folder))
            wanted = ConvertSpec(**spec.model_dump(), output_path=part, skip_bad=skip_bad)
            report = run_check("convert", wanted, Path(folder))
        if report.dataset is not None:
            new_file.publish(part, output, force=force)
    finally:
        part.unlink(missing_ok=True)  # of a child that was killed, too
    print_report(report, _written(report, output), "[red]cannot be converted[/red]")
    sys.exit(Exit.OK if report.dataset is not None else Exit.DATA)


def _refuse(zip_path: Path, output: Path, *, force: bool) -> None:
    """Tells usage errors before hours of work."""
    if output.exists() and output.samefile(zip_path):
        raise typer.BadParameter(f"{output} is the ZIP to read", param_hint="OUTPUT")
    new_file.refuse_existing(output, force=force)


def _written(report: CheckReport, output: Path) -> str:
    pairs = report.dataset.pairs if report.dataset else 0
    return f"[green]wrote[/green] {tables.clean(output)}: {pairs} pairs"


def demo(
    output: Annotated[Path, typer.Argument(callback=OutputFile, readable=False, help="Where to write it.")] = Path(
        "demo.zip"
    ),
    *,
    count: Annotated[int, typer.Option(min=4, max=10_000, help="Images.")] = 80,
    size: Annotated[int, typer.Option(min=32, max=2048, help="Pixels a side.")] = 96,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Write a small generated dataset."""
    from segdrop.dataset.demo import write_demo  # noqa: PLC0415  (numpy and Pillow: not for the daemon's memory)

    write_demo(output, count=count, size=size, seed=seed)
    tables.terminal().print(
        f"wrote {tables.clean(output)}: {count} images, {size} x {size} pixels",
        soft_wrap=True,
        highlight=False,
    )
