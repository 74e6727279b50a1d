"""Records as the stages of a job leave them: the check's report, the training's answer, the result."""

from typing import Any

from builders.spool import WALL, job_record
from segdrop.answers import Baseline, ClassMetrics, Environment, Metrics, SplitCounts, TrainingResult, TrainingTiming
from segdrop.dataset.report import CheckReport, DatasetSummary
from segdrop.request import ImageSize, TrainRequest
from segdrop.results import summary
from segdrop.results.result import Result
from segdrop.spool.job import Attempts, Job, JobState, Outcome

CLAIMED_AT = WALL.timestamp()


def dataset(**changes: Any) -> DatasetSummary:
    values = {
        "layout": "paired",
        "reason": "images/ and masks/",
        "pairs": 3,
        "train": 2,
        "val": 1,
        "test": 0,
        "num_classes": 2,
        "classes": ["a", "b"],
        "mask_values": [0, 1],
        "ignore_index": None,
        "mask_encoding": "ids",
        "split": "made",
        "image_size": ImageSize(32, 32),
        "class_pixels": [1, 2],
        "ignored_pixels": 0,
        "assumptions": ["so"],
    }
    return DatasetSummary(**(values | changes))


def report(**changes: Any) -> CheckReport:
    values: dict[str, Any] = {
        "input_bytes": 3,
        "input_sha256": "ab",
        "changed_while_read": False,
        "request": TrainRequest().resolved(),
        "issues": [],
        "dataset": dataset(),
        "peak_rss_bytes": 7,
        "seconds": 1.0,
    }
    return CheckReport(**(values | changes))


def metrics(**changes: Any) -> Metrics:
    values: dict[str, Any] = {
        "mean_iou": 0.5,
        "mean_accuracy": 0.6,
        "pixel_accuracy": 0.75,
        "mean_dice": 0.7,
        "per_class": {
            "a": ClassMetrics(iou=0.5, accuracy=0.6, dice=0.7, pixels=9),
            "b": ClassMetrics(iou=None, accuracy=None, dice=None, pixels=0),
        },
        "baseline": Baseline(class_name="a", pixel_accuracy=0.5, mean_iou=0.25),
        "best_epoch": 4,
        "epochs": 5,
        "steps": 35,
        "initialisation": "random",
        "counts": SplitCounts(train=2, val=1, test=0),
        "optimizer": "muon",
    }
    return Metrics(**(values | changes))


def training(**changes: Any) -> TrainingResult:
    values: dict[str, Any] = {
        "metrics": metrics(),
        "timing": TrainingTiming(train_seconds=9.0, train_images_per_second=3.5, first_step_seconds=0.4),
        "peak_rss_bytes": 99,
        "environment": Environment(torch="2"),
        "issues": [],
    }
    return TrainingResult(**(values | changes))


def trained() -> Job:
    """A job whose training is done."""
    return job_record(
        state=JobState.COMPUTED,
        queued_at=CLAIMED_AT + 10,
        started_at=CLAIMED_AT + 15.5,
        prepare_seconds=4.25,
        attempts=Attempts(total=2),
    )


def compose(job: Job, outcome: Outcome, **parts: Any) -> Result:
    arguments: dict[str, Any] = {"report": None, "answer": None, "issues": [], "now": CLAIMED_AT + 60}
    return summary.compose(job, outcome, **(arguments | parts))
