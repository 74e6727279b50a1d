"""How a result is shown: by ``train`` when it is there, by ``show`` later."""

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from segdrop import console
from segdrop.errors import Issue


def print_results(paths: list[Path]) -> None:
    terminal = console.terminal()
    for path in paths:
        terminal.print(console.clean(path), soft_wrap=True, highlight=False)
        if path.suffix == ".json":
            print_outcome(json.loads(path.read_bytes()), terminal)


def print_outcome(result: dict[str, Any], terminal: Console) -> None:
    issues = [Issue.from_json(issue) for issue in result["issues"]]
    if issues:
        terminal.print(console.issue_table(issues))
    if result["metrics"]:
        terminal.print(console.metrics_table(result["metrics"]))
