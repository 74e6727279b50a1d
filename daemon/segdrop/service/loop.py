"""The loop: intake, checks and the jobs' own work side by side, in one thread.

Every heavy thing is a child, so one turn of the loop takes milliseconds: look at the inbox, look after the children,
deliver, fill the slots. What is in memory can be thrown away at any turn: it is rebuilt from the folders.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from segdrop import logs
from segdrop.codes import Code
from segdrop.environment import Fault
from segdrop.errors import DeferredError, Exit, InstallationError, Issue, UnavailableError
from segdrop.execution.local import LocalRunner
from segdrop.execution.runner import Runner
from segdrop.intake.inbox import Inbox
from segdrop.intake.watch import Wakeup
from segdrop.service.admission import QUICK_CHECK, Admission
from segdrop.service.controls import Controls
from segdrop.service.pause import INSTALLATION, Pause
from segdrop.service.roster import Roster
from segdrop.service.slots import Slots
from segdrop.service.status import Listener, State, StatusPublisher
from segdrop.service.systemd import Notifier
from segdrop.settings import Settings
from segdrop.spool import recovery, retention, space
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.layout import RootLayout
from segdrop.spool.results import Results
from segdrop.spool.store import Store
from segdrop.stages import conclude
from segdrop.stages.stage import Context, Modules

_BUSY_SECONDS = 0.25  #: between turns while a child runs
_LEAST_SCAN_SECONDS = 0.5  #: between two scans, however many events there are
_MOST_SLEEP_SECONDS = 10.0  #: between turns, however rare the scans: the watchdog and people want a sign of life
_OVERDUE_SECONDS = 60.0  #: a scan that is so late is no sign of life
#: what makes the queue pause, and is charged to no job
_PAUSING = (OSError, UnavailableError, InstallationError)


@dataclass(slots=True)
class Clock:
    """Monotonic seconds for decisions, wall time for people."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class Service:
    """The daemon, less its process."""

    def __init__(  # noqa: PLR0913  (what a foreground command and tests put in the place of the usual)
        self,
        settings: Settings,
        wakeup: Wakeup,
        *,
        modules: Modules | None = None,
        runner: Runner | None = None,
        clock: Clock | None = None,
        listener: Listener | None = None,
        models_root: RootLayout | None = None,
    ) -> None:
        """Puts the parts of the daemon together; nothing is read or written yet.

        ``models_root`` is the root whose models a request may start from, where that is another than the settings'.
        """
        modules, runner = modules or Modules(), runner or LocalRunner()
        self.layout = RootLayout(settings.root)
        self.store = Store(self.layout)
        self._settings = settings
        self._wakeup = wakeup
        self._clock = clock or Clock()
        self._context = Context(settings, self.store, Results(self.layout), runner, modules, models_root)
        self._inbox = Inbox(
            self.layout.inbox,
            settings.intake,
            late_path=self.layout.late_requests,
            has_default_model=bool(settings.inference.default_model),
        )
        self._admission = Admission(self._context, self._inbox)
        self.roster = Roster(self._context, self._clock.monotonic)
        self.slots = Slots(self._context, self.roster)
        self._controls = Controls(self._context, self._inbox, self._admission, self.roster, self.slots)
        self._status = StatusPublisher(self.layout, self._clock.wall(), listener, Notifier())
        self._pause = Pause()
        self._last_scan = self._next_scan = 0.0
        self._retention = retention.Schedule()

    @property
    def jobs(self) -> dict[str, Job]:
        """The jobs at work, by id."""
        return self.roster.jobs

    def run(self, *, until_drained: bool = False) -> Exit:
        """Turns until a stop is requested or, with ``until_drained``, until there is nothing left to do."""
        self.recover()
        while not self._wakeup.stop_requested:
            self.turn()
            if until_drained and (self._pause.reason or self.drained() or self._is_held_up()):
                break
            self._sleep()
        self.stop()
        return self._drained_exit() if until_drained else Exit.OK

    def recover(self) -> None:
        """Sweeps what a crash has left, and goes on with the jobs on disk; UnavailableError where that is refused."""
        try:
            self.roster.adopt(recovery.recover(self.store), set(), self._clock.wall())
        except OSError as error:
            raise UnavailableError(Code.ROOT_UNAVAILABLE, Fault.of(error).message) from error

    def turn(self) -> None:
        """Makes one turn. What the environment does pauses; memory is rebuilt from the folders afterwards."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        try:
            if now >= self._pause.until:
                self.roster.require_root()
                if self._must_reload():
                    self._reload(wall)
                self.slots.look(now, wall, self._pause)
                self._take_in(now, wall)
                self._deliver(wall)
                self.slots.fill(now, wall, is_paused=self._inbox.paused)
                self._sweep(now, wall)
                self._pause.end()
        except _PAUSING as error:
            self._pause.begin(now, error)
        self._show(now)

    def _must_reload(self) -> bool:
        """After a fault of the environment; and now and then, where something in ``work/`` could not be read."""
        return self.roster.is_look_due() or self._pause.code not in ("", INSTALLATION)

    def _reload(self, wall: datetime) -> None:
        """Believes the folders: a change may have reached the disk although it raised."""
        self.roster.adopt(recovery.load(self.store), {order.name for order in self._inbox.orders}, wall)

    # intake and delivery

    def _take_in(self, now: float, wall: datetime) -> None:
        if now >= self._next_scan:
            self._inbox.scan(now, self.jobs.values())
            self._last_scan = now
            self._next_scan = now + self._inbox.next_due(now)
            self._controls.obey(now, wall)
        try:
            if self._admission.check_quickly(now):
                self._pause.begun(QUICK_CHECK)
            self._admission.reject(now, wall, partial(self._reject, wall))
            self._admit(now, wall)
        except DeferredError as error:
            self.roster.raise_if_all(error.fault)
        if self._admission.lacking_bytes and not self.jobs:
            raise space.lacks(self.layout, self._admission.lacking_bytes)

    def _admit(self, now: float, wall: datetime) -> None:
        free = space.free_bytes(self.layout) - self._settings.queue.reserve_bytes
        promised = space.promised_bytes(self.jobs.values())
        for job in self._admission.admit(self._room(), free - promised, now, wall):
            self.jobs[job.id] = job

    def _room(self) -> int:
        return self.roster.room(self._settings.queue.capacity)

    def _reject(self, wall: datetime, job: Job, issues: list[Issue]) -> None:
        self.jobs[job.id] = job
        self.roster.attempt(job, wall, partial(conclude.reject, self._context, job, issues, wall))

    def _deliver(self, wall: datetime) -> None:
        for job in list(self.jobs.values()):
            if job.state is JobState.CONCLUDED and self.roster.may_go_on(job):
                self.roster.attempt(job, wall, partial(conclude.deliver, self._context, job))
            found = self.jobs.get(job.id)
            if found and found.state is JobState.DELIVERED and self.roster.may_go_on(found):
                self.roster.attempt(found, wall, partial(self._archive, found))

    def _archive(self, job: Job) -> Job:
        conclude.archive(self._context, job)
        outcome = job.outcome or Outcome.FAILED
        self.roster.outcomes[outcome] += 1
        self._status.ended(outcome, self._clock.wall())
        return job

    def _sweep(self, now: float, wall: datetime) -> None:
        if self._retention.due(now, wall.timestamp()):
            retention.sweep(self.layout, wall.timestamp(), **self._settings.retention.model_dump())

    # the end

    def drained(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.jobs or self._admission.busy or self._inbox.unsettled())

    def _is_held_up(self) -> bool:
        """Nothing is at work, and what is left waits for others: it was refused something, or there is PAUSE."""
        now = self._clock.monotonic()
        if self._admission.busy or self.slots.busy or self._inbox.settling():
            return False
        held = [job for job in self.jobs.values() if self._is_held(job, now)]
        has_room = self._room() > 0 and not self._admission.lacking_bytes
        return len(held) == len(self.jobs) and not (has_room and self._admission.may_claim(now))

    def _is_held(self, job: Job, now: float) -> bool:
        is_due = self.roster.delays.is_due(job.id, now)
        return not is_due or (self._inbox.paused and job.state is JobState.CHECKED)

    def _drained_exit(self) -> Exit:
        """Whether everything that people left in the inbox has its answer; what has none is said, each once."""
        held_by = self._pause.reason or ("inbox/PAUSE" if self._inbox.paused else "asked to stop")
        for job in self.jobs.values():
            reason = self.roster.delays.reason(job.id) or held_by
            logs.get().warning("job.left", job=job.id, input=job.input_name, state=str(job.state), reason=reason)
        left = self._inbox.left_behind()
        for name, reason in left.items():
            logs.get().warning("file.left", file=name, reason=reason)
        if self._pause.reason or self.jobs or left:
            return Exit.TRY_LATER
        return Exit.OK if set(self.roster.outcomes) <= {Outcome.SUCCEEDED, Outcome.DUPLICATE} else Exit.FAILED

    def stop(self) -> None:
        """Asks the job's work to save its state, ends the checks, and waits at most ``stop_seconds``."""
        logs.get().info("daemon.stopping", jobs=len(self.jobs))
        stop_seconds = self._settings.service.stop_seconds
        self._status.stopping(stop_seconds)
        deadline = self._clock.monotonic() + stop_seconds
        self._admission.end()
        self._stop_children(deadline)
        now, wall = self._clock.monotonic(), self._clock.wall()
        try:
            self.slots.end_overdue_work(wall)
            self.slots.look(now, wall, self._pause)
            if self._pause.reason:
                self._reload(wall)
        except _PAUSING as error:
            self._pause.begin(now, error)
        self._show(self._clock.monotonic(), state="stopped")

    def _stop_children(self, deadline: float) -> None:
        work = self.slots.work
        for slot in (self.slots.check, self.slots.second_check):
            slot.kill()
        if work.child:
            work.child.terminate()
        while work.child and work.child.poll() is None and self._clock.monotonic() < deadline:
            work.forward_log()
            self._wakeup.wait(_BUSY_SECONDS)

    # sleep and show

    def _sleep(self) -> None:
        now = self._clock.monotonic()
        waits = [self._next_scan - now, *self._next_dues(now)]
        wait = max(0.0, min(waits), self._pause.until - now)
        is_busy = self._admission.busy or self.slots.busy
        if self._wakeup.wait(min(wait, _BUSY_SECONDS if is_busy else _MOST_SLEEP_SECONDS)):
            # an event: look soon, and not at every one of a thousand
            self._next_scan = min(self._next_scan, self._last_scan + _LEAST_SCAN_SECONDS)

    def _next_dues(self, now: float) -> list[float]:
        """Seconds until what was put off may be tried again."""
        return [due for due in (self.roster.delays.next_due(now), self._admission.next_due(now)) if due is not None]

    def _show(self, now: float, state: str = "running") -> None:
        if state == "running" and (self._pause.reason or self._inbox.paused):
            state = "paused"
        overdue, delays = now > self._next_scan + _OVERDUE_SECONDS, self.roster.delays
        self._status.publish(
            State(
                state=state,
                alive=state != "stopped" and (bool(self._pause.reason) or not overdue),
                reason=self._pause.reason or ("inbox/PAUSE" if self._inbox.paused else ""),
                fault=self._pause.code,
                now=now,
                wall=self._clock.wall(),
                scan_age_seconds=now - self._last_scan,
                jobs=sorted(self.jobs.values(), key=lambda job: job.order),
                reasons={name: delays.reason(name) for name in self.jobs if not delays.is_due(name, now)},
                arrivals=list(self._inbox.arrivals.values()),
                bystanders=self._inbox.bystanders | {f"work/{name}": why for name, why in self.roster.stuck.items()},
                outcomes=self.roster.outcomes,
                at_work=self.slots.at_work,
            )
        )
