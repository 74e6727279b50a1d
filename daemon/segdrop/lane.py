"""A lane: a place for one child at a time, which forwards its log, and ends it when it no longer gets on."""

import signal
from dataclasses import dataclass, field
from pathlib import Path

from segdrop import logs
from segdrop.execution import supervision
from segdrop.execution.process import Child
from segdrop.execution.supervision import Heartbeat
from segdrop.spool.job import Job, JobState


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds without progress, and in all (0: no limit), after which a child is killed."""

    stall_seconds: float
    max_seconds: float


@dataclass(frozen=True, slots=True)
class End:
    """How a child ended: its exit status, and the code of the reason where we know it better."""

    status: int
    reason: str | None


@dataclass(slots=True)
class Lane:
    """``states``: of the jobs it serves, in order of preference."""

    states: tuple[JobState, ...]
    deadlines: Deadlines
    job_id: str | None = None
    child: Child | None = None
    recorded_from: Job | None = None  #: the job as it was when its child's end was first to be recorded
    _heartbeat: Heartbeat = field(default_factory=lambda: Heartbeat(None, 0.0))
    _oom_kills_before: int | None = None
    _end: End | None = None

    def begin(self, job_id: str, child: Child, now: float) -> None:
        self.free()
        self.job_id, self.child = job_id, child
        self._heartbeat = Heartbeat(None, now)
        self._oom_kills_before = supervision.oom_kills()

    def look(self, progress_path: Path, now: float) -> End | None:
        """Forward the log; the child's end if it has ended, by itself or by its deadline.

        It is told again at each look until :meth:`free`: a full disk may keep it from being recorded.
        """
        if self.child is None or self._end is not None:
            return self._end
        status, reason = self.child.poll(), None
        if status is None:
            self._heartbeat = self._heartbeat.look(progress_path, now)
            reason = supervision.overdue(
                now,
                started_at=self.child.started_at,
                heartbeat=self._heartbeat,
                stall_seconds=self.deadlines.stall_seconds,
                max_seconds=self.deadlines.max_seconds,
            )
            if reason is None:
                self.forward_log()
                return None
            logs.get().error("child.killed", job=self.job_id, reason=reason)
            self.child.kill()
            status = self.child.popen.wait()
        elif status == -signal.SIGKILL and self._out_of_memory():
            reason = "train.out_of_memory"
        self.forward_log()
        self._end = End(status, reason)
        return self._end

    def free(self) -> None:
        """The end is on record: there is room for the next child."""
        self.child = self._end = self.recorded_from = None

    def forward_log(self) -> None:
        """Log what the child has written since the last time."""
        if self.child is not None:
            for line in self.child.log.lines():
                logs.forward(line, job=self.job_id)

    def kill(self) -> None:
        if self.child is not None:
            self.child.kill()
            self.free()

    def _out_of_memory(self) -> bool:
        after = supervision.oom_kills()
        return after is not None and self._oom_kills_before is not None and after > self._oom_kills_before
