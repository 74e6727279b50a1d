"""Tables and progress bars, as the commands print them."""

import contextlib
from collections.abc import Iterable, Iterator
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as ProgressBar
from rich.table import Table

from segdrop.answers import CheckProgress, InferenceProgress, Progress, SplitMetrics, TrainProgress
from segdrop.cli.doctor import Finding
from segdrop.codes import Severity
from segdrop.dataset.report import Confidence, DatasetSummary, Understood
from segdrop.errors import Issue
from segdrop.model_files.catalogue import ModelEntry
from segdrop.results.live_status import JobStatus, Status
from segdrop.results.reading import IssueLine
from segdrop.weights_files import OnProgress

_CONFIDENCE_STYLE = {Confidence.CERTAIN: "green", Confidence.ASSUMED: "dim", Confidence.DOUBTFUL: "yellow"}
_SEVERITY_STYLE = {Severity.FAULT: "bold red", Severity.WARNING: "yellow", Severity.NOTE: "dim"}


class _Terminal(Console):
    def on_broken_pipe(self) -> None:
        """Leaves the error to the command's edge, where every other error of the system ends."""
        raise  # noqa: PLE0704  (rich calls this while it handles the error)


def terminal(*, stderr: bool = False) -> Console:
    """Returns a console that prints names as they are: ``:x:`` in one stands for no picture."""
    return _Terminal(stderr=stderr, emoji=False)


def clean(text: object) -> str:
    """Returns text from outside for a terminal: without markup, control or invisible characters."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    body = printable.rstrip("\\")
    trailing = len(printable) - len(body)
    # rich halves the backslashes before a tag, and only there: an empty tag makes sure of one
    return escape(body) + ("\\" * 2 * trailing + "[none][/none]" if trailing else "")


def issue_table(issues: Iterable[Issue | IssueLine]) -> Table:
    """Returns a table with a row for each issue, its first files below what was found."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in ("severity", "code", "what was found", "what to do"):
        table.add_column(column, overflow="fold")
    for issue in issues:
        files = ", ".join(clean(name) for name in issue.files[:5])
        more = f" (+{issue.count - 5} more)" if issue.count > max(5, len(issue.files[:5])) else ""
        listed = f"\n[dim]{files}{more}[/dim]" if files else ""
        style = _SEVERITY_STYLE[issue.severity]
        table.add_row(
            f"[{style}]{issue.severity}[/{style}]",
            issue.code,
            clean(issue.message) + listed,
            clean(issue.fix),
        )
    return table


def model_table(entries: Iterable[ModelEntry]) -> Table:
    """Returns a table with a row for each model that a request can name, or could if it had no fault."""
    table = Table(box=None, pad_edge=False, show_edge=False, header_style="bold")
    for column in ("model", "kind", "classes", "input", "mean IoU", "SHA-256", "from"):
        table.add_column(column, overflow="fold")
    for entry in entries:
        table.add_row(
            clean(entry.name),
            _kind(entry),
            str(len(entry.classes)) if entry.classes else "",
            f"{entry.input_size.height} x {entry.input_size.width}" if entry.input_size else "",
            f"{entry.mean_iou:.3f}" if entry.mean_iou is not None else "",
            (entry.sha256 or "")[:12],
            clean(entry.origin) if entry.problem is None else f"[red]{clean(entry.problem.message)}[/red]",
        )
    return table


def _kind(entry: ModelEntry) -> str:
    """Returns what a model is, and how to install what it needs where that is missing."""
    if entry.is_installed or entry.extra is None:
        return str(entry.kind or "")
    line = escape(f"pip install 'segdrop[{entry.extra}]'")
    return f"{entry.kind} [yellow]({line})[/yellow]"


def understood_table(dataset: DatasetSummary | Understood) -> Table:
    """Returns how a dataset was read, before anything that is wrong with it; as far as it is known."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _understood_rows(dataset):
        table.add_row(name, clean(value))
    for position, assumption in enumerate(dataset.assumptions):
        table.add_row("assumed" if position == 0 else "", clean(assumption))
    return table


def argument_table(dataset: DatasetSummary | Understood) -> Table:
    """Returns a table with a row for each decision: what was read, by what, what else it might have been, how sure."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "read as", "because", "rather than", "sure"):
        table.add_column(column, overflow="fold")
    for argument in dataset.arguments:
        style = _CONFIDENCE_STYLE[argument.confidence]
        rival = ": ".join(part for part in (argument.runner_up, argument.why_not) if part)
        table.add_row(
            f"[bold]{argument.part}[/bold]",
            clean(argument.reading),
            clean(argument.evidence),
            clean(rival),
            f"[{style}]{argument.confidence}[/{style}]",
        )
    return table


def _understood_rows(dataset: DatasetSummary | Understood) -> Iterator[tuple[str, object]]:
    if not dataset.arguments:  # of an earlier version, which kept no more
        yield "layout", dataset.layout + (f": {dataset.reason}" if dataset.reason else "")
    yield "pairs", dataset.pairs
    if ignored := dataset.ignored_pixels:
        yield "ignored pixels", f"{ignored / (ignored + sum(dataset.class_pixels or [])):.2%}"
    if isinstance(dataset, DatasetSummary) and dataset.image_size is not None:
        height, width = dataset.image_size
        yield "training size", f"{height} x {width} pixels (height x width)"


