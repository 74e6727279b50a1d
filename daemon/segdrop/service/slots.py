"""The slots of the daemon, and which job comes next into each.

There are three, with one child each: for the jobs' own work and the packing, for the full check, and a second one for
checks while the first is at one that takes long.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial

from segdrop import logs
from segdrop.errors import CorruptError, DeferredError, InstallationError
from segdrop.execution.runner import End
from segdrop.execution.supervision import Deadlines
from segdrop.service.pause import Pause
from segdrop.service.roster import Roster
from segdrop.service.slot import Slot
from segdrop.spool import space
from segdrop.spool.job import Job, JobState
from segdrop.stages import children, conclude, inputs
from segdrop.stages.pipeline import Pipeline
from segdrop.stages.stage import Context


@dataclass(frozen=True, slots=True)
class _Ended:
    """A child's end that is still to be recorded, and the job as it was before."""

    end: End
    before: Job


class Slots:
    """Fills the slots, and records how their children end."""

    def __init__(self, context: Context, roster: Roster) -> None:
        """Begins with empty slots."""
        settings = context.settings
        check_deadlines = Deadlines(stall_seconds=0.0, max_seconds=settings.limits.check_seconds)
        work_deadlines = Deadlines(settings.training.stall_seconds, settings.training.max_seconds)
        self.check = Slot((JobState.CLAIMED,), check_deadlines)
        self.second_check = Slot((JobState.CLAIMED,), check_deadlines)
        begun_first = (JobState.COMPUTED, JobState.RUNNING, JobState.CHECKED)
        self.work = Slot(begun_first, work_deadlines)
        self._all = (self.check, self.second_check, self.work)
        self._context = context
        self._pipeline = Pipeline(context)
        self._roster = roster
        self._ends: dict[str, _Ended] = {}  #: by job

    @property
    def busy(self) -> bool:
        """Whether a child is at work."""
        return any(slot.child for slot in self._all)

    @property
    def at_work(self) -> frozenset[str]:
        """The ids of the jobs that a child is working on."""
        return frozenset(slot.job_id for slot in self._all if slot.child and slot.job_id)

    def kill(self, job_id: str) -> None:
        """Ends the child of a job, if there is one."""
        for slot in self._all:
            if slot.job_id == job_id:
                slot.kill()

    # children that end

    def look(self, now: float, wall: datetime, pause: Pause) -> None:
        """Forwards what children log, and records how those ended that have."""
        for slot in self._all:
            if slot.job_id is None:
                continue
            if (job := self._roster.jobs.get(slot.job_id)) is None:
                slot.kill()  # of a job whose folder was taken away
                continue
            if pause.reason and self._context.store.files(job).begun.exists():
                pause.begun(self._pipeline.stage(job).name)
            if end := slot.look(now):
                self._ends[job.id] = _Ended(end, job)
        for job_id, ended in list(self._ends.items()):
            if self._roster.delays.is_due(job_id, now):
                self._record(job_id, ended, wall)

    def _record(self, job_id: str, ended: _Ended, wall: datetime) -> None:
        """Puts a child's end on record. What refuses that is met again later, unless the change was made although it
        raised: then the job is another than before.
        """
        job = self._roster.jobs.get(job_id)
        if job is None or job != ended.before:
            del self._ends[job_id]
            return
        if not self._roster.attempt(job, wall, partial(self._finish, job, ended.end, wall)):
            return
        self._ends.pop(job_id, None)
        self._roster.delays.forget(job_id)
        after = self._roster.jobs.get(job_id)
        if after and after.state is JobState.CLAIMED:  # a writer was not done yet
            self._roster.resettle(job_id)

    def _finish(self, job: Job, end: End, wall: datetime) -> Job:
        try:
            return self._pipeline.finish(job, end, wall)
        except (DeferredError, InstallationError, CorruptError):
            self._ends.pop(job.id, None)  # what the child told us: nothing is left to be recorded
            raise

    def end_overdue_work(self, wall: datetime) -> None:
        """Ends a child that did not heed the request to stop. It is not held against the job: the stop was ours."""
        slot = self.work
        if slot.child is None or slot.child.poll() is not None:
            return
        job = self._roster.jobs.get(slot.job_id or "")
        logs.get().error("child.killed", job=slot.job_id, reason="it did not stop in time")
        slot.kill()
        if job is not None:
            self._roster.attempt(job, wall, partial(children.discharge, self._context, job))

    # children that begin

    def fill(self, now: float, wall: datetime, *, is_paused: bool) -> None:
        """Starts a child in each slot that is free, if there is a job for it; ``is_paused``: no work is begun.

        What lacks disk space waits while anything else is at work, which may make room; then UnavailableError says so.
        """
        lacking: list[int] = []
        for slot in self._all:
            if slot.child is None and (job := self._next_job(slot, now, is_paused=is_paused)):
                self._roster.attempt(job, wall, partial(self._begin_if_room, slot, job, lacking, now, wall))
        if lacking and not self.busy:
            raise space.lacks(self._context.store.layout, lacking[0])

    def _next_job(self, slot: Slot, now: float, *, is_paused: bool) -> Job | None:
        """First come, first served; but a check that is known to take long waits for all others, and does not get the
        second slot: that one is for whoever would have to wait for it. Who asks the same as a job that has begun waits
        for its result.
        """
        is_second = slot is self.second_check
        if is_second and not self.check.has_run_for(self._context.settings.limits.quick_check_seconds, now):
            return None
        taken = {slot.job_id for slot in self._all} | self._ends.keys() | self._roster.asked_already()
        for state in slot.states:
            if state is JobState.CHECKED and is_paused:
                continue
            candidates = [
                job
                for job in self._roster.jobs.values()
                if job.state is state and job.id not in taken and self._roster.may_go_on(job)
                if not (is_second and job.is_slow)
            ]
            if candidates:
                return min(candidates, key=lambda job: (job.state is JobState.CLAIMED and job.is_slow, *job.order))
        return None

    def _begin_if_room(self, slot: Slot, job: Job, lacking: list[int], now: float, wall: datetime) -> Job:
        if (lacking_bytes := self._lacking_bytes(job)) > 0:
            lacking.append(lacking_bytes)
            return job
        job = conclude.finish_cancel(self._context, job, wall)
        return job if job.has_ended else self._begin(slot, job, now, wall)

    def _lacking_bytes(self, job: Job) -> int:
        """How much more must be free before the job's next stage may begin to write; 0 or less: nothing."""
        store, reserve_bytes = self._context.store, self._context.settings.queue.reserve_bytes
        return space.needed_bytes(job, store.files(job), reserve_bytes) - space.free_bytes(store.layout)

    def _begin(self, slot: Slot, job: Job, now: float, wall: datetime) -> Job:
        if job.state is JobState.CLAIMED:
            if inputs.has_changed(self._context.store, job):
                self._roster.resettle(job.id)
                return inputs.accept_change(self._context.store, job)
        else:
            job = self._roster.jobs[job.id] = self._pipeline.begin_attempt(job, wall)
            if job.has_ended:
                return job
        self._roster.settled(job.id)
        slot.begin(job.id, self._pipeline.start(job, now, wall))
        return job
