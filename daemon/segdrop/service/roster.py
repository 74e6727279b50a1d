"""The jobs in ``work/`` as the daemon knows them, and what becomes of one that something goes wrong with.

Whatever is done to one job is done in :meth:`Roster.attempt`, which tells whose fault it is when it fails: the job
waits, is set aside, fails, or the queue pauses. Nothing that happens to one job stops the others.

What is in memory can be thrown away at any time: it is rebuilt from the folders.
"""

from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial

from segdrop import environment, logs
from segdrop.codes import Code
from segdrop.environment import Fault, Response
from segdrop.errors import CorruptError, DataError, DeferredError, InstallationError, Issue, UnavailableError
from segdrop.service.delays import Delays
from segdrop.spool import recovery, root
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.stages.conclude import conclude, finish_cancel
from segdrop.stages.stage import Context

#: seconds until folders that could not be read or moved are looked at again
_STUCK_SECONDS = 60.0
_IN_QUEUE = (JobState.CLAIMED, JobState.CHECKED)
_BEGUN = (JobState.RUNNING, JobState.COMPUTED, JobState.CONCLUDED)


class Roster:
    """The jobs at work, by id. All times are monotonic seconds; ``now`` tells them."""

    def __init__(self, context: Context, now: Callable[[], float]) -> None:
        """Begins without any job: :meth:`adopt` brings those that were found on disk."""
        self.jobs: dict[str, Job] = {}
        self.outcomes: Counter[Outcome] = Counter()  #: of the jobs that have ended since the daemon started
        self.delays = Delays()  #: of jobs and orders that wait after a fault that is not theirs
        self.stuck: dict[str, str] = {}  #: folders that cannot be read or moved at the moment, and why
        self._context = context
        self._store = context.store
        self._layout = context.store.layout
        self._now = now
        self._resettled_at: dict[str, float] = {}  #: when the input of a job that changed has settled again
        self._next_look_at_stuck = 0.0

    def adopt(self, found: recovery.Found, orders: set[str], wall: datetime) -> None:
        """Goes on with what was found in the folders. ``orders``: names of the control files that wait."""
        self._miss(found)
        self.jobs = {job.id: job for job in found.jobs}
        self.stuck, self._next_look_at_stuck = found.stuck, self._now() + _STUCK_SECONDS
        self.delays.keep_only(self.jobs.keys() | orders)
        for job_id in self._resettled_at.keys() - self.jobs.keys():
            del self._resettled_at[job_id]
        for job in found.jobs:
            self.attempt(job, wall, partial(finish_cancel, self._context, job, wall))

    def _miss(self, found: recovery.Found) -> None:
        """Says which jobs were taken away from under the daemon: nothing is left of them that could be set aside."""
        there = found.stuck.keys() | {job.id for job in found.jobs}
        for job_id in self.jobs.keys() - there:
            if not self.jobs[job_id].has_ended and not (self._layout.failed / job_id).exists():
                logs.get().critical(Code.SPOOL_CORRUPT, job=job_id, reason="its folder is gone")

    def is_look_due(self) -> bool:
        """Whether it is time to look again at folders that could not be read."""
        return bool(self.stuck) and self._now() >= self._next_look_at_stuck

    def room(self, capacity: int) -> int:
        """Returns how many more jobs may be in the queue."""
        return capacity - sum(job.state in _IN_QUEUE for job in self.jobs.values())

    def asked_already(self) -> set[str]:
        """Returns the checked jobs that ask the same as one that has begun, and may have its result soon."""
        begun = {job.fingerprint for job in self.jobs.values() if job.state in _BEGUN and job.fingerprint}
        return {job.id for job in self.jobs.values() if job.state is JobState.CHECKED and job.fingerprint in begun}

    def may_go_on(self, job: Job) -> bool:
        """Whether the job's turn may come: it was not put off, and its input has settled."""
        return self.delays.is_due(job.id, self._now()) and self._resettled_at.get(job.id, 0.0) <= self._now()

    def resettle(self, job_id: str) -> None:
        """Lets the input of a job settle again, which a writer still has open."""
        self._resettled_at[job_id] = self._now() + self._context.settings.intake.settle_seconds

    def settled(self, job_id: str) -> None:
        """Forgets that the job's input had to settle again."""
        self._resettled_at.pop(job_id, None)

    def require_root(self) -> None:
        """Raises UnavailableError where the root is not what it should be."""
        root.require(self._layout, require_sentinel=self._context.settings.service.require_sentinel)

    def raise_if_all(self, fault: Fault) -> None:
        """Raises UnavailableError for a fault that concerns more than the file or job that met it."""
        if root.concerns_all(self._layout, fault):
            self.require_root()  # it knows better what is the matter with a share that is gone
            raise UnavailableError(fault.code, fault.message)

    # what becomes of one job

    def attempt(self, job: Job, wall: datetime, effect: Callable[[], Job]) -> bool:
        """Does something to one job; returns whether that succeeded, or the job has come to its end over it.

        False: the job waits, and stays as it is on disk. Raises what concerns all jobs, and only that.
        """
        try:
            after = effect()
        except DeferredError as error:
            self._put_off(job, error.fault)
            return False
        except InstallationError as error:
            self._wait(job, f"the {error.stage} process cannot begin")
            self._reread(job)
            raise
        except UnavailableError:
            raise
        except DataError as error:  # what was claimed is no input at all
            rejected = partial(conclude, self._context, job, Outcome.REJECTED, wall, error.issues)
            return self.attempt(job, wall, rejected)
        except CorruptError as error:
            return self._set_aside(job, error)
        except OSError as error:
            return self._refused(job, error)
        except Exception as error:  # noqa: BLE001  (the one place)
            return self._fail(job, wall, error)
        if after.state is JobState.DELIVERED and not self._store.files(job).folder.exists():
            self._forget(job)
        else:
            self.jobs[job.id] = after
        return True

    def _put_off(self, job: Job, fault: Fault) -> None:
        """The job waits. Where the fault concerns all, so do they, and it is raised."""
        self._wait(job, fault.message)
        self._reread(job)
        self.raise_if_all(fault)

    def _wait(self, job: Job, reason: str) -> None:
        if self.delays.put_off(job.id, self._now(), reason):
            logs.get().warning("job.waiting", job=job.id, reason=reason)

    def _reread(self, job: Job) -> None:
        """Believes the folder: a change may have reached the disk although it raised."""
        try:
            self.jobs[job.id] = self._store.load(job.id)
        except (OSError, CorruptError):
            self.jobs[job.id] = job  # whatever is wrong with it is met again, when its turn comes

    def _refused(self, job: Job, error: OSError) -> bool:
        """An error of the system is the environment's, or the sign that a file of the job is not in its place."""
        fault = Fault.of(error)
        if fault.response is not Response.OWN:
            self._put_off(job, fault)
            return False
        self.require_root()
        if not environment.is_misplaced(error):
            logs.get().exception("stage.failed", job=job.id, state=str(job.state))
        return self._set_aside(job, CorruptError(fault.message))

    def _set_aside(self, job: Job, error: CorruptError) -> bool:
        self.require_root()
        try:
            recovery.set_aside(self._layout, job.id, error)
        except OSError as refused:
            self._put_off(job, Fault.of(refused))
            return False
        self._forget(job)
        self.outcomes[Outcome.FAILED] += 1
        return True

    def _fail(self, job: Job, wall: datetime, error: Exception) -> bool:
        """A defect of ours ends this job, with the traceback in the log; one that cannot be answered is set aside."""
        logs.get().exception("stage.failed", job=job.id, state=str(job.state))
        self._reread(job)
        job, issue = self.jobs[job.id], Issue.of(Code.INTERNAL_ERROR, repr(error))
        if job.has_ended:
            return self._set_aside(job, CorruptError(f"it cannot be delivered: {error!r}"))
        try:
            self.jobs[job.id] = conclude(self._context, job, Outcome.FAILED, wall, [issue])
        except OSError as refused:
            return self._refused(job, refused)
        except Exception as again:  # noqa: BLE001  (as above)
            return self._set_aside(job, CorruptError(f"{error!r}; and then {again!r}"))
        return True

    def _forget(self, job: Job) -> None:
        for known in (self.jobs, self._resettled_at):
            known.pop(job.id, None)
        self.delays.forget(job.id)
