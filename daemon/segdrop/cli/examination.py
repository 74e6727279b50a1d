"""The check of one ZIP for somebody who waits for it: the child, the bar, the report."""

import json
import time
from pathlib import Path

from segdrop import console
from segdrop.cli.request import GivenRequest
from segdrop.dataset.report import CheckReport
from segdrop.delivery import board
from segdrop.errors import DataError, Issue, SegdropError, UnavailableError
from segdrop.execution import outcome as child_outcome
from segdrop.execution.outcome import Ending
from segdrop.execution.output import tail
from segdrop.execution.process import Child, Command
from segdrop.settings import Settings
from segdrop.spec import CheckSpec
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import read_optional

_LOOK_SECONDS = 0.1


def check_order(loaded: Settings, zip_path: Path, request: GivenRequest | None, folder: Path) -> CheckSpec:
    """What the check is told; its answers go into ``folder``, and there is no cache."""
    sidecar = None
    if request is not None:
        sidecar = folder / "request.json"
        sidecar.write_bytes(request.content)
    return CheckSpec(
        job=None,
        archive=zip_path.absolute(),
        name=zip_path.name,
        sidecar=sidecar,
        sidecar_name=request.name if request else None,
        defaults=loaded.defaults,
        models_dir=RootLayout(loaded.root).models,
        limits=loaded.limits.for_child(),
        cache_dir=None,
        report_path=folder / "report.json",
        progress_path=folder / "progress.json",
        error_path=folder / "error.json",
        lock_path=None,
    )


def examined(command: str, order: CheckSpec, folder: Path) -> CheckReport:
    """Run the child (``check`` or ``convert``) to its end; errors say what became of it where there is no report."""
    spec_path, log_path = folder / "spec.json", folder / "log"
    spec_path.write_text(json.dumps(order.dump()), encoding="utf-8")
    child = Command("segdrop.dataset", (command, str(spec_path)), log_path, one_thread=True).start(now=0.0)
    try:
        status = _ended(child, order)
    finally:
        child.kill()
    result = child_outcome.read(status, answered=order.report_path.exists(), error_file=read_optional(order.error_path))
    match result.ending:
        case Ending.FINISHED:
            report = CheckReport.load(order.report_path)
            if report.changed_while_read:
                raise UnavailableError("root.unavailable", f"somebody still writes to {order.name}: try again later")
            return report
        case Ending.KILLED:
            raise DataError([Issue.of("archive.reader_died", f"{order.name}: {result.detail}", files=[order.name])])
        case Ending.ENVIRONMENT:
            raise UnavailableError("disk.full", f"the {command} failed: {result.detail}\n{tail(log_path)}")
        case _:
            raise SegdropError(f"the {command} failed: {result.detail}\n{tail(log_path)}")


def _ended(child: Child, order: CheckSpec) -> int:
    """The child's exit status. On a terminal, a bar shows how far it is."""
    terminal = console.terminal(stderr=True)
    if not terminal.is_terminal or order.progress_path is None:
        return child.popen.wait()
    with console.ProgressDisplay(terminal) as display:
        while True:
            display.show(order.name, board.read_progress(order.progress_path))
            if (status := child.poll()) is not None:
                return status
            time.sleep(_LOOK_SECONDS)


def print_report(report: CheckReport, good: str, bad: str) -> None:
    """What was understood, then the issues, then the verdict."""
    terminal = console.terminal()
    understood = report.dataset or report.understood
    if understood is not None:
        dataset = understood.model_dump()
        terminal.print(console.understood_table(dataset), "", sep="\n")
        if dataset["classes"]:
            terminal.print(console.class_table(dataset), "", sep="\n")
    if report.issues:
        terminal.print(console.issue_table(report.issue_list()))
    verdict = good if report.dataset is not None else bad
    terminal.print(f"\n{verdict} (checked in {report.seconds:.1f} s)", highlight=False, soft_wrap=True)
