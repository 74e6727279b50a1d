"""The commands ``status``, ``jobs``, ``show``, ``cancel`` and ``retry``: jobs at work and finished.

Whoever may read the outbox alone gets the same answers: jobs at work then come from the live status. Orders are files
in the inbox, as anybody with the share can make them.
"""

import json
import os
import re
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import typer

from segdrop.answers import Progress
from segdrop.cli import doctor, tables
from segdrop.cli.doctor import Pulse
from segdrop.cli.options import ConfigOption, JsonOption, RootOption, existing, load
from segdrop.cli.result_table import print_result
from segdrop.codes import Code, Severity
from segdrop.errors import UnavailableError
from segdrop.intake import names
from segdrop.record import Record
from segdrop.request import nearest
from segdrop.results import live_status, reading
from segdrop.results.reading import ForeignError, PublishedResult, PublishedStatus
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import Store
from segdrop.stages import attempts

#: Whatever a job may be called: no path, no option, no hidden name.
_JOB_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
#: stands for the status of a daemon that has never run
_NO_STATUS: dict[str, Any] = {"jobs": [], "inbox": [], "ignored": [], "ignored_count": 0, "daemon": {}}


class JobLine(Record):
    """A job as the commands list it."""

    job: str
    state: str
    input: str
    detail: str
    progress: Progress | None
    attempts: int

    @property
    def row(self) -> tuple[str, str, str, str]:
        """Its cells in the table of jobs."""
        return self.job, self.state, self.input, self.detail


@dataclass(frozen=True, slots=True)
class AtWork:
    """The jobs at work. ``complete`` is false where they cannot be seen, and ``problem`` is why."""

    lines: list[JobLine]
    complete: bool = True
    problem: str = ""

    @property
    def jobs(self) -> list[str]:
        """Ids of the jobs at work."""
        return [line.job for line in self.lines]


