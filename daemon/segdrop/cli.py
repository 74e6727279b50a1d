"""The commands: the only place that loads settings and wires objects together."""

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console

from segdrop import __version__, catalog, console, doctor, logs, settings, weights
from segdrop.dataset.report import CheckReport
from segdrop.delivery import board
from segdrop.errors import ConfigError, DataError, Exit, Issue, SegdropError, UnavailableError, has_fault
from segdrop.execution import outcome as child_outcome
from segdrop.execution.output import tail
from segdrop.execution.process import Command
from segdrop.intake import filesystem, names
from segdrop.intake.watch import Wakeup, watching
from segdrop.request import nearest
from segdrop.service import Service
from segdrop.settings import IntakeSettings, Settings
from segdrop.spec import CheckSpec
from segdrop.spool import root as spool_root
from segdrop.spool.job import Job
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import Store, read_optional

app = typer.Typer(
    name="segdrop",
    help="Drop a dataset ZIP into a folder, get a trained segmentation model back.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
models_app = typer.Typer(help="Architectures and weights.", invoke_without_command=True)
app.add_typer(models_app, name="models")

RootOption = Annotated[Path | None, typer.Option("--root", help="Folder with inbox/, outbox/ and the others.")]
ConfigOption = Annotated[Path | None, typer.Option("--config", help="Settings file (TOML).")]
JsonOption = Annotated[bool, typer.Option("--json", help="Machine-readable.")]
RequestOption = Annotated[
    Path | None, typer.Option("--request", help="Request (JSON); default: NAME.json beside the ZIP.")
]
SetOption = Annotated[list[str] | None, typer.Option("--set", help="One request key, as KEY=VALUE; repeatable.")]
ZipArgument = Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="Dataset ZIP.")]


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


def _load(config: Path | None, root: Path | None) -> Settings:
    loaded = settings.load(config, {"root": root} if root else {})
    logs.configure(loaded.log.format, loaded.log.level)
    return loaded.model_copy(update={"root": loaded.root.absolute()})


def _existing(loaded: Settings) -> RootLayout:
    layout = RootLayout(loaded.root)
    if not layout.work.is_dir():
        raise UnavailableError("root.unavailable", f"there is no segdrop root at {loaded.root} (`segdrop init`)")
    return layout


# the daemon


@app.command()
def run(config: ConfigOption = None, root: RootOption = None) -> None:
    """Run the daemon, until SIGTERM or Ctrl-C."""
    sys.exit(_serve(_load(config, root), until_drained=False))


@app.command()
def once(config: ConfigOption = None, root: RootOption = None) -> None:
    """Process what is in the inbox, then exit: 0 only if every job succeeded."""
    loaded = _load(config, root)
    copied = loaded.intake.model_copy(update={"incomplete_seconds": loaded.intake.settle_seconds})
    sys.exit(_serve(loaded.model_copy(update={"intake": copied}), until_drained=True))


def _serve(loaded: Settings, *, until_drained: bool) -> Exit:
    layout = RootLayout(loaded.root)
    spool_root.open_root(layout, require_sentinel=loaded.service.require_sentinel)
    loaded = _suited_to_filesystem(loaded, layout)
    wakeup = Wakeup()
    terminal = console.terminal(stderr=True)
    with ExitStack() as stack:
        stack.enter_context(spool_root.held(layout))
        stack.enter_context(wakeup.on_signals())
        if loaded.intake.watch:
            stack.enter_context(watching(layout.inbox, wakeup))
        display = None
        if until_drained and terminal.is_terminal:
            display = stack.enter_context(console.ProgressDisplay(terminal))
        logs.get().info("daemon.started", root=str(loaded.root), pid=os.getpid(), version=__version__)
        return Service(loaded, wakeup, listener=display).run(until_drained=until_drained)


def _suited_to_filesystem(loaded: Settings, layout: RootLayout) -> Settings:
    """On a network mount: no events to wait for, and more time for what other machines still write."""
    found = filesystem.type_of(layout.inbox)
    if not filesystem.is_network(found):
        return loaded
    seconds = max(loaded.intake.settle_seconds, filesystem.NETWORK_SETTLE_SECONDS)
    logs.get().info("inbox.on_network", filesystem=found, watch=False, settle_seconds=seconds)
    intake = loaded.intake.model_copy(update={"watch": False, "settle_seconds": seconds})
    return loaded.model_copy(update={"intake": intake})


