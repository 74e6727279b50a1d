"""The check of one ZIP in the foreground, for a person who waits for it: the child, the bar, the report."""

import contextlib
import json
import os
import time
from pathlib import Path

from segdrop import answers
from segdrop.child_runtime import BEGUN_NAME
from segdrop.cli import tables
from segdrop.cli.given_request import GivenRequest
from segdrop.codes import Code
from segdrop.dataset.report import CheckReport
from segdrop.errors import DataError, InstallationError, Issue, SegdropError, UnavailableError
from segdrop.execution import outcome as child_outcome
from segdrop.execution.local import LocalRunner
from segdrop.execution.outcome import ChildOutcome, Ending
from segdrop.execution.output import last_words, tail
from segdrop.execution.runner import Command, End, Handle
from segdrop.settings import Settings
from segdrop.spec import CheckSpec
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import read_optional

_LOOK_SECONDS = 0.05


def check_spec(loaded: Settings, zip_path: Path, request: GivenRequest | None, folder: Path) -> CheckSpec:
    """Returns what the check is told. Its answers go into ``folder``, and it builds no cache."""
    sidecar = None
    if request is not None:
        sidecar = folder / "request.json"
        sidecar.write_bytes(request.content)
    earlier = open_results(loaded)
    return CheckSpec(
        job=None,
        archive=zip_path.resolve(),  # a link that the caller names is theirs to follow; the child follows none
        name=zip_path.name,
        sidecar=sidecar,
        sidecar_name=request.name if request else None,
        defaults=loaded.defaults,
        models_dir=open_models(loaded) or folder / "no-models",
        outbox_dir=earlier.outbox if earlier else None,
        done_dir=earlier.done if earlier else None,
        limits=loaded.limits.for_child(),
        cache_dir=None,
        report_path=folder / "report.json",
        progress_path=folder / "progress.json",
        error_path=folder / "error.json",
        lock_path=None,
    )


def open_models(loaded: Settings) -> Path | None:
    """Returns the operator's ``models/``; None where there is none, or where it is closed to us, which is said."""
    folder = RootLayout(loaded.root).models
    try:
        os.scandir(folder).close()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        words = f"{folder}: {error.strerror}: its weights are left out"
        tables.terminal(stderr=True).print(tables.clean(words), highlight=False, soft_wrap=True)
        return None
    return folder


def open_results(loaded: Settings) -> RootLayout | None:
    """Returns the operator's root, whose models a training may start from.

    ``None`` where it has no results, or where the record of its models is closed to us, as ``done/`` is to all but the
    daemon's user: nothing is said of that unless a request needs one, and then the answer says it.
    """
    layout = RootLayout(loaded.root)
    try:
        for folder in (layout.outbox, layout.done):
            os.scandir(folder).close()
    except OSError:
        return None
    return layout


def run_check(command: str, spec: CheckSpec, folder: Path) -> CheckReport:
    """Runs the child (``check`` or ``convert``) to its end, and returns its report.

    Raises an error that says whose fault it is where the child gave none: ``DataError``, ``UnavailableError``,
    ``InstallationError``, or ``SegdropError`` for a defect of ours.
    """
    spec_path, log_path = folder / "spec.json", folder / "log"
    spec_path.write_text(json.dumps(spec.dump(folder, folder)), encoding="utf-8")
    started = Command("segdrop.dataset", (command, str(spec_path)), log_path, command, one_thread=True)
    child = LocalRunner().submit(started, now=0.0)
    try:
        end = _ended(child, spec)
    finally:
        child.kill()
    result = child_outcome.read(
        end.status,
        answered=spec.report_path.exists(),
        begun=(folder / BEGUN_NAME).exists(),
        error_file=read_optional(spec.error_path),
        last_words=last_words(tail(log_path)),
    )
    return _report(result, command, spec, log_path)


def _report(result: ChildOutcome, command: str, spec: CheckSpec, log_path: Path) -> CheckReport:
    match result.ending:
        case Ending.FINISHED:
            report = CheckReport.load(spec.report_path)
            if report.changed_while_read:
                raise UnavailableError(Code.ROOT_UNAVAILABLE, f"somebody still writes to {spec.name}: try again later")
            return report
        case Ending.DATA_FAULT:
            raise DataError(list(result.issues))
        case Ending.KILLED:
            raise DataError([Issue.of(Code.ARCHIVE_READER_DIED, f"{spec.name}: {result.detail}", files=[spec.name])])
        case Ending.ENVIRONMENT:
            code = result.fault.code if result.fault else "environment"
            raise UnavailableError(code, f"the {command} failed: {result.detail}")
        case Ending.INSTALLATION:
            raise InstallationError(command, f"the {command} process cannot begin: {result.detail}")
        case Ending.CORRUPT | Ending.STOPPED | Ending.DEFECT:
            raise SegdropError(f"the {command} failed: {result.detail}{_last_line(log_path)}")


def _last_line(log_path: Path) -> str:
    lines = tail(log_path).strip().splitlines()
    return f": {lines[-1]}" if lines else ""


def _ended(child: Handle, spec: CheckSpec) -> End:
    """Waits for the child's end. On a terminal, a bar shows how far it is."""
    terminal = tables.terminal(stderr=True)
    with tables.ProgressDisplay(terminal) if terminal.is_terminal else contextlib.nullcontext() as display:
        while (end := child.poll()) is None:
            if display is not None and spec.progress_path is not None:
                display.show(spec.name, answers.read_progress(spec.progress_path))
            time.sleep(_LOOK_SECONDS)
        return end


def print_report(report: CheckReport, good: str, bad: str) -> None:
    """Prints what was understood, then the issues, then ``good`` if the dataset can be used, or else ``bad``."""
    terminal = tables.terminal()
    understood = report.dataset or report.understood
    if understood is not None:
        terminal.print(tables.argument_table(understood), "", sep="\n")
        terminal.print(tables.understood_table(understood), "", sep="\n")
        if understood.classes:
            terminal.print(tables.class_table(understood), "", sep="\n")
    if report.issues:
        terminal.print(tables.issue_table(report.issues))
    verdict = good if report.dataset is not None else bad
    terminal.print(f"\n{verdict} (checked in {report.seconds:.1f} s)", highlight=False, soft_wrap=True)
