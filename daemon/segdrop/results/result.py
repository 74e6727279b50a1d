"""The result: ``outbox/<job>.json``, the public answer to a job, whatever its outcome. A union by ``task``."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from segdrop.answers import Environment, EvaluationMetrics, Metrics, ModelSummary, PredictionSummary
from segdrop.dataset.report import DatasetSummary
from segdrop.errors import Issue
from segdrop.record import Record
from segdrop.request import EvaluateRequest, PredictRequest, StoredTrainRequest
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
    """Tells how long a job took, in seconds."""

    queued_seconds: float
    prepare_seconds: float
    total_seconds: float


class TrainTiming(Timing):
    """Tells how long a training took. What was measured by the training alone is there where there was one."""

    train_seconds: float
    train_images_per_second: float
    first_step_seconds: float = 0.0
    estimated_seconds: float = 0.0
    run_seconds: float = 0.0


class InferenceTiming(Timing):
    """Tells how long a prediction or an evaluation took."""

    predict_seconds: float = 0.0
    images_per_second: float = 0.0
    first_image_seconds: float = 0.0


class BaseResult(Record):
    """The part of the answer that is the same for every task. Keys with a default are left out where they say nothing.

    The ``request`` is resolved, as it was done; it is ``None`` where it could not be understood.
    """

    job: str
    task: str
    status: Outcome
    input: InputFile
    result: ResultFile | None
    issues: list[Issue]
    attempts: int
    peak_rss_bytes: int | None
    environment: Environment
    finished_at: str  #: ISO 8601, UTC
    schema_version: Literal[1]
    fingerprint: str | None = None
    retry_of: str | None = None  #: the job that this one repeats
    duplicate_of: str | None = None  #: the job that had answered the same question


class TrainResult(BaseResult):
    """The answer to a request for a training."""

    task: Literal["train"]
    request: StoredTrainRequest | None
    dataset: DatasetSummary | None
    metrics: Metrics | None
    timing: TrainTiming

    @property
    def architecture(self) -> str:
        """Name of the architecture of the model. Raises ``ValueError`` where the request was not understood."""
        if self.request is None:
            raise ValueError(f"{self.job}: a result without a request has no model")
        return self.request.architecture


class PredictResult(BaseResult):
    """The answer to a request for predictions."""

    task: Literal["predict"]
    request: PredictRequest | None
    model: ModelSummary | None
    predictions: PredictionSummary | None
    timing: InferenceTiming


class EvaluateResult(BaseResult):
    """The answer to a request for an evaluation."""

    task: Literal["evaluate"]
    request: EvaluateRequest | None
    dataset: DatasetSummary | None
    model: ModelSummary | None
    predictions: PredictionSummary | None
    metrics: EvaluationMetrics | None
    timing: InferenceTiming


#: The answer to a request of any task. A task more is a class more here.
Result: TypeAlias = TrainResult | PredictResult | EvaluateResult
_RESULT: TypeAdapter[Result] = TypeAdapter(Annotated[Result, Field(discriminator="task")])


def load(path: Path) -> Result:
    """Returns the result in a file; raises ``OSError``, or ``ValueError`` where that is no result."""
    return _RESULT.validate_json(path.read_bytes())


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of a result, for programs and for ``config/result.schema.json``."""
    schema = _RESULT.json_schema(mode="serialization")
    schema["title"] = "segdrop result"
    schema["description"] = "JOB.json in outbox/: the answer to one input, beside JOB.zip where it succeeded."
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
