"""A job: a frozen record and its states. Pure; the store makes changes durable."""

import re
import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from segdrop.errors import CorruptError, Issue
from segdrop.input_kinds import InputKind
from segdrop.request import Task


class JobState(StrEnum):
    """The step that a job has come to.

    The states are those of every task; to restart is to do what follows the state.
    """

    CLAIMED = "claimed"  #: the input is in work/<job>/ (or about to be: then the folder has no input)
    CHECKED = "checked"  #: the data is read and ready to work on; the job waits for its turn
    RUNNING = "running"  #: the task's own work was begun
    COMPUTED = "computed"  #: the task's own work is done, and what came of it is on disk
    CONCLUDED = "concluded"  #: the outcome is on disk; nothing is left but to deliver it
    DELIVERED = "delivered"  #: outbox/<job>.json is public; the input is still to be archived

    @classmethod
    def _missing_(cls, value: object) -> "JobState | None":
        """Version 0.1 knew one task alone, and named three states for it."""
        return _STATES_OF_0_1.get(str(value))


_STATES_OF_0_1 = {"queued": JobState.CHECKED, "started": JobState.RUNNING, "trained": JobState.COMPUTED}


class Outcome(StrEnum):
    """Tells how a job ended, as the outbox JSON says it."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"


_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.CLAIMED: frozenset({JobState.CLAIMED, JobState.CHECKED, JobState.CONCLUDED}),
    JobState.CHECKED: frozenset({JobState.CHECKED, JobState.RUNNING, JobState.CONCLUDED}),
    JobState.RUNNING: frozenset({JobState.RUNNING, JobState.COMPUTED, JobState.CONCLUDED}),
    JobState.COMPUTED: frozenset({JobState.COMPUTED, JobState.CONCLUDED}),
    JobState.CONCLUDED: frozenset({JobState.CLAIMED, JobState.DELIVERED}),  # back: its input was not whole yet
    JobState.DELIVERED: frozenset(),
}


class FileIdentity(BaseModel):
    """The marks of a file that a rename leaves as they are (a rename changes ``ctime``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: int
    inode: int
    size: int
    mtime_ns: int


class Attempts(BaseModel):
    """Number of times that a job's work has been tried, as far as that has been counted.

    An attempt is counted by the marks that it left: its child says that it has begun, and saves checkpoints, in files.
    A mark that differs from the one on record is that of an attempt that was not counted yet
    (:mod:`segdrop.stages.attempts`). So an attempt that did not come to a child costs nothing, whenever a crash comes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    total: int = 0  #: number of times that the work was begun
    fruitless: int = 0  #: those since the last new checkpoint; one that was stopped on request is not among them
    begun_mark: str | None = None  #: that of the last attempt that was counted
    checkpoint_mark: str | None = None  #: the checkpoint that the fruitless ones had to begin with


class Job(BaseModel):
    """A job's record, ``work/<job>/job.json``.

    Times are seconds since the epoch, for people and durations, never for decisions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    state: JobState
    task: Task = Task.TRAIN  #: known once the job has been checked
    kind: InputKind = InputKind.ARCHIVE  #: of the input; older versions took ZIPs alone, and did not say it
    input_name: str  #: as people named it
    sidecar_name: str | None
    identity: FileIdentity  #: the input as it was when it settled
    sidecar_identity: FileIdentity | None = None  #: likewise; None as well where an older version claimed it
    owner_uid: int | None = None  #: user whose file the input was in the inbox; not noted by versions before this one
    priority: int
    arrival_ns: int  #: the input's ctime when it was claimed: survives restarts
    claimed_at: float
    queued_at: float | None = None  #: when the check had ended
    started_at: float | None = None  #: when the first attempt began
    trained_at: float | None = None
    prepare_seconds: float = 0.0
    cache_bytes: int = 0  #: what the check is going to write, by the quick check
    is_slow: bool = False  #: the quick check did not come to its end in time
    check_kills: int = 0  #: how often its check was ended from outside
    attempts: Attempts = Attempts()
    halved: bool = False  #: the batch, after running out of memory
    fingerprint: str | None = None  #: of the input and the resolved request
    outcome: Outcome | None = None
    retry_of: str | None = None
    issues: tuple[Issue, ...] = ()  #: what was noticed in the inbox and belongs into the answer

    @property
    def order(self) -> tuple[int, int, str]:
        """The job's place among others: higher priority, then earlier arrival, then name."""
        return (-self.priority, self.arrival_ns, self.input_name)

    @property
    def has_ended(self) -> bool:
        """Whether the outcome is on disk, so that nothing but its delivery is left."""
        return self.state in (JobState.CONCLUDED, JobState.DELIVERED)

    def evolve(self, state: JobState, **changes: Any) -> "Job":  # noqa: ANN401  (fields of this record)
        """Returns the job after a transition; raises CorruptError if there is no such transition."""
        if state not in _NEXT[self.state]:
            raise CorruptError(f"job {self.id}: no transition from {self.state} to {state}")
        return Job.model_validate(self.model_dump() | changes | {"state": state})


def slug(stem: str) -> str:
    """Returns the stem of a ZIP's name as part of a job id: at most 40 lower-case ASCII letters, digits, dashes and
    underscores.
    """
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", ascii_stem).strip("-_")[:40].strip("-_") or "job"


def new_id(stem: str, now: datetime, nonce: int) -> str:
    """Returns a job id: the slug of the stem, the time in UTC, and the nonce as four hexadecimal digits."""
    return f"{slug(stem)}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{nonce:04x}"


_JOB_ID = re.compile(r"[a-z0-9_-]{1,40}-\d{8}T\d{6}Z-[0-9a-f]{4}")


def is_job_id(name: str) -> bool:
    """Whether a name is of the form that :func:`new_id` gives: others in ``work/`` are not ours."""
    return _JOB_ID.fullmatch(name) is not None