def class_table(dataset: DatasetSummary | Understood) -> Table:
    """Returns a table with a row for each class, empty where the classes are not known."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class id", justify="right")
    table.add_column("name", overflow="fold")
    table.add_column("mask value", justify="right")
    table.add_column("share of pixels", justify="right")
    counts = dataset.class_pixels or []
    total = sum(counts) or 1
    rows = zip(dataset.classes or [], dataset.mask_values or [], counts, strict=True)
    for class_id, (name, value, pixels) in enumerate(rows):
        table.add_row(str(class_id), clean(name), str(value), f"{pixels / total:.2%}")
    return table


def metrics_table(metrics: SplitMetrics) -> Table:
    """Returns a table with a row for each class and one for the means."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("class", "IoU", "accuracy", "Dice"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for name, each in metrics.per_class.items():
        table.add_row(clean(name), *(_number(value) for value in (each.iou, each.accuracy, each.dice)))
    table.add_section()
    means = (metrics.mean_iou, metrics.mean_accuracy, metrics.mean_dice)
    table.add_row("[bold]mean[/bold]", *(f"[bold]{_number(value)}[/bold]" for value in means))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def finding_table(findings: Iterable[Finding]) -> Table:
    """Returns a table of the doctor's findings."""
    table = Table(box=None, pad_edge=False, show_header=False)
    mark = {True: "[green]ok[/green]", False: "[bold red]no[/bold red]", None: "[dim]--[/dim]"}
    for finding in findings:
        table.add_row(mark[finding.ok], finding.subject, clean(finding.detail))
    return table


def job_table(rows: Iterable[tuple[str, str, str, str]]) -> Table:
    """Returns a table of jobs; each row has job, state, input and detail."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("job", "state", "input", "detail"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(clean(cell) for cell in row))
    return table


def describe_progress(progress: Progress | None) -> str:
    """Returns a child's progress as one line; empty where nothing is known."""
    match progress:
        case None:
            return ""
        case CheckProgress(stage="check"):
            return f"checked {progress.done} of {progress.total} files"
        case CheckProgress():
            return f"converted {progress.done} of {progress.total} pairs"
        case TrainProgress():
            return ", ".join(_training_parts(progress))
        case InferenceProgress():
            return ", ".join(_inference_parts(progress))


def _training_parts(progress: TrainProgress) -> Iterator[str]:
    yield f"epoch {progress.epoch}/{progress.epochs}"
    if progress.loss is not None:
        yield f"loss {progress.loss:.3f}"
    if progress.mean_iou is not None:
        yield f"mean IoU {progress.mean_iou:.3f}"
    if progress.images_per_second is not None:
        yield f"{progress.images_per_second:.1f} images/s"
    if progress.eta_seconds is not None:
        yield f"{format_seconds(progress.eta_seconds)} left"


def _inference_parts(progress: InferenceProgress) -> Iterator[str]:
    of_all = f" of {progress.total}" if progress.total else ""
    yield f"{'predicted' if progress.stage == 'predict' else 'evaluated'} {progress.done}{of_all} images"
    if progress.images_per_second is not None:
        yield f"{progress.images_per_second:.1f} images/s"
    if progress.eta_seconds is not None:
        yield f"{format_seconds(progress.eta_seconds)} left"


def format_seconds(seconds: float) -> str:
    """Returns a time for people, in its two largest units."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class ProgressDisplay:
    """A bar for the job at work, on a terminal. It is a ``service.status.Listener``."""

    def __init__(self, console: Console) -> None:
        self._progress = ProgressBar(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[job]}"),
            BarColumn(bar_width=24),
            TextColumn("{task.description}"),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._task: TaskID | None = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def update(self, status: Status) -> None:
        """Shows the job that is furthest, or what is waited for."""
        line = _most_advanced(status.jobs)
        if line is None:
            first = next(iter(status.inbox), None)
            self._set("inbox", f"waiting for {first.name}: {first.reason}" if first else "waiting", None, 1)
            return
        self.show(line.job, line.progress, line.state)

    def show(self, subject: str, progress: Progress | None, state: str = "starting") -> None:
        """Shows one job or file, with a child's progress, and its ``state`` while there is none."""
        done, total = _share(progress)
        self._set(subject, describe_progress(progress) or state, done, total)

    def _set(self, job: str, description: str, done: float | None, total: float) -> None:
        if self._task is None:
            self._task = self._progress.add_task("", job="", total=None)
        self._progress.update(
            self._task,
            job=clean(job),
            description=clean(description),
            total=None if done is None else total,
            completed=done or 0,
        )


@contextlib.contextmanager
def download_bar(console: Console, name: str) -> Iterator[OnProgress]:
    """Shows a bar for one download, where the console is a terminal.

    Yields the function to call with the number of bytes so far and, where it is known, of all of them.
    """
    columns = (BarColumn(bar_width=24), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with ProgressBar(
        TextColumn("{task.description}"), *columns, console=console, transient=True, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(clean(name), total=None)
        yield lambda done_bytes, total_bytes: progress.update(task, completed=done_bytes, total=total_bytes)


def _share(progress: Progress | None) -> tuple[int | None, int]:
    """Returns how much is done, and of how much."""
    match progress:
        case None:
            return None, 1
        case CheckProgress():
            return progress.done, progress.total
        case TrainProgress():
            return progress.step, progress.steps
        case InferenceProgress():
            return (progress.done, progress.total) if progress.total else (None, 1)


def _most_advanced(lines: list[JobStatus]) -> JobStatus | None:
    order = ("computed", "running", "claimed", "checked", "concluded")
    ranked = sorted((line for line in lines if line.state in order), key=lambda line: order.index(line.state))
    return ranked[0] if ranked else None