@app.command()
def init(
    root: Annotated[Path | None, typer.Argument(help="Folder to set up.")] = None, config: ConfigOption = None
) -> None:
    """Make the folders and the sentinel, and check that files can be renamed between them."""
    loaded = _load(config, root)
    layout = RootLayout(loaded.root)
    spool_root.open_root(layout, require_sentinel=False)
    console.terminal().print(
        f"ready: {console.clean(layout.root)}\ncopy dataset ZIPs into {console.clean(layout.inbox)}",
        soft_wrap=True,
    )


# one ZIP in the foreground


@app.command()
def check(
    zip_path: ZipArgument,
    *,
    request: RequestOption = None,
    as_json: JsonOption = False,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """Read and validate a ZIP without training: what was understood, then what is wrong."""
    loaded = _load(config, root)
    with tempfile.TemporaryDirectory(prefix="segdrop-check-") as folder:
        report = _check(loaded, zip_path.absolute(), request or _sidecar_of(zip_path), Path(folder))
    issues = report.issue_list()
    if as_json:
        typer.echo(report.model_dump_json(indent=2))
    else:
        _print_report(report, issues)
    sys.exit(Exit.DATA if has_fault(issues) else Exit.OK)


def _check(loaded: Settings, zip_path: Path, sidecar: Path | None, folder: Path) -> CheckReport:
    spec = CheckSpec(
        job=None,
        archive=zip_path,
        name=zip_path.name,
        sidecar=sidecar.absolute() if sidecar else None,
        sidecar_name=sidecar.name if sidecar else None,
        defaults=loaded.defaults,
        models_dir=RootLayout(loaded.root).models,
        limits=loaded.limits.for_child(),
        cache_dir=None,
        report_path=folder / "report.json",
        progress_path=None,
        error_path=folder / "error.json",
        lock_path=None,
    )
    spec_path, log_path = folder / "spec.json", folder / "log"
    spec_path.write_text(json.dumps(spec.dump()), encoding="utf-8")
    child = Command("segdrop.dataset", ("check", str(spec_path)), log_path, one_thread=True).start(now=0.0)
    try:
        status = child.popen.wait()
    finally:
        child.kill()
    result = child_outcome.read(status, answered=spec.report_path.exists(), error_file=read_optional(spec.error_path))
    if result.ending is child_outcome.Ending.FINISHED:
        return CheckReport.load(spec.report_path)
    if result.ending is child_outcome.Ending.KILLED:
        raise DataError([Issue.of("archive.reader_died", f"{zip_path.name}: {result.detail}", files=[zip_path.name])])
    raise SegdropError(f"the check failed: {result.detail}\n{tail(log_path)}")


def _print_report(report: CheckReport, issues: list[Issue]) -> None:
    terminal = console.terminal()
    if report.dataset is not None:
        dataset = report.dataset.model_dump()
        terminal.print(console.understood_table(dataset), "", console.class_table(dataset), "", sep="\n")
    if issues:
        terminal.print(console.issue_table(issues))
    verdict = "[red]cannot be trained on[/red]" if has_fault(issues) else "[green]ready to train[/green]"
    terminal.print(f"\n{verdict} (checked in {report.seconds:.1f} s)", highlight=False)


def _sidecar_of(zip_path: Path) -> Path | None:
    sidecar = zip_path.with_suffix(".json")
    return sidecar if sidecar.is_file() else None


@app.command()
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
    loaded = _load(config, root)
    wanted = _request_values(request or _sidecar_of(zip_path), assignments or [])
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".segdrop-", dir=output) as folder:
        private = RootLayout(Path(folder).absolute())
        spool_root.create(private)
        _link_models(RootLayout(loaded.root).models, private.models)
        stem = zip_path.stem.lstrip(".~") or "data"  # an inbox leaves such names alone; this one was asked for
        shutil.copyfile(zip_path, private.inbox / f"{stem}.zip")
        if wanted is not None:
            (private.inbox / f"{stem}.json").write_bytes(wanted)
        intake = IntakeSettings(settle_seconds=0, incomplete_seconds=0, scan_seconds=0.5, watch=False)
        status = _serve(loaded.model_copy(update={"root": private.root, "intake": intake}), until_drained=True)
        results = sorted(path for path in private.outbox.iterdir() if path != private.status)
        for path in results:
            shutil.move(path, output / path.name)
    _print_results([output / path.name for path in results])
    sys.exit(_foreground_exit([output / path.name for path in results], status))


def _request_values(path: Path | None, assignments: list[str]) -> bytes | None:
    """The sidecar to use, verbatim unless keys are set on the command line."""
    content = path.read_bytes() if path else None
    if not assignments:
        return content
    values = json.loads(content) if content else {}
    for assignment in assignments:
        key, separator, value = assignment.partition("=")
        if not separator:
            raise typer.BadParameter(f"{assignment!r} is not KEY=VALUE", param_hint="--set")
        values[key] = settings.decoded(value)
    return json.dumps(values).encode()


