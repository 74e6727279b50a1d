"""The training child as a process, with the real model on tiny images."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch

from builders.training import CLASSES, start_training, training_spec, write_cache
from segdrop.errors import Exit
from segdrop.modeling.operators import import_torchvision
from segdrop.spec import TrainingSpec
from segdrop.training.result import HISTORY_COLUMNS

TIMEOUT_SECONDS = 240
#: starts the training as the daemon does, tells its PID, and waits to be killed
PARENT = """
import os, signal, subprocess, sys, segdrop
os.environ |= {"SEGDROP_PARENT_PID": str(os.getpid()), "SEGDROP_PARENT_VERSION": segdrop.__version__}
command = [sys.executable, "-m", "segdrop.training", sys.argv[1]]
print(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).pid, flush=True)
signal.pause()
"""


@dataclass(frozen=True)
class Finished:
    spec: TrainingSpec
    events: list[dict[str, Any]]
    model: dict[str, Any]
    result: dict[str, Any]


def wait(spec: TrainingSpec) -> Finished:
    """Start the child and wait for its result."""
    child = start_training(spec)
    _, lines = child.communicate(timeout=TIMEOUT_SECONDS)
    assert child.returncode == Exit.OK, lines
    model = torch.load(spec.model_path, map_location="cpu", weights_only=True)
    events = [json.loads(line) for line in lines.splitlines()]
    return Finished(spec, events, model, json.loads(spec.result_path.read_bytes()))


def wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"no {what}"
        time.sleep(0.02)


def steps_done(spec: TrainingSpec) -> int:
    try:
        return int(json.loads(spec.progress_path.read_bytes())["step"])
    except FileNotFoundError:
        return 0


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("data") / "cache", train=6, val=2, test=1)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, cache_dir: Path) -> Finished:
    return wait(training_spec(tmp_path_factory.mktemp("whole"), cache_dir))


def test_model_loads_without_pickles_and_strictly_into_torchvisions_own(finished: Finished) -> None:
    segmentation = import_torchvision("torchvision.models.segmentation")
    network = segmentation.deeplabv3_resnet50(
        weights=None, weights_backbone=None, num_classes=len(CLASSES), aux_loss=True
    )
    network.load_state_dict(finished.model["state_dict"], strict=True)
    described = {key: finished.model[key] for key in ("format", "format_version", "architecture", "num_classes")}
    assert described == {
        "format": "segdrop-model",
        "format_version": 1,
        "architecture": "deeplabv3_resnet50",
        "num_classes": 2,
    }
    assert finished.model["classes"] == CLASSES
    assert finished.model["image_size"] == [32, 32]
    assert finished.model["precision"] == "fp32"
    assert finished.model["mask_values"] == [0, 1]
    assert finished.model["metrics"] == finished.result["metrics"]


def test_result_has_what_the_delivery_needs(finished: Finished) -> None:
    metrics = finished.result["metrics"]
    assert {"mean_iou", "mean_accuracy", "pixel_accuracy", "mean_dice", "loss", "per_class"} <= metrics.keys()
    assert {"baseline", "confusion_matrix", "initialisation", "best_epoch", "test", "absent_classes"} <= metrics.keys()
    assert sum(map(sum, metrics["confusion_matrix"])) == 2 * 31 * 32  # two images without their ignored row
    assert sum(map(sum, metrics["test"]["confusion_matrix"])) == 31 * 32
    assert finished.result["timing"]["train_seconds"] > 0
    assert finished.result["timing"]["train_images_per_second"] > 0
    assert finished.result["peak_rss_bytes"] > 100_000_000
    assert finished.result["environment"]["threads"] == 1
    assert finished.result["environment"]["torch"] == torch.__version__


def test_history_has_one_row_an_epoch(finished: Finished) -> None:
    header, *rows = finished.spec.history_path.read_text().splitlines()
    assert tuple(header.split(",")) == HISTORY_COLUMNS
    assert [row.split(",")[0] for row in rows] == ["1", "2"]


def test_progress_ends_at_the_last_step(finished: Finished) -> None:
    state = json.loads(finished.spec.progress_path.read_bytes())
    assert state["stage"] == "train"
    assert 0 < state["step"] <= state["steps"] == 6
    assert state["rss_bytes"] > 100_000_000


def test_every_line_is_an_event_with_its_job_and_stage(finished: Finished) -> None:
    assert [event["event"] for event in finished.events] == [
        "train.planned",
        *["epoch.finished", "checkpoint.saved"] * 2,
    ]
    assert {(event["job"], event["stage"]) for event in finished.events} == {("tiny", "train")}


def test_child_asked_to_stop_saves_within_the_epoch_and_resumes_to_the_same_bits(
    finished: Finished, tmp_path: Path, cache_dir: Path
) -> None:
    spec = training_spec(tmp_path, cache_dir)
    child = start_training(spec)
    wait_for(lambda: steps_done(spec) >= 1, "first step")
    child.send_signal(signal.SIGTERM)
    _, lines = child.communicate(timeout=TIMEOUT_SECONDS)
    assert child.returncode == Exit.TRY_LATER, lines
    assert spec.checkpoint_path.exists()
    assert not spec.result_path.exists()

    resumed = wait(spec)
    assert resumed.events[0]["event"] == "job.resumed"
    assert resumed.model["state_dict"].keys() == finished.model["state_dict"].keys()
    for key, value in finished.model["state_dict"].items():
        assert torch.equal(resumed.model["state_dict"][key], value), key
    assert resumed.result["metrics"] == finished.result["metrics"]


def test_torch_is_never_loaded_before_the_wait_policy_is_set() -> None:
    script = "import sys, segdrop.training.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_child_never_outlives_the_process_that_started_it(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path, cache_dir, epochs=1000)
    spec_path = tmp_path / "spec.json"
    spec_path.write_text(spec.model_dump_json())
    with subprocess.Popen([sys.executable, "-c", PARENT, str(spec_path)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        training = int(parent.stdout.readline())
        wait_for(spec.progress_path.exists, "progress")
        parent.kill()
    wait_for(lambda: not _is_running(training), "end of the training")


def _is_running(pid: int) -> bool:
    """Whether it runs; one that ended and was not reaped yet by its new parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    ("asked", "code", "named"),
    [
        ({"pretrained": "absent.pth"}, "request.weights_not_found", "absent.pth"),
        pytest.param(
            {"device": "cuda"},
            "request.no_gpu",
            "CUDA",
            marks=pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU"),
        ),
    ],
    ids=["weights", "device"],
)
def test_fault_of_the_request_is_told_by_the_exit_code_and_the_error_file(
    tmp_path: Path, cache_dir: Path, asked: dict[str, str], code: str, named: str
) -> None:
    spec = training_spec(tmp_path, cache_dir, **asked)
    child = start_training(spec)
    child.communicate(timeout=TIMEOUT_SECONDS)
    assert child.returncode == Exit.DATA
    (issue,) = json.loads(spec.error_path.read_bytes())["issues"]
    assert issue["code"] == code
    assert named in issue["message"]
