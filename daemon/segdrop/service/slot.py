"""A slot holds one child at a time: it forwards the child's log, and ends a child that no longer gets on."""

from dataclasses import dataclass

from segdrop import logs
from segdrop.execution.runner import End, Handle
from segdrop.execution.supervision import Deadlines
from segdrop.spool.job import JobState


@dataclass(slots=True)
class Slot:
    """Room for the child of one job. ``states`` are those of the jobs that it serves, in order of preference."""

    states: tuple[JobState, ...]
    deadlines: Deadlines
    job_id: str | None = None
    child: Handle | None = None

    def begin(self, job_id: str, child: Handle) -> None:
        """Takes a child that was just started."""
        self.job_id, self.child = job_id, child

    def look(self, now: float) -> End | None:
        """Forwards the log and returns the child's end, by itself or by its deadline; an end is told once."""
        if self.child is None:
            return None
        end = self.child.poll() or self._ended_by_deadline(self.child, now)
        self.forward_log()
        if end is not None:
            self.free()
        return end

    def _ended_by_deadline(self, child: Handle, now: float) -> End | None:
        cause = self.deadlines.passed(now, started_at=child.started_at, heartbeat=child.heartbeat(now))
        if cause is None:
            return None
        logs.get().error("child.killed", job=self.job_id, reason=str(cause))
        return End(child.kill().status, cause)

    def has_run_for(self, seconds: float, now: float) -> bool:
        """Whether the child has been at work for longer than that."""
        return self.child is not None and now - self.child.started_at > seconds

    def free(self) -> None:
        """Makes room for the next child."""
        self.child = self.job_id = None

    def forward_log(self) -> None:
        """Logs what the child has written since the last time."""
        if self.child is not None:
            for line in self.child.log_lines():
                logs.forward(line, job=self.job_id)

    def kill(self) -> None:
        """Ends the child, if there is one."""
        if self.child is not None:
            self.child.kill()
            self.free()
