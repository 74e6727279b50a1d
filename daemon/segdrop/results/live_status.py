"""The live status, ``outbox/status.json``: what the daemon tells people who see the share and nothing else."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, Field, PlainSerializer, TypeAdapter, ValidationError, WithJsonSchema, WrapValidator
from pydantic_core.core_schema import ValidatorFunctionWrapHandler

from segdrop import answers
from segdrop.answers import Progress
from segdrop.record import Record
from segdrop.spool.job import Job, JobState
from segdrop.spool.layout import JobLayout

#: the progress that belongs to a job in each state
_STAGES = {JobState.CLAIMED: ("check",), JobState.RUNNING: ("train", "predict", "evaluate")}
Moment = Annotated[
    AwareDatetime,
    PlainSerializer(lambda moment: moment.isoformat(timespec="seconds"), return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]


def _known_or_none(value: Any, read: ValidatorFunctionWrapHandler) -> Any:  # noqa: ANN401  (pydantic's form)
    """Returns the progress, or ``None`` for one of another version."""
    try:
        return read(value)
    except ValidationError:
        return None


class DaemonStatus(Record):
    """The daemon, at the time of the status."""

    pid: int | None = None
    version: str = ""
    started_at: str = ""  #: ISO 8601
    scan_age_seconds: float = 0.0  #: since the inbox was last looked through
    state: str = Field(json_schema_extra={"enum": ["running", "paused", "stopping", "stopped"]})
    reason: str = ""  #: of a pause
    fault: str = ""  #: code of the fault that pauses the queue; empty where none does


class JobStatus(Record):
    """One job at work, or waiting to be."""

    job: str
    input: str  #: the input's name
    state: str = Field(json_schema_extra={"enum": [state.value for state in JobState]})
    priority: int = 0
    attempts: int = 0
    reason: str = ""  #: of its waiting; left out where it does not wait
    #: left out where no child is at work on the job
    progress: Annotated[Progress | None, WrapValidator(_known_or_none)] = None


class FileStatus(Record):
    """One name in the inbox, and why it is there still."""

    name: str
    reason: str


class Status(Record):
    """``outbox/status.json``. Jobs and files are in the order in which they are taken."""

    updated_at: Moment
    daemon: DaemonStatus
    jobs: list[JobStatus] = Field([])
    inbox: list[FileStatus] = Field([])  #: files that wait
    ignored: list[FileStatus] = Field([])  #: names that are left alone; of very many, the first ones
    ignored_count: int = 0  #: all of them
    finished: dict[str, int] = Field({})  #: jobs since the daemon started, by outcome
    schema_version: Literal[1] = 1

    def age_seconds(self, now: datetime) -> float:
        """Returns how old the status is; negative where it is dated later than ``now``."""
        return (now - self.updated_at).total_seconds()


def progress_of(job: Job, files: JobLayout) -> Progress | None:
    """Returns how far the child of the job's present stage has come; that of another stage says nothing."""
    progress = answers.read_progress(files.progress)
    return progress if progress and progress.stage in _STAGES.get(job.state, ()) else None


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of the live status, for programs and for ``config/status.schema.json``."""
    schema = TypeAdapter(Status).json_schema(mode="serialization")
    schema["title"] = "segdrop status"
    schema["description"] = "status.json in outbox/: what the daemon does, replaced each second."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
