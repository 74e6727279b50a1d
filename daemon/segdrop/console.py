"""What the commands print: tables and the progress bar. No decisions."""

from collections.abc import Iterable, Iterator
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table

from segdrop.delivery.board import Board, JobLine
from segdrop.doctor import Finding
from segdrop.errors import Issue

_SEVERITY_STYLE = {"fault": "bold red", "warning": "yellow", "note": "dim"}


def terminal(*, stderr: bool = False) -> Console:
    """A console that prints names as they are: ``:x:`` in one stands for no picture."""
    return Console(stderr=stderr, emoji=False)


def clean(text: object) -> str:
    """Text from outside, for a terminal: no markup, no control or invisible characters."""
    printable = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))
    body = printable.rstrip("\\")
    trailing = len(printable) - len(body)
    # rich halves the backslashes before a tag, and only there: an empty tag makes sure of one
    return escape(body) + ("\\" * 2 * trailing + "[none][/none]" if trailing else "")


def issue_table(issues: Iterable[Issue]) -> Table:
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


def understood_table(dataset: dict[str, Any]) -> Table:
    """How a dataset was read, before anything that is wrong with it; as far as it is known."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in _understood_rows(dataset):
        table.add_row(name, clean(value))
    for position, assumption in enumerate(dataset["assumptions"]):
        table.add_row("assumed" if position == 0 else "", clean(assumption))
    return table


def _understood_rows(dataset: dict[str, Any]) -> Iterator[tuple[str, object]]:
    reason = dataset.get("reason")
    yield "layout", dataset["layout"] + (f": {reason}" if reason else "")
    yield "pairs", dataset["pairs"]
    sides = f"{dataset['train']} train, {dataset['val']} val, {dataset['test']} test"
    if split := dataset.get("split"):
        yield "split", f"{sides} ({split})"
    elif dataset["train"] or dataset["val"] or dataset["test"]:
        yield "split", f"{sides} (in the ZIP)"
    if encoding := dataset["mask_encoding"]:
        yield "masks", encoding
        yield "ignored value", "none" if dataset["ignore_index"] is None else dataset["ignore_index"]
    if ignored := dataset.get("ignored_pixels"):
        yield "ignored pixels", f"{ignored / (ignored + sum(dataset['class_pixels'])):.2%}"
    if size := dataset.get("image_size"):
        yield "training size", f"{size[0]} x {size[1]} pixels (height x width)"


def class_table(dataset: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class id", justify="right")
    table.add_column("name", overflow="fold")
    table.add_column("mask value", justify="right")
    table.add_column("share of pixels", justify="right")
    total = sum(dataset["class_pixels"]) or 1
    rows = zip(dataset["classes"], dataset["mask_values"], dataset["class_pixels"], strict=True)
    for class_id, (name, value, pixels) in enumerate(rows):
        table.add_row(str(class_id), clean(name), str(value), f"{pixels / total:.2%}")
    return table


def metrics_table(metrics: dict[str, Any]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("class", "IoU", "accuracy", "Dice"):
        table.add_column(column, justify="left" if column == "class" else "right")
    for name, values in metrics["per_class"].items():
        table.add_row(clean(name), *(_number(values[key]) for key in ("iou", "accuracy", "dice")))
    table.add_section()
    means = ("mean_iou", "mean_accuracy", "mean_dice")
    table.add_row("[bold]mean[/bold]", *(f"[bold]{_number(metrics[key])}[/bold]" for key in means))
    return table


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"


def finding_table(findings: Iterable[Finding]) -> Table:
    table = Table(box=None, pad_edge=False, show_header=False)
    mark = {True: "[green]ok[/green]", False: "[bold red]no[/bold red]", None: "[dim]--[/dim]"}
    for finding in findings:
        table.add_row(mark[finding.ok], finding.subject, clean(finding.detail))
    return table


def job_table(rows: Iterable[tuple[str, str, str, str]]) -> Table:
    """Rows of job, state, input, detail."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("job", "state", "input", "detail"):
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(clean(cell) for cell in row))
    return table


def describe_progress(progress: dict[str, Any] | None) -> str:
    """A child's progress as a line."""
    if not progress:
        return ""
    if progress.get("stage") == "check":
        return f"checked {progress.get('done')} of {progress.get('total')} files"
    if progress.get("stage") == "convert":
        return f"converted {progress.get('done')} of {progress.get('total')} pairs"
    eta = progress.get("eta_seconds")
    parts = [f"epoch {progress.get('epoch')}/{progress.get('epochs')}"]
    if (loss := progress.get("loss")) is not None:
        parts.append(f"loss {loss:.3f}")
    if (mean_iou := progress.get("mean_iou")) is not None:
        parts.append(f"mean IoU {mean_iou:.3f}")
    if (speed := progress.get("images_per_second")) is not None:
        parts.append(f"{speed:.1f} images/s")
    if eta is not None:
        parts.append(f"{format_seconds(eta)} left")
    return ", ".join(parts)


def format_seconds(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"


class ProgressDisplay:
    """A bar for the job at work, on a terminal. A ``service.Listener``."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
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

    def update(self, state: Board) -> None:
        line = _most_advanced(state.jobs)
        if line is None:
            waiting = f"waiting for {state.waiting[0][0]}: {state.waiting[0][1]}" if state.waiting else "waiting"
            self._set("inbox", waiting, None, 1)
            return
        self.show(line.job, line.progress, line.state)

    def show(self, subject: str, progress: dict[str, Any] | None, state: str = "starting") -> None:
        """One job or file, with a child's progress, and its ``state`` while there is none."""
        progress = progress or {}
        done = progress.get("step", progress.get("done"))
        total = progress.get("steps", progress.get("total", 1))
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


def _most_advanced(lines: list[JobLine]) -> JobLine | None:
    order = ("trained", "started", "claimed", "queued", "concluded")
    ranked = sorted((line for line in lines if line.state in order), key=lambda line: order.index(line.state))
    return ranked[0] if ranked else None
