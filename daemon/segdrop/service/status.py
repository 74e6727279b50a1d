"""The daemon's state, told each second: to people (status.json), to a monitor (metrics) and to the service manager.

None of it may stop the work: a folder that cannot be written is reported by the work itself.
"""

import json
import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Protocol

from segdrop import __version__, durable, logs
from segdrop.answers import InferenceProgress, TrainProgress
from segdrop.intake.inbox import Arrival
from segdrop.results import live_status
from segdrop.results.live_status import DaemonStatus, FileStatus, JobStatus, Status
from segdrop.service import prometheus
from segdrop.service.systemd import Notifier
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.layout import RootLayout
from segdrop.stages import attempts

_LEAST_SECONDS = 1.0
#: A monitor is another user, and none of the people.
_METRICS_MODE = 0o644
_MAX_BYSTANDERS = 200
#: Beyond the time that the training has to stop: to record how it ended.
_STOP_MARGIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class State:
    """The daemon at one moment. Its time ``now`` is monotonic, ``wall`` is for people.

    It is ``alive`` where a turn of the loop has come to its end and no scan is overdue; else the watchdog ends it.
    """

    state: str
    alive: bool
    reason: str
    now: float
    wall: datetime
    scan_age_seconds: float
    jobs: list[Job]
    reasons: Mapping[str, str]  #: why a job waits, by its id; empty where it does not
    arrivals: list[Arrival]
    bystanders: Mapping[str, str]
    outcomes: Counter[Outcome]
    at_work: frozenset[str] = frozenset()  #: the jobs that a child is working on
    fault: str = ""  #: code of the fault that pauses the queue; empty where people paused it, or nothing did


class Listener(Protocol):
    """Shows what happens, as the foreground commands do."""

    def update(self, status: Status) -> None:
        """Shows a new status, at most once a second."""


class StatusPublisher:
    """Publishes the daemon's state at most once a second."""

    def __init__(self, layout: RootLayout, started_at: datetime, listener: Listener | None, notifier: Notifier) -> None:
        self._layout = layout
        self._started_at = started_at
        self._listener = listener
        self._notifier = notifier
        self._next = 0.0
        self._last_success_at: float | None = None
        self._failed = False

    def ended(self, outcome: Outcome, wall: datetime) -> None:
        """Takes note of a job's end."""
        if outcome is Outcome.SUCCEEDED:
            self._last_success_at = wall.timestamp()

    def stopping(self, stop_seconds: float) -> None:
        """Asks the service manager for the time that children have to stop, and some more to record how they ended."""
        self._notifier.stopping(stop_seconds + _STOP_MARGIN_SECONDS)

    def publish(self, state: State) -> None:
        """Publishes the state, unless that was done less than a second ago; the last one always."""
        if state.now < self._next and state.state != "stopped":
            return
        self._next = state.now + _LEAST_SECONDS
        current = self._status_of(state)
        if self._listener is not None:
            self._listener.update(current)
        if state.alive:
            self._notifier.alive(status_line(current))
        self._write(current, state)

    def _write(self, current: Status, state: State) -> None:
        text = json.dumps(current.to_json(), indent=2, ensure_ascii=False)
        try:
            durable.replace_quickly(self._layout.status, text.encode("utf-8", "replace"), self._layout.status_draft)
            metrics = prometheus.render(self._measurements(state)).encode()
            durable.replace_quickly(self._layout.metrics, metrics, mode=_METRICS_MODE)
            self._failed = False
        except OSError as error:
            if not self._failed:
                logs.get().warning("board.unwritable", reason=str(error))
            self._failed = True

    def _status_of(self, state: State) -> Status:
        daemon = DaemonStatus(
            pid=os.getpid(),
            version=__version__,
            started_at=self._started_at.isoformat(timespec="seconds"),
            scan_age_seconds=round(state.scan_age_seconds, 1),
            state=state.state,
            reason=state.reason,
            fault=state.fault,
        )
        return Status(
            updated_at=state.wall,
            daemon=daemon,
            jobs=[self._job_status(job, state) for job in state.jobs],
            inbox=[FileStatus(name=arrival.name, reason=arrival.reason) for arrival in state.arrivals],
            ignored=[
                FileStatus(name=name, reason=reason)
                for name, reason in islice(state.bystanders.items(), _MAX_BYSTANDERS)
            ],
            ignored_count=len(state.bystanders),
            finished={str(outcome): count for outcome, count in state.outcomes.items()},
            schema_version=1,
        )

    def _job_status(self, job: Job, state: State) -> JobStatus:
        status = JobStatus(
            job=job.id,
            input=job.input_name,
            state=str(job.state),
            priority=job.priority,
            attempts=attempts.number(job, self._layout.job(job.id)),
        )
        is_at_work = job.id in state.at_work
        known = {
            "reason": state.reasons.get(job.id, ""),
            "progress": live_status.progress_of(job, self._layout.job(job.id)) if is_at_work else None,
        }
        return status.model_copy(update={key: value for key, value in known.items() if value})

    def _measurements(self, state: State) -> prometheus.Gauges:
        queued = [job for job in state.jobs if job.state in (JobState.CLAIMED, JobState.CHECKED)]
        now = state.wall.timestamp()
        since = [job.claimed_at for job in queued]
        since += [arrival.observation.archive.ctime_ns / 1e9 for arrival in state.arrivals]
        return prometheus.Gauges(
            now=now,
            started_at=self._started_at.timestamp(),
            scan_at=now - state.scan_age_seconds,
            queued=len(queued),
            waiting=len(state.arrivals),
            running=sum(job.state is JobState.RUNNING for job in state.jobs),
            oldest_wait_seconds=max(0.0, now - min(since, default=now)),
            outcomes={str(outcome): state.outcomes.get(outcome, 0) for outcome in Outcome},
            last_success_at=self._last_success_at,
            paused=state.state == "paused",
        )


def status_line(current: Status) -> str:
    """Returns one line for ``systemctl status``: the job at work, its epoch, the queue."""
    running = next((line for line in current.jobs if line.state == JobState.RUNNING), None)
    queued = sum(line.state in (JobState.CLAIMED, JobState.CHECKED) for line in current.jobs)
    daemon = current.daemon
    parts = [f"{daemon.state}: {daemon.reason}" if daemon.reason else daemon.state]
    if running:
        parts.append(_at_work(running))
    parts.append(f"{queued} queued, {len(current.inbox)} in the inbox")
    return "; ".join(parts)


def _at_work(running: JobStatus) -> str:
    match running.progress:
        case TrainProgress() as training:
            return f"training {running.job} epoch {training.epoch}/{training.epochs}"
        case InferenceProgress() as inference:
            doing = "predicting" if inference.stage == "predict" else "evaluating"
            return f"{doing} {running.job} image {inference.done}" + (f"/{inference.total}" if inference.total else "")
        case _:
            return f"at work on {running.job}"
