"""Answers: the files in which a child process says how far it has come, and what came of its work.

Light on purpose (no numpy, no torch): the daemon reads these. The check's answer is in :mod:`segdrop.dataset.report`.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from segdrop.errors import Issue
from segdrop.record import Record
from segdrop.request import StoredRequest, StoredTrainRequest

# how far it has come


class CheckProgress(Record):
    """The progress of a check, in files, or of a conversion, in pairs."""

    stage: Literal["check", "convert"]
    done: int
    total: int


class TrainProgress(Record):
    """The progress of a training. What is ``None`` is not known yet."""

    stage: Literal["train"]
    epoch: int  #: the one that goes on, from 1
    epochs: int
    step: int  #: steps done, in all epochs
    steps: int  #: steps to do, in all epochs
    loss: float | None = None  #: of the last step
    mean_iou: float | None = None  #: the best so far
    images_per_second: float | None = None
    eta_seconds: float | None = None  #: time that is left
    rss_bytes: int | None = None  #: resident memory of the process


class InferenceProgress(Record):
    """The progress of a prediction or an evaluation, in images or frames. What is ``None`` is not known yet."""

    stage: Literal["predict", "evaluate"]
    done: int
    total: int | None = None  #: as the input promises
    images_per_second: float | None = None
    eta_seconds: float | None = None  #: time that is left
    rss_bytes: int | None = None  #: resident memory of the process


Progress = Annotated[CheckProgress | TrainProgress | InferenceProgress, Field(discriminator="stage")]
_PROGRESS: TypeAdapter[CheckProgress | TrainProgress | InferenceProgress] = TypeAdapter(Progress)


def read_progress(path: Path) -> Progress | None:
    """Returns what a child's progress file says; ``None`` if there is none, or none that can be read."""
    try:
        return _PROGRESS.validate_json(path.read_bytes())
    except (OSError, ValueError):
        return None


# what came of it


class ClassMetrics(Record):
    """The metrics of one class, fractions from 0 to 1; ``None`` for a class without a pixel."""

    iou: float | None
    accuracy: float | None
    dice: float | None
    pixels: int  #: in the truth


class Baseline(Record):
    """The score of always answering the most frequent class."""

    class_name: str = Field("", alias="class")
    pixel_accuracy: float
    mean_iou: float


class SplitMetrics(Record):
    """All metrics of one side of the split, from one confusion matrix; fractions from 0 to 1."""

    mean_iou: float
    mean_accuracy: float
    pixel_accuracy: float
    mean_dice: float
    per_class: dict[str, ClassMetrics]
    absent_classes: list[str] = Field([])  #: neither in the truth nor predicted
    predicted_classes: list[str] = Field([])
    baseline: Baseline
    confusion_matrix: list[list[int]] = Field([])  #: rows are the truth
    loss: float | None = None  #: cross-entropy, whatever was minimised


class SplitCounts(Record):
    """Numbers of images by side of the split."""

    train: int
    val: int
    test: int


class Metrics(SplitMetrics):
    """The validation's metrics of the delivered model, how it came about, and the test split's where there is one."""

    best_epoch: int  #: the one whose weights are delivered, from 1
    output_stride: int | None = None
    epochs: int  #: that were trained
    planned_epochs: int | None = None
    steps: int
    initialisation: str
    initialisation_file: str | None = None
    initialisation_sha256: str | None = None
    initialisation_job: str | None = None  #: the job whose model it started from
    start: SplitMetrics | None = None  #: the validation's metrics of that model, before the first step
    counts: SplitCounts
    optimizer: str
    seed: int | None = None
    input_sha256: str | None = None
    test: SplitMetrics | None = None


class TrainingTiming(Record):
    """Tells how long a training took."""

    train_seconds: float = 0.0  #: steps alone
    train_images_per_second: float = 0.0
    first_step_seconds: float = 0.0  #: from the start of the last process to its first step
    estimated_seconds: float = 0.0  #: of the whole run, before its first step
    run_seconds: float = 0.0  #: of the whole run, by every process of it


class MeasuredFormat(Record):
    """Tells what was measured of bf16 against fp32 on a host."""

    speedup: float
    relative_error: float


class EnvironmentChange(Record):
    """From which step on a run was computed under which conditions; only the step where they are not known."""

    from_epoch: int  #: from 1
    from_step: int  #: of the epoch, from 1
    precision: str = ""
    threads: int = 0
    device: str = ""
    cpu: str = ""
    torch: str = ""
    recipe: int = 0


class Environment(Record):
    """Tells what a job was computed with. Where nothing was trained, the version of segdrop alone."""

    device: str = ""
    precision: str = ""
    calibration: MeasuredFormat | None = None
    threads: int = 0
    torch: str = ""
    torchvision: str = ""
    segdrop: str = ""
    recipe: int = 0
    python: str = ""
    cpu: str = ""
    platform: str = ""
    stretches: list[EnvironmentChange] = Field([])  #: where a run was taken up again under other conditions


class TrainingResult(Record):
    """``training.json``, a training's last file. Version 0.1 wrote neither ``request`` nor ``fingerprint``."""

    metrics: Metrics
    timing: TrainingTiming
    request: StoredTrainRequest | None = None  #: as it was done
    fingerprint: str | None = None  #: see ``segdrop.fingerprint``; ``None`` where it is not known for all of the run
    peak_rss_bytes: int
    environment: Environment
    issues: list[Issue]


class ModelSummary(Record):
    """The model that predicted or was evaluated."""

    id: str  #: the job that trained it, or its name in models/
    kind: str  #: ``segdrop``, ``huggingface``, ``onnx`` or ``torchvision``
    sha256: str
    classes: list[str]  #: its own, by class id


class Scores(Record):
    """A few figures of a model, where it was measured when it was trained."""

    mean_iou: float | None = None
    mean_accuracy: float | None = None
    pixel_accuracy: float | None = None
    mean_dice: float | None = None


class EvaluationMetrics(SplitMetrics):
    """All metrics of a model on the data that it was evaluated on, and those of its own validation beside them."""

    images: int
    own_validation: Scores | None = None  #: as the model's training measured them, on its own data and at its own size


class PredictionSummary(Record):
    """Tells what was predicted and written. ``classes`` are those of the masks, by class id."""

    images: int  #: or frames
    skipped: int  #: images that could not be read; an issue names them
    classes: list[str]
    outputs: list[str]
    output_bytes: int
    assumptions: list[str]  #: of the request's ``class_map``


class InferenceTiming(Record):
    """Tells how long a prediction or an evaluation took, by every process of it."""

    predict_seconds: float = 0.0
    images_per_second: float = 0.0
    first_image_seconds: float = 0.0  #: from the start of the last process to its first prediction


class InferenceResult(Record):
    """``inference.json``, the last file of a prediction or an evaluation."""

    request: StoredRequest  #: as it was done
    model: ModelSummary
    predictions: PredictionSummary
    metrics: EvaluationMetrics | None = None  #: of an evaluation
    timing: InferenceTiming
    fingerprint: str | None = None
    peak_rss_bytes: int
    environment: Environment
    issues: list[Issue]


class PackedResult(Record):
    """The packing's answer: the size and checksum of the result ZIP, and of the model in it where it has one."""

    bytes: int
    sha256: str
    model_bytes: int | None = None
    model_sha256: str | None = None
