"""A job: a frozen record and its states. Pure; the store makes changes durable."""

import re
import unicodedata
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from segdrop.errors import CorruptError


class JobState(StrEnum):
    """What has been done last; to restart is to do the next thing."""

    CLAIMED = "claimed"  #: the input is in work/<job>/ (or about to be: then the folder has no input)
    QUEUED = "queued"  #: checked, the cache is built; ready to train
    STARTED = "started"  #: an attempt is on record
    TRAINED = "trained"  #: model and measurements are on disk
    CONCLUDED = "concluded"  #: the outcome is on disk; nothing is left but to deliver it
    DELIVERED = "delivered"  #: outbox/<job>.json is public; the input is still to be archived


class Outcome(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"


_NEXT: dict[JobState, frozenset[JobState]] = {
    JobState.CLAIMED: frozenset({JobState.CLAIMED, JobState.QUEUED, JobState.CONCLUDED}),
    JobState.QUEUED: frozenset({JobState.QUEUED, JobState.STARTED, JobState.CONCLUDED}),
    JobState.STARTED: frozenset({JobState.STARTED, JobState.TRAINED, JobState.CONCLUDED}),
    JobState.TRAINED: frozenset({JobState.TRAINED, JobState.CONCLUDED}),
    JobState.CONCLUDED: frozenset({JobState.DELIVERED}),
    JobState.DELIVERED: frozenset(),
}


class FileIdentity(BaseModel):
    """A file as far as a rename leaves it the same (a rename changes ``ctime``)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device: int
    inode: int
    size: int
    mtime_ns: int


class Job(BaseModel):
    """``work/<job>/job.json``. Times are seconds since the epoch, for people and durations, never for decisions."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    state: JobState
    input_name: str  #: as people named it
    sidecar_name: str | None
    identity: FileIdentity  #: the input as it was when it settled
    priority: int
    arrival_ns: int  #: the input's ctime when it was claimed: survives restarts
    claimed_at: float
    queued_at: float | None = None
    started_at: float | None = None  #: of the first attempt
    trained_at: float | None = None
    prepare_seconds: float = 0.0
    cache_bytes: int = 0  #: what the check is going to write, by the cheap check
    check_kills: int = 0  #: how often its check was ended from outside
    attempts: int = 0  #: training starts, recorded before the start
    fruitless_attempts: int = 0  #: those since the last new checkpoint; stopping on request is not one
    checkpoint_mark: str | None = None  #: which checkpoint the last attempt began with
    halved: bool = False  #: the batch, after running out of memory
    fingerprint: str | None = None  #: of the input and the resolved request
    outcome: Outcome | None = None
    retry_of: str | None = None

    @property
    def order(self) -> tuple[int, int, str]:
        """Who goes first: higher priority, earlier arrival, name."""
        return (-self.priority, self.arrival_ns, self.input_name)

    def evolve(self, state: JobState, **changes: Any) -> "Job":  # noqa: ANN401  (fields of this record)
        """The job after a transition; ``CorruptError`` if there is no such transition."""
        if state not in _NEXT[self.state]:
            raise CorruptError(f"job {self.id}: no transition from {self.state} to {state}")
        return Job.model_validate(self.model_dump() | changes | {"state": state})


def slug(stem: str) -> str:
    """A ZIP's stem as part of a job id: at most 40 lower-case ASCII letters, digits, dashes and underscores."""
    ascii_stem = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_]+", "-", ascii_stem).strip("-_")[:40].strip("-_") or "job"


def new_id(stem: str, now: datetime, nonce: int) -> str:
    return f"{slug(stem)}-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{nonce:04x}"
