"""Prints results: for ``train`` when they are there, for ``show`` later."""

from pathlib import Path

from rich.console import Console, RenderableType

from segdrop.answers import PredictionSummary, SplitMetrics
from segdrop.cli import tables
from segdrop.codes import Code
from segdrop.dataset.report import DatasetSummary
from segdrop.errors import UnavailableError
from segdrop.results import reading
from segdrop.results.reading import PublishedResult


def print_results(paths: list[Path]) -> None:
    """Prints the names of delivered files, and the issues and metrics of those that are results."""
    terminal = tables.terminal()
    for path in paths:
        terminal.print(tables.clean(path), soft_wrap=True, highlight=False)
        if path.suffix == ".json":
            _print_all(_tables(reading.read_result(path)), terminal)


def print_findings(path: Path) -> None:
    """Prints the issues and metrics of a result's JSON."""
    _print_all(_tables(reading.read_result(path)), tables.terminal())


def print_result(result: PublishedResult) -> None:
    """Prints the outcome, how the dataset was read, issues and metrics.

    Raises ``UnavailableError`` where it is no result that this version understands.
    """
    try:
        parts = _understood(result) + _tables(result)
    except (TypeError, ValueError) as error:
        problem = f"outbox/{result.job}.json cannot be understood ({_words(error)}); --json shows it"
        raise UnavailableError(Code.ROOT_UNAVAILABLE, problem) from error
    head = f"{tables.clean(result.job)}: {tables.clean(result.status)} (input {tables.clean(result.input.name)})"
    _print_all([head, *parts], tables.terminal())


def _words(error: Exception) -> str:
    """Returns an error on one line, which pydantic's are not."""
    return " ".join(f"{type(error).__name__}: {error}".split())


def _understood(result: PublishedResult) -> list[RenderableType]:
    if not (content := result.content.get("dataset")):
        return []
    dataset = DatasetSummary.model_validate(content)
    argued: list[RenderableType] = [tables.argument_table(dataset), ""] if dataset.arguments else []
    return [*argued, tables.understood_table(dataset)]


def _tables(result: PublishedResult) -> list[RenderableType]:
    metrics = result.content.get("metrics")
    parts: list[RenderableType] = [line] if (line := describe_predictions(result)) else []
    parts += [tables.issue_table(result.issues)] if result.issues else []
    return [*parts, tables.metrics_table(SplitMetrics.model_validate(metrics))] if metrics else parts


def describe_predictions(result: PublishedResult) -> str:
    """Returns what a prediction or an evaluation did, as one line; empty for a training, and where nothing was done."""
    if not (content := result.content.get("predictions")):
        return ""
    found = PredictionSummary.model_validate(content)
    skipped = f", {found.skipped} left out" if found.skipped else ""
    outputs = f": {', '.join(found.outputs)}" if found.outputs else ""
    return tables.clean(f"{found.images} images predicted{skipped}{outputs}")


def _print_all(parts: list[RenderableType], terminal: Console) -> None:
    for part in parts:
        terminal.print(part)