def status(*, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """Show what is running, what waits, and why."""
    layout = existing(load(config, root))
    pulse = doctor.pulse(layout, doctor.now())
    at_work = _at_work(layout, pulse.status)
    if as_json:
        state = pulse.status.content if pulse.status else dict(_NO_STATUS)
        daemon = state["daemon"] | {"alive": pulse.alive, "pid": pulse.pid, "known_by": pulse.words}
        jobs_at_work = [line.to_json() for line in at_work.lines]
        typer.echo(json.dumps(state | {"daemon": daemon, "jobs": jobs_at_work}, indent=2))
        return
    terminal = tables.terminal()
    terminal.print(f"daemon: {tables.clean(_daemon_line(pulse))}", highlight=False, soft_wrap=True)
    rows = [line.row for line in at_work.lines]
    if pulse.status is not None:
        rows += [("", "inbox", line.name, line.reason) for line in pulse.status.inbox]
        rows += [("", "ignored", line.name, line.reason) for line in pulse.status.ignored]
    if rows:
        terminal.print(tables.job_table(rows))
    elif at_work.complete:
        terminal.print("nothing to do")
    _mention(at_work.problem)


def _daemon_line(pulse: Pulse) -> str:
    line = f"running ({pulse.words})" if pulse.alive else f"not running ({pulse.words})"
    if pulse.status is None:
        return f"{line}; {pulse.problem}" if pulse.alive else line
    reason = pulse.status.daemon.reason
    return f"{line}, paused: {reason}" if pulse.alive and reason else line


def jobs(*, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """List all jobs: those at work, and those that are finished (from the outbox)."""
    layout = existing(load(config, root))
    at_work = _look_for_work(layout)
    outbox = reading.read_outbox(layout)
    lines = [*at_work.lines, *(_finished_line(result) for result in outbox.results)]
    if as_json:
        typer.echo(json.dumps([line.to_json() for line in lines], indent=2))
    else:
        rows = [line.row for line in lines]
        tables.terminal().print(tables.job_table(rows) if rows else "no jobs")
    unreadable = [f"outbox/{name}: {reason}" for name, reason in outbox.unreadable]
    more = f" (and {len(unreadable) - 1} more files)" if len(unreadable) > 1 else ""
    _mention("; ".join(filter(None, [at_work.problem, *(found + more for found in unreadable[:1])])))


def show(job: str, *, as_json: JsonOption = False, config: ConfigOption = None, root: RootOption = None) -> None:
    """Show one job: its outcome, metrics and issues, or how far it is."""
    layout = existing(load(config, root))
    result = _result(layout, job)
    if result is not None:
        if as_json:
            typer.echo(json.dumps(result.content, indent=2))
        else:
            print_result(result)
        return
    at_work = _look_for_work(layout)
    line = next((line for line in at_work.lines if line.job == job), None)
    if line is None:
        raise _no_such_job(layout, job, [*at_work.jobs, *reading.published_jobs(layout)], at_work.problem)
    if as_json:
        typer.echo(json.dumps(line.to_json(), indent=2))
        return
    tables.terminal().print(tables.job_table([line.row]))


def _result(layout: RootLayout, job: str) -> PublishedResult | None:
    """Reads the job's result; None if there is none.

    ``UnavailableError`` names what else has its place; ``OSError`` where it is closed to us.
    """
    if not _JOB_ID.fullmatch(job):
        return None
    try:
        return reading.read_result(layout.published_json(job))
    except FileNotFoundError:
        return None
    except ForeignError as error:
        raise UnavailableError(Code.ROOT_UNAVAILABLE, f"outbox/{error}") from error


def _look_for_work(layout: RootLayout) -> AtWork:
    return _at_work(layout, doctor.pulse(layout, doctor.now()).status)


def _at_work(layout: RootLayout, live: PublishedStatus | None) -> AtWork:
    """Looks once for the jobs at work: a second look could find that a job has ended since.

    They are known by their folders; where these are closed to us, by the live status.
    """
    store = Store(layout)
    try:
        found = store.list().jobs
    except (FileNotFoundError, NotADirectoryError):
        return AtWork([])
    except OSError as error:
        if live is None:
            return AtWork([], complete=False, problem=f"jobs at work cannot be seen: work/: {error.strerror}")
        lines = [_line(job.job, job.state, job.input, job.progress, job.attempts) for job in live.jobs]
        return AtWork(lines)
    return AtWork(
        [
            _line(
                job.id,
                str(job.state),
                job.input_name,
                live_status.progress_of(job, store.files(job)),
                attempts.number(job, store.files(job)),
            )
            for job in found
        ]
    )


def _line(job: str, state: str, name: str, progress: Progress | None, attempts: int) -> JobLine:
    detail = tables.describe_progress(progress)
    return JobLine(job=job, state=state, input=name, detail=detail, progress=progress, attempts=attempts)


def _finished_line(result: PublishedResult) -> JobLine:
    mean_iou = result.metrics.mean_iou if result.metrics else None
    detail = _predicted(result) if mean_iou is None else f"mean IoU {mean_iou:.4f}"
    if fault := next((issue for issue in result.issues if issue.severity is Severity.FAULT), None):
        detail = f"{fault.code}: {fault.message}"
    line = _line(result.job, result.status, result.input.name, None, result.attempts)
    return line.model_copy(update={"detail": detail})


def _predicted(result: PublishedResult) -> str:
    """Returns how many images a prediction is of; empty where that cannot be told."""
    predictions = result.content.get("predictions")
    images = predictions.get("images") if isinstance(predictions, dict) else None
    return f"{images} images" if isinstance(images, int) else ""


def _mention(problem: str) -> None:
    """Tells on stderr what could not be seen, beside what could."""
    if problem:
        tables.terminal(stderr=True).print(tables.clean(problem), highlight=False, soft_wrap=True)


def cancel(job: str, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Cancel a job that is queued or training. The daemon sees to it; the input goes to failed/."""
    layout = existing(load(config, root))
    at_work = _look_for_work(layout)
    if job in at_work.jobs:
        _leave_word(layout, job, names.CANCEL_SUFFIX)
        return
    result, problem = _result_as_far_as_seen(layout, job)
    if result is not None:
        raise typer.BadParameter(f"{job} has ended ({result.status}): there is nothing to cancel", param_hint="JOB")
    if at_work.complete or not _JOB_ID.fullmatch(job):
        raise _no_such_job(layout, job, at_work.jobs, problem)
    _leave_word(layout, job, names.CANCEL_SUFFIX, at_work.problem)


def retry(job: str, *, config: ConfigOption = None, root: RootOption = None) -> None:
    """Run an ended job again, as a new job, with the input that failed/ or done/ keeps."""
    layout = existing(load(config, root))
    at_work = _look_for_work(layout)
    if job in at_work.jobs:
        raise typer.BadParameter(f"{job} is still at work: there is nothing to retry", param_hint="JOB")
    kept, problems = _kept(layout)
    result, problem = _result_as_far_as_seen(layout, job)
    if job in kept or (result is not None and problems):
        _leave_word(layout, job, names.RETRY_SUFFIX)
        return
    if result is not None:
        raise typer.BadParameter(f"{job} has ended, and its input is not kept any more", param_hint="JOB")
    if not problem or not _JOB_ID.fullmatch(job):
        raise _no_such_job(layout, job, [*kept, *_published(layout)], "; ".join(problems))
    _leave_word(layout, job, names.RETRY_SUFFIX, "; ".join([*problems, problem]))


def _kept(layout: RootLayout) -> tuple[list[str], list[str]]:
    """Lists the jobs whose input is kept, and says which of the two folders cannot be looked into."""
    kept: list[str] = []
    problems = []
    for folder in (layout.failed, layout.done):
        try:
            kept += os.listdir(folder)  # noqa: PTH208  (names only)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            problems.append(f"{folder.name}/ cannot be looked into: {error.strerror}")
    return kept, problems


def _result_as_far_as_seen(layout: RootLayout, job: str) -> tuple[PublishedResult | None, str]:
    """Reads the job's result, or says why the outbox cannot tell."""
    try:
        return _result(layout, job), ""
    except UnavailableError as error:  # something else has its name
        return None, str(error)
    except OSError as error:
        return None, f"outbox/{job}.json cannot be looked at: {error.strerror}"


def _published(layout: RootLayout) -> list[str]:
    try:
        return reading.published_jobs(layout)
    except OSError:
        return []


def _leave_word(layout: RootLayout, job: str, suffix: str, problem: str = "") -> None:
    """Asks the daemon as anyone with the share can: by a file in the inbox.

    ``problem`` says why it could not be looked up first whether there is such a job.
    """
    order = layout.inbox / f"{job}{suffix}"
    try:  # O_EXCL: never through a link, and another user's file is there, not forbidden (fs.protected_regular)
        os.close(os.open(order, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666))
    except FileExistsError:
        effect = "is there already"
    else:
        pulse = doctor.pulse(layout, doctor.now())
        effect = "the daemon will see to it" if pulse.alive else "takes effect when the daemon runs"
    if problem:
        effect += f"; whether there is such a job cannot be seen from here ({problem})"
    tables.terminal().print(f"{tables.clean(order)}: {tables.clean(effect)}", soft_wrap=True, highlight=False)


def _no_such_job(layout: RootLayout, job: str, known: list[str], unseen: str = "") -> typer.BadParameter:
    guess = nearest(job, known) or nearest(PurePath(job).stem, known)
    hint = f"; did you mean {guess}?" if guess else ""
    limit = f" ({unseen})" if unseen else ""
    return typer.BadParameter(f"there is no such job in {layout.root}: {job}{hint}{limit}", param_hint="JOB")
