"""The loop: intake, checks and training side by side, in one thread.

Every heavy thing is a child, so one turn of the loop takes milliseconds: look at the inbox, look after the
children, deliver. There are two lanes, one for checks and one for training and packing, with one child each.
What is in memory can be thrown away at any turn: it is rebuilt from the folders.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from segdrop import logs
from segdrop.admission import Admission
from segdrop.bulletin import Bulletin, Listener, State
from segdrop.errors import CorruptError, Exit, Issue, UnavailableError
from segdrop.intake.inbox import Inbox
from segdrop.intake.watch import Wakeup
from segdrop.lane import Deadlines, End, Lane
from segdrop.notify import Notifier
from segdrop.pause import Pause
from segdrop.pipeline import Modules, Pipeline
from segdrop.settings import Settings
from segdrop.spool import recovery, retention, root, space
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import Store

_BUSY_SECONDS = 0.25  #: between turns while a child runs
_LEAST_SCAN_SECONDS = 0.5  #: between two scans, however many events there are
_MOST_SLEEP_SECONDS = 10.0  #: between turns, however rare the scans: the watchdog and people want a sign of life
_OVERDUE_SECONDS = 60.0  #: a scan that is so late is no sign of life
_IN_QUEUE = (JobState.CLAIMED, JobState.QUEUED)
_ENDED = (JobState.CONCLUDED, JobState.DELIVERED)


@dataclass(slots=True)
class Clock:
    """Monotonic seconds for decisions, wall time for people."""

    monotonic: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))


class Service:
    """The daemon, less its process: ``run`` until stopped or, for ``once``, until there is nothing left."""

    def __init__(
        self,
        settings: Settings,
        wakeup: Wakeup,
        *,
        modules: Modules | None = None,
        clock: Clock | None = None,
        listener: Listener | None = None,
    ) -> None:
        modules = modules or Modules()
        self.layout = RootLayout(settings.root)
        self.store = Store(self.layout)
        self.jobs: dict[str, Job] = {}
        self.outcomes: Counter[Outcome] = Counter()
        self._settings = settings
        self._wakeup = wakeup
        self._clock = clock or Clock()
        self._inbox = Inbox(self.layout.inbox, settings.intake)
        self._admission = Admission(settings, self.store, self._inbox, modules.check)
        self._pipeline = Pipeline(settings, self.store, modules)
        limit = settings.limits.check_seconds
        self._check_lane = Lane((JobState.CLAIMED,), Deadlines(limit, limit))
        self._training_lane = Lane(
            (JobState.TRAINED, JobState.STARTED, JobState.QUEUED),  # what has begun goes first
            Deadlines(settings.training.stall_seconds, settings.training.max_seconds),
        )
        self._lanes = (self._check_lane, self._training_lane)
        self._bulletin = Bulletin(self.layout, self._clock.wall(), listener, Notifier())
        self._resettled_at: dict[str, float] = {}
        self._not_begun: dict[str, Job] = {}  #: as they were before an attempt that may be on record without a child
        self._pause = Pause()
        self._last_scan = self._next_scan = 0.0
        self._retention = retention.Schedule()

    # the loop

    def run(self, *, until_drained: bool = False) -> Exit:
        """Turn until a stop is requested, or nothing is left to do."""
        self.recover()
        while not self._wakeup.stop_requested:
            self.turn()
            if until_drained and (self._pause.reason or self.drained() or self._held()):
                break
            self._sleep()
        self.stop()
        if not until_drained:
            return Exit.OK
        if self._pause.reason or self.jobs or self._inbox.arrivals:
            return Exit.TRY_LATER
        return Exit.OK if set(self.outcomes) <= {Outcome.SUCCEEDED, Outcome.DUPLICATE} else Exit.FAILED

    def recover(self) -> None:
        wall = self._clock.wall()
        try:
            self.jobs = {job.id: self._pipeline.finish_cancel(job, wall) for job in recovery.recover(self.store)}
        except OSError as error:
            raise UnavailableError("root.unavailable", f"{error.filename}: {error.strerror}") from error

    def turn(self) -> None:
        """One turn. What the environment does pauses; memory is rebuilt from the folders afterwards."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        try:
            if now >= self._pause.until:
                root.require(self.layout, require_sentinel=self._settings.service.require_sentinel)
                if self._pause.reason:
                    self._reload(wall)
                self._look_after_children(now, wall)
                self._take_in(now, wall)
                self._deliver()
                self._fill_lanes(now, wall)
                self._sweep(now, wall)
                self._pause.end()
        except (OSError, UnavailableError) as error:
            self._pause.begin(now, error)
        self._show(now)

    def drained(self) -> bool:
        return not (self.jobs or self._admission.busy or self._inbox.unsettled())

    def _held(self) -> bool:
        """Nothing is at work, and nothing will be, while somebody has put PAUSE into the inbox."""
        states = {job.state for job in self.jobs.values()}
        at_work = self._admission.busy or any(lane.child for lane in self._lanes)
        return self._inbox.paused and not at_work and states <= {JobState.QUEUED}

    def stop(self) -> None:
        """Ask the training to save its state, end the checks, wait at most ``stop_seconds``."""
        logs.get().info("daemon.stopping", jobs=len(self.jobs))
        stop_seconds = self._settings.service.stop_seconds
        self._bulletin.stopping(stop_seconds)
        deadline = self._clock.monotonic() + stop_seconds
        self._admission.end()
        self._check_lane.kill()
        if self._training_lane.child:
            self._training_lane.child.terminate()
        while (child := self._training_lane.child) and child.poll() is None and self._clock.monotonic() < deadline:
            self._training_lane.forward_log()
            self._wakeup.wait(_BUSY_SECONDS)
        now, wall = self._clock.monotonic(), self._clock.wall()
        try:
            self._end_overdue_training(wall)
            self._look_after_children(now, wall)
            if self._pause.reason:
                self._reload(wall)
        except (OSError, UnavailableError) as error:
            self._pause.begin(now, error)
        self._show(self._clock.monotonic(), state="stopped")

    def _end_overdue_training(self, wall: datetime) -> None:
        """What did not heed the request is ended, and not held against the job: it was our stop, not its crash."""
        lane = self._training_lane
        if lane.child is None or lane.job_id is None or lane.child.poll() is not None:
            return
        logs.get().error("child.killed", job=lane.job_id, reason="it did not stop in time")
        lane.kill()
        if job := self.jobs.get(lane.job_id):
            self._guarded(job, wall, partial(self._pipeline.finish, job, Exit.TRY_LATER, wall))

    # children

    def _look_after_children(self, now: float, wall: datetime) -> None:
        for lane in self._lanes:
            if lane.job_id is None:
                continue
            if (job := self.jobs.get(lane.job_id)) is None:
                lane.kill()  # of a job whose folder was taken away
            elif end := lane.look(self.store.files(job).progress, now):
                self._record_end(lane, job, end, wall)
                if (job := self.jobs.get(job.id)) and job.state is JobState.CLAIMED:  # a writer was not done yet
                    self._resettled_at[job.id] = now + self._settings.intake.settle_seconds

    def _record_end(self, lane: Lane, job: Job, end: End, wall: datetime) -> None:
        """The lane is free once the end is on record. A full disk refuses the record: then it is made after the pause,
        unless the job is another than before: the change was made although it raised.
        """
        if lane.recorded_from in (None, job):
            lane.recorded_from = job
            try:
                self._guarded(job, wall, partial(self._pipeline.finish, job, end.status, wall, end.reason))
            except UnavailableError:  # what the child told us: it is on record
                lane.free()
                raise
        lane.free()

    def _fill_lanes(self, now: float, wall: datetime) -> None:
        """What lacks disk space waits while anything else is at work, which may make room."""
        lacking = []
        for lane in self._lanes:
            if lane.child is not None or (job := self._next_job(lane, now)) is None:
                continue
            if self._lacking_bytes(job) > 0:
                lacking.append(job)
            else:
                self._guarded(job, wall, partial(self._begin, lane, job, now, wall))
        if lacking and not any(lane.child for lane in self._lanes):
            raise self._no_space(self._lacking_bytes(lacking[0]))

    def _next_job(self, lane: Lane, now: float) -> Job | None:
        for state in lane.states:
            if state is JobState.QUEUED and self._inbox.paused:
                continue
            candidates = [j for j in self.jobs.values() if j.state is state and self._resettled_at.get(j.id, 0) <= now]
            if candidates:
                return min(candidates, key=lambda job: job.order)
        return None

    def _begin(self, lane: Lane, job: Job, now: float, wall: datetime) -> Job:
        if job.state is JobState.CLAIMED:
            if self._pipeline.input_changed(job):
                self._resettled_at[job.id] = now + self._settings.intake.settle_seconds
                return self._pipeline.accept_change(job)
        else:
            self._not_begun[job.id] = job
            job = self.jobs[job.id] = self._pipeline.begin_attempt(job, wall)
            if job.state in _ENDED:
                del self._not_begun[job.id]
                return job
        self._resettled_at.pop(job.id, None)
        lane.begin(job.id, self._pipeline.start(job, now, wall), now)
        self._not_begun.pop(job.id, None)
        return job

    def _guarded(self, job: Job, wall: datetime, stage: Callable[[], Job]) -> None:
        """Run a stage of one job. Our own defects end this job, with the traceback in the log, and no other."""
        try:
            self.jobs[job.id] = stage()
        except (OSError, UnavailableError):
            raise
        except CorruptError as error:
            recovery.set_aside(self.layout, job.id, error)
            del self.jobs[job.id]
            self.outcomes[Outcome.FAILED] += 1
        except Exception as error:  # noqa: BLE001  (the one place)
            logs.get().exception("stage.failed", job=job.id, state=str(job.state))
            issue = Issue.of("internal.error", repr(error))
            self.jobs[job.id] = self._pipeline.conclude(self.jobs[job.id], Outcome.FAILED, wall, [issue])

    # intake and delivery

    def _take_in(self, now: float, wall: datetime) -> None:
        if now >= self._next_scan:
            self._inbox.scan(now)
            self._last_scan = now
            self._next_scan = now + self._inbox.next_due(now)
            self._obey(wall)
        self._admission.inspect(now)
        self._admission.reject(wall, partial(self._reject, wall))
        waiting = sum(job.state in _IN_QUEUE for job in self.jobs.values())
        free_slots = self._settings.queue.capacity - waiting
        free = space.free_bytes(self.layout) - self._settings.queue.reserve_bytes
        for job in self._admission.admit(free_slots, free - space.promised_bytes(self.jobs.values()), wall):
            self.jobs[job.id] = job
        if self._admission.lacking_bytes and not self.jobs:
            raise self._no_space(self._admission.lacking_bytes)

    def _reject(self, wall: datetime, job: Job, issues: list[Issue]) -> None:
        self.jobs[job.id] = job
        self.jobs[job.id] = self._pipeline.conclude(job, Outcome.REJECTED, wall, issues)

    def _obey(self, wall: datetime) -> None:
        """Control files: cancel and retry what they name. One that names nothing stays, and the status says so."""
        for job_id in self._inbox.cancels:
            job = self.jobs.get(job_id)
            if job is None:
                self._inbox.bystanders[f"{job_id}.cancel"] = "there is no such job at work"
                continue
            for lane in self._lanes:
                if lane.job_id == job_id:
                    lane.kill()
            self._guarded(job, wall, partial(self._pipeline.cancel, job, wall))
        for job_id in self._inbox.retries:
            if any(job.retry_of == job_id for job in self.jobs.values()):
                self._admission.forget_retry(job_id)  # taken before a crash
            elif (job := self._admission.retry(job_id, wall)) is None:
                self._inbox.bystanders[f"{job_id}.retry"] = "there is no such job in failed/ or done/"
            else:
                self.jobs[job.id] = job

    def _deliver(self) -> None:
        for job in list(self.jobs.values()):
            if job.state is JobState.CONCLUDED:
                self.jobs[job.id] = self._pipeline.deliver(job)
            if self.jobs[job.id].state is JobState.DELIVERED:
                self._pipeline.archive(self.jobs[job.id])
                del self.jobs[job.id]
                outcome = job.outcome or Outcome.FAILED
                self.outcomes[outcome] += 1
                self._bulletin.ended(outcome, self._clock.wall())

    def _sweep(self, now: float, wall: datetime) -> None:
        if self._retention.due(now, wall.timestamp()):
            retention.sweep(self.layout, wall.timestamp(), **self._settings.retention.model_dump())

    # pause, sleep, show

    def _lacking_bytes(self, job: Job) -> int:
        """How much more must be free before the job's next stage may begin to write; 0 or less: nothing."""
        needed = space.needed_bytes(job, self.store.files(job), self._settings.queue.reserve_bytes)
        return needed - space.free_bytes(self.layout)

    def _no_space(self, lacking_bytes: int) -> UnavailableError:
        free = space.free_bytes(self.layout)
        return UnavailableError("disk.low", f"{free} bytes are free; the next job needs {free + lacking_bytes}")

    def _reload(self, wall: datetime) -> None:
        """Believe the folders: a change may have reached the disk although it raised. Attempts that did not come to a
        child are taken back.
        """
        self.jobs = {job.id: self._pipeline.finish_cancel(job, wall) for job in recovery.load(self.store)}
        for job_id, before in list(self._not_begun.items()):
            if job := self.jobs.get(job_id):
                self.jobs[job_id] = self._pipeline.uncharge(job, before)
            del self._not_begun[job_id]

    def _sleep(self) -> None:
        now = self._clock.monotonic()
        busy = self._admission.busy or any(lane.child for lane in self._lanes)
        wait = max(0.0, max(self._next_scan, self._pause.until) - now)
        if self._wakeup.wait(min(wait, _BUSY_SECONDS if busy else _MOST_SLEEP_SECONDS)):
            # an event: look soon, and not at every one of a thousand
            self._next_scan = min(self._next_scan, self._last_scan + _LEAST_SCAN_SECONDS)

    def _show(self, now: float, state: str = "running") -> None:
        if state == "running" and (self._pause.reason or self._inbox.paused):
            state = "paused"
        overdue = now > self._next_scan + _OVERDUE_SECONDS
        self._bulletin.publish(
            State(
                state=state,
                alive=state != "stopped" and (bool(self._pause.reason) or not overdue),
                reason=self._pause.reason or ("inbox/PAUSE" if self._inbox.paused else ""),
                now=now,
                wall=self._clock.wall(),
                scan_age_seconds=now - self._last_scan,
                jobs=sorted(self.jobs.values(), key=lambda job: job.order),
                arrivals=list(self._inbox.arrivals.values()),
                bystanders=self._inbox.bystanders,
                outcomes=self.outcomes,
            )
        )
