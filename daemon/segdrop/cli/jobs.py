"""``status``, ``jobs``, ``show``, ``cancel``, ``retry``: jobs at work and finished."""

import json
from pathlib import Path
from typing import Any

import typer

from segdrop import console
from segdrop.cli.options import ConfigOption, JsonOption, RootOption, existing, load
from segdrop.cli.results import print_outcome
from segdrop.delivery import board
from segdrop.errors import ConfigError
from segdrop.intake import names
from segdrop.request import nearest
from segdrop.spool import root as spool_root
from segdrop.spool.job import Job
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import Store


def status(*, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """What is running, what waits, and why."""
    layout = existing(load(config, root))
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


def jobs(*, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """All jobs: at work, and finished (from the outbox)."""
    layout = existing(load(config, root))
    lines = _job_lines(layout)
    finished = sorted(layout.outbox.glob("*.json"), key=lambda path: path.stat().st_mtime)
    results = (_read_json(path) for path in finished if path != layout.status)
    lines += [_finished_line(result) for result in results if result and "job" in result]
    if as_json:
        typer.echo(json.dumps(lines, indent=2))
        return
    rows = [(line["job"], line["state"], line["input"], line["detail"]) for line in lines]
    console.terminal().print(console.job_table(rows) if rows else "no jobs")


def show(job: str, *, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """One job: its outcome, metrics and issues, or how far it is."""
    layout = existing(load(config, root))
    terminal = console.terminal()
    if result := _read_json(layout.published_json(job)):
        if as_json:
            typer.echo(json.dumps(result, indent=2))
            return
        terminal.print(f"{console.clean(job)}: {result['status']} (input {console.clean(result['input']['name'])})")
        if result["dataset"]:
            terminal.print(console.understood_table(result["dataset"]))
        print_outcome(result, terminal)
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


def cancel(job: str, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Cancel a job that is queued or training. The daemon sees to it; the input goes to failed/."""
    layout = existing(load(config, root))
    if job not in _job_ids(layout):
        raise ConfigError(_no_such_job(layout, job, _job_ids(layout)))
    _leave_word(layout, f"{job}{names.CANCEL_SUFFIX}")


def retry(job: str, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Run an ended job again, as a new job, with the input that failed/ or done/ keeps."""
    layout = existing(load(config, root))
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
