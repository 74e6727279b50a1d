"""The result: ``outbox/<job>.json``, the public answer to a job, whatever its outcome."""

from typing import Any, Literal, TypeAlias

from pydantic import TypeAdapter

from segdrop.answers import Environment, Metrics
from segdrop.dataset.report import DatasetSummary
from segdrop.errors import Issue
from segdrop.record import Record
from segdrop.request import StoredRequest
from segdrop.spool.job import Outcome


class InputFile(Record):
    """The file that was dropped; without a checksum where it could not be read."""

    name: str
    bytes: int
    sha256: str | None


class ResultFile(Record):
    """The result ZIP beside the JSON."""

    name: str
    bytes: int
    sha256: str


class Timing(Record):
    """Tells how long a job took, in seconds. What was measured by the training alone is there where there was one."""

    queued_seconds: float
    prepare_seconds: float
    train_seconds: float
    train_images_per_second: float
    first_step_seconds: float = 0.0
    estimated_seconds: float = 0.0
    run_seconds: float = 0.0
    total_seconds: float


class TrainResult(Record):
    """The answer to a request for a training. Keys with a default are left out where they say nothing."""

    job: str
    task: Literal["train"]
    status: Outcome
    request: StoredRequest | None  #: resolved, as it was done; ``None`` where it could not be understood
    input: InputFile
    result: ResultFile | None
    dataset: DatasetSummary | None
    metrics: Metrics | None
    issues: list[Issue]
    timing: Timing
    attempts: int
    peak_rss_bytes: int | None
    environment: Environment
    finished_at: str  #: ISO 8601, UTC
    schema_version: Literal[1]
    fingerprint: str | None = None
    retry_of: str | None = None  #: the job that this one repeats
    duplicate_of: str | None = None  #: the job that had answered the same question

    @property
    def architecture(self) -> str:
        """Name of the architecture of the model. Raises ``ValueError`` where the request was not understood."""
        if self.request is None:
            raise ValueError(f"{self.job}: a result without a request has no model")
        return self.request.architecture


#: The answer to a request of any task. A task more is a class more here, in a union whose discriminator is ``task``.
Result: TypeAlias = TrainResult


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a result, for programs and for ``config/result.schema.json``."""
    schema = TypeAdapter(Result).json_schema(mode="serialization")
    schema["title"] = "segdrop result"
    schema["description"] = "JOB.json in outbox/: the answer to one input, beside JOB.zip where it succeeded."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
