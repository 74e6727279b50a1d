"""What the daemon tells the world each second: the live board, the monitor's metrics, the service manager.

None of it may stop the work: a folder that cannot be written is reported by the work itself.
"""

import os
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Protocol

from segdrop import __version__, durable, logs
from segdrop.delivery import board, prometheus
from segdrop.intake.inbox import Arrival
from segdrop.notify import Notifier
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.layout import RootLayout

_LEAST_SECONDS = 1.0
_MAX_BYSTANDERS = 200
#: Beyond the time that the training has to stop: to record how it ended.
_STOP_MARGIN_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class State:
    """The daemon at one moment. ``now`` is monotonic, ``wall`` for people.

    ``alive``: a turn of the loop has come to its end, and no scan is overdue. Without it the watchdog is left to
    end us.
    """

    state: str
    alive: bool
    reason: str
    now: float
    wall: datetime
    scan_age_seconds: float
    jobs: list[Job]
    arrivals: list[Arrival]
    bystanders: Mapping[str, str]
    outcomes: Counter[Outcome]


class Listener(Protocol):
    """Somebody who shows what happens (the foreground commands)."""

    def update(self, state: board.Board) -> None: ...


class Bulletin:
    """Publishes at most once a second."""

    def __init__(self, layout: RootLayout, started_at: datetime, listener: Listener | None, notifier: Notifier) -> None:
        self._layout = layout
        self._started_at = started_at
        self._listener = listener
        self._notifier = notifier
        self._next = 0.0
        self._last_success_at: float | None = None
        self._failed = False

    def ended(self, outcome: Outcome, wall: datetime) -> None:
        if outcome is Outcome.SUCCEEDED:
            self._last_success_at = wall.timestamp()

    def stopping(self, stop_seconds: float) -> None:
        self._notifier.stopping(stop_seconds + _STOP_MARGIN_SECONDS)

    def publish(self, state: State) -> None:
        if state.now < self._next and state.state != "stopped":
            return
        self._next = state.now + _LEAST_SECONDS
        current = self._board(state)
        if self._listener is not None:
            self._listener.update(current)
        if state.alive:
            self._notifier.alive(status_line(current))
        self._write(current, state)

    def _write(self, current: board.Board, state: State) -> None:
        daemon = {
            "pid": os.getpid(),
            "version": __version__,
            "started_at": self._started_at.isoformat(timespec="seconds"),
            "scan_age_seconds": round(state.scan_age_seconds, 1),
        }
        try:
            content = current.to_json(daemon, state.wall.isoformat(timespec="seconds"))
            board.write(self._layout.status, content, self._layout.status_draft)
            durable.replace_quickly(self._layout.metrics, prometheus.render(self._measurements(state)).encode())
            self._failed = False
        except OSError as error:
            if not self._failed:
                logs.get().warning("board.unwritable", reason=str(error))
            self._failed = True

    def _board(self, state: State) -> board.Board:
        return board.Board(
            state=state.state,
            reason=state.reason,
            jobs=[
                board.JobLine(
                    job=job.id,
                    input_name=job.input_name,
                    state=str(job.state),
                    priority=job.priority,
                    attempts=job.attempts,
                    progress=board.read_progress(self._layout.job(job.id).progress),
                )
                for job in state.jobs
            ],
            waiting=[(arrival.name, arrival.reason) for arrival in state.arrivals],
            ignored=list(islice(state.bystanders.items(), _MAX_BYSTANDERS)),
            ignored_count=len(state.bystanders),
            finished={str(outcome): count for outcome, count in state.outcomes.items()},
        )

    def _measurements(self, state: State) -> prometheus.Measurements:
        queued = [job for job in state.jobs if job.state in (JobState.CLAIMED, JobState.QUEUED)]
        now = state.wall.timestamp()
        since = [job.claimed_at for job in queued]
        since += [arrival.observation.archive.ctime_ns / 1e9 for arrival in state.arrivals]
        return prometheus.Measurements(
            now=now,
            started_at=self._started_at.timestamp(),
            scan_at=now - state.scan_age_seconds,
            queued=len(queued),
            waiting=len(state.arrivals),
            running=sum(job.state is JobState.STARTED for job in state.jobs),
            oldest_wait_seconds=max(0.0, now - min(since, default=now)),
            outcomes={str(outcome): state.outcomes.get(outcome, 0) for outcome in Outcome},
            last_success_at=self._last_success_at,
            paused=state.state == "paused",
        )


def status_line(current: board.Board) -> str:
    """One line for ``systemctl status``: the job, its epoch, the queue."""
    running = next((line for line in current.jobs if line.state == "started"), None)
    queued = sum(line.state in ("claimed", "queued") for line in current.jobs)
    parts = [f"{current.state}: {current.reason}" if current.reason else current.state]
    if running:
        progress = running.progress or {}
        epoch = f" epoch {progress['epoch']}/{progress['epochs']}" if "epoch" in progress else ""
        parts.append(f"training {running.job}{epoch}")
    parts.append(f"{queued} queued, {len(current.waiting)} in the inbox")
    return "; ".join(parts)