def _link_models(source: Path, target: Path) -> None:
    if source.is_dir():
        for path in source.iterdir():
            (target / path.name).symlink_to(path)


def _print_results(paths: list[Path]) -> None:
    terminal = console.terminal()
    for path in paths:
        terminal.print(console.clean(path), soft_wrap=True, highlight=False)
        if path.suffix == ".json":
            _print_outcome(json.loads(path.read_bytes()), terminal)


def _print_outcome(result: dict[str, Any], terminal: Console) -> None:
    issues = [Issue.from_json(issue) for issue in result["issues"]]
    if issues:
        terminal.print(console.issue_table(issues))
    if result["metrics"]:
        terminal.print(console.metrics_table(result["metrics"]))


def _foreground_exit(paths: list[Path], status: Exit) -> int:
    statuses = {json.loads(path.read_bytes())["status"] for path in paths if path.suffix == ".json"}
    return Exit.DATA if "rejected" in statuses else status


@app.command()
def demo(
    output: Annotated[Path, typer.Argument(help="Where to write it.")] = Path("demo.zip"),
    *,
    count: Annotated[int, typer.Option(min=4, max=10_000, help="Images.")] = 80,
    size: Annotated[int, typer.Option(min=32, max=2048, help="Pixels a side.")] = 96,
    seed: Annotated[int, typer.Option(min=0)] = 0,
) -> None:
    """Write a small generated dataset."""
    from segdrop.dataset.demo import write_demo  # noqa: PLC0415  (numpy and Pillow: not for the daemon's memory)

    write_demo(output, count=count, size=size, seed=seed)
    console.terminal().print(
        f"wrote {console.clean(output)}: {count} images, {size} x {size} pixels",
        soft_wrap=True,
        highlight=False,
    )


# looking


@app.command()
def status(*, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """What is running, what waits, and why."""
    layout = _existing(_load(config, root))
    state = _read_json(layout.status) or {
        "jobs": [],
        "inbox": [],
        "ignored": [],
        "ignored_count": 0,
        "daemon": {},
    }
    pid = spool_root.holder(layout)
    state["daemon"] |= {"alive": pid is not None, "pid": pid}
    state["jobs"] = _job_lines(layout)
    if as_json:
        typer.echo(json.dumps(state, indent=2))
        return
    terminal = console.terminal()
    alive = f"running (PID {pid})" if pid else "not running"
    reason = state["daemon"].get("reason")
    terminal.print(
        f"daemon: {alive}" + (f", paused: {console.clean(reason)}" if pid and reason else ""), highlight=False
    )
    rows = [(line["job"], line["state"], line["input"], line["detail"]) for line in state["jobs"]]
    rows += [("", "inbox", line["name"], line["reason"]) for line in state["inbox"]]
    rows += [("", "ignored", line["name"], line["reason"]) for line in state["ignored"]]
    terminal.print(console.job_table(rows) if rows else "nothing to do")


@app.command()
def jobs(*, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """All jobs: at work, and finished (from the outbox)."""
    layout = _existing(_load(config, root))
    lines = _job_lines(layout)
    finished = sorted(layout.outbox.glob("*.json"), key=lambda path: path.stat().st_mtime)
    results = (_read_json(path) for path in finished if path != layout.status)
    lines += [_finished_line(result) for result in results if result and "job" in result]
    if as_json:
        typer.echo(json.dumps(lines, indent=2))
        return
    rows = [(line["job"], line["state"], line["input"], line["detail"]) for line in lines]
    console.terminal().print(console.job_table(rows) if rows else "no jobs")


@app.command()
def show(job: str, *, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """One job: its outcome, metrics and issues, or how far it is."""
    layout = _existing(_load(config, root))
    terminal = console.terminal()
    if result := _read_json(layout.published_json(job)):
        if as_json:
            typer.echo(json.dumps(result, indent=2))
            return
        terminal.print(f"{console.clean(job)}: {result['status']} (input {console.clean(result['input']['name'])})")
        if result["dataset"]:
            terminal.print(console.understood_table(result["dataset"]))
        _print_outcome(result, terminal)
        return
    line = next((line for line in _job_lines(layout) if line["job"] == job), None)
    if line is None:
        known = [*_job_ids(layout), *(path.stem for path in layout.outbox.glob("*.json"))]
        raise ConfigError(_no_such_job(layout, job, known))
    if as_json:
        typer.echo(json.dumps(line, indent=2))
        return
    terminal.print(console.job_table([(line["job"], line["state"], line["input"], line["detail"])]))


def _job_ids(layout: RootLayout) -> list[str]:
    return [job.id for job in Store(layout).list().jobs]


def _job_lines(layout: RootLayout) -> list[dict[str, Any]]:
    """The jobs at work, from one look: a second one could find that a job has ended since."""
    store = Store(layout)
    return [_job_line(store, job) for job in store.list().jobs]


def _job_line(store: Store, job: Job) -> dict[str, Any]:
    progress = board.read_progress(store.files(job).progress)
    return {
        "job": job.id,
        "state": str(job.state),
        "input": job.input_name,
        "detail": console.describe_progress(progress),
        "progress": progress,
        "attempts": job.attempts,
    }


def _finished_line(result: dict[str, Any]) -> dict[str, Any]:
    faults = [issue for issue in result["issues"] if issue["severity"] == "fault"]
    detail = f"mean IoU {result['metrics']['mean_iou']:.4f}" if result["metrics"] else ""
    if faults:
        detail = f"{faults[0]['code']}: {faults[0]['message']}"
    return {
        "job": result["job"],
        "state": result["status"],
        "input": result["input"]["name"],
        "detail": detail,
        "progress": None,
        "attempts": result["attempts"],
    }


def _read_json(path: Path) -> dict[str, Any] | None:
    return board.read_progress(path)


@app.command()
def cancel(job: str, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Cancel a job that is queued or training. The daemon sees to it; the input goes to failed/."""
    layout = _existing(_load(config, root))
    if job not in _job_ids(layout):
        raise ConfigError(_no_such_job(layout, job, _job_ids(layout)))
    _leave_word(layout, f"{job}{names.CANCEL_SUFFIX}")


@app.command()
def retry(job: str, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Run an ended job again, as a new job, with the input that failed/ or done/ keeps."""
    layout = _existing(_load(config, root))
    kept = [path.name for folder in (layout.failed, layout.done) for path in folder.iterdir()]
    if job not in kept:
        raise ConfigError(_no_such_job(layout, job, kept))
    _leave_word(layout, f"{job}{names.RETRY_SUFFIX}")


def _leave_word(layout: RootLayout, name: str) -> None:
    """Ask the daemon, as anybody with the share can: by a file in the inbox."""
    (layout.inbox / name).touch()
    effect = "the daemon will see to it" if spool_root.holder(layout) else "takes effect when the daemon runs"
    console.terminal().print(f"{console.clean(layout.inbox / name)}: {effect}", soft_wrap=True, highlight=False)


def _no_such_job(layout: RootLayout, job: str, known: list[str]) -> str:
    guess = nearest(job, known)
    return f"there is no such job in {layout.root}: {job}" + (f"; did you mean {guess}?" if guess else "")


@app.command("doctor")
def run_doctor(*, config: ConfigOption = None, root: RootOption = None) -> None:
    """Is this machine ready: folders, renames, filesystem, space, weights, precision."""
    findings = list(doctor.examine(_load(config, root)))
    console.terminal().print(console.finding_table(findings))
    sys.exit(Exit.TRY_LATER if any(finding.ok is False for finding in findings) else Exit.OK)


@app.command()
def health(*, config: ConfigOption = None, root: RootOption = None) -> None:
    """Is the daemon alive and able to work? For monitors: exit 0 or 75, one line."""
    finding = doctor.health(RootLayout(_load(config, root).root), doctor.now())
    console.terminal().print(console.clean(finding.detail), soft_wrap=True, highlight=False)
    sys.exit(Exit.OK if finding.ok else Exit.TRY_LATER)


@app.command("config")
def show_config(
    *,
    show_sources: Annotated[bool, typer.Option("--show-sources", help="Where each value comes from.")] = False,
    config: ConfigOption = None,
    root: RootOption = None,
) -> None:
    """The settings in effect."""
    loaded = _load(config, root)
    values = loaded.model_dump(mode="json")
    origin = settings.sources(config, os.environ, {"root": root} if root else {})
    for key in settings.keys():  # noqa: SIM118  (a function)
        section, _, name = key.rpartition(".")
        value = values[section][name] if section else values[name]
        typer.echo(f"{key} = {json.dumps(value)}" + (f"  # {origin[key]}" if show_sources else ""))


# models


@models_app.callback()
def models(context: typer.Context, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Architectures, the weights that `pretrained: auto` looks for, and what is installed."""
    if context.invoked_subcommand is not None:
        return
    loaded = _load(config, root)
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


@models_app.command()
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
    loaded = _load(config, root)
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
