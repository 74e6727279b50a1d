"""Nothing stands in here: real children, real training, tiny data."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from builders import write_dataset
from builders.daemons import Root, is_alive, verified_zip, wait_until

DATA = Path(__file__).parents[3] / "shared" / "data"

#: what a user of the result does: plain torchvision, nothing of ours
STRICT_LOAD = """
import sys, torch
for name, schema in {
    "nms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms": "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
}.items():
    try:
        torch.library.define(f"torchvision::{name}", schema)
    except RuntimeError:
        pass
from torchvision.models.segmentation import deeplabv3_resnet50
content = torch.load(sys.argv[1], weights_only=True)
model = deeplabv3_resnet50(
    weights=None, weights_backbone=None, num_classes=content["num_classes"], aux_loss=True
)
model.load_state_dict(content["state_dict"], strict=True)
model.eval()
with torch.inference_mode():
    print(tuple(model(torch.zeros(1, 3, 32, 32))["out"].shape))
"""


def strict_load(result: Path, folder: Path) -> str:
    with zipfile.ZipFile(result) as archive:
        archive.extract("model.pth", folder)
    loaded = subprocess.run(
        [sys.executable, "-c", STRICT_LOAD, str(folder / "model.pth")], capture_output=True, text=True, check=False
    )
    assert loaded.returncode == 0, loaded.stderr
    return loaded.stdout.strip()


def assert_complete(root: Root, answer: dict[str, Any]) -> Path:
    result = verified_zip(root, answer)
    with zipfile.ZipFile(result) as archive:
        assert archive.testzip() is None
        expected = {"model.pth", "README.txt", "requirements.txt", "predict.py", "labels.txt", "metrics.json"}
        assert expected | {"history.csv"} <= set(archive.namelist())
        metrics = json.loads(archive.read("metrics.json"))
        assert archive.read("labels.txt").decode().splitlines() == answer["dataset"]["classes"]
    # one and the same answer, less what only the outside can know
    assert metrics | {"result": None} == answer | {"result": None}
    assert sum(map(sum, answer["metrics"]["confusion_matrix"])) > 0
    assert 0.0 <= answer["metrics"]["mean_iou"] <= 1.0
    return result


def test_killed_daemon_is_followed_by_one_that_finishes_the_real_training(tmp_path: Path) -> None:
    root = Root(tmp_path / "run")
    data = write_dataset(tmp_path / "tiny.zip", count=6, size=(32, 32))
    request = {"level": 1, "epochs": 2, "batch_size": 4, "pretrained": "none", "precision": "fp32"}
    root.drop(data, request=request)
    with root.daemon(standin=False) as daemon:
        pid = daemon.wait_for("job.started")["pid"]
        wait_until(lambda: list(root.layout.work.glob("tiny-*/checkpoint.pth")), "the first epoch's checkpoint")
        assert daemon.rss_bytes() < 80_000_000
        daemon.kill()
        wait_until(lambda: not is_alive(pid), "the child's death")
    with root.daemon(standin=False) as daemon:
        answer = root.answer("tiny.zip")
        root.archived(answer)
        epochs = [event["epoch"] for event in daemon.events("epoch.finished")]
        assert daemon.stop() == 0
    assert (answer["status"], answer["attempts"]) == ("succeeded", 2)
    assert epochs == [2]  # not from the start again
    result = assert_complete(root, answer)
    with zipfile.ZipFile(result) as archive:
        history = archive.read("history.csv").decode().splitlines()
    assert [line.split(",")[0] for line in history] == ["epoch", "1", "2"]
    assert strict_load(result, tmp_path) == "(1, 3, 32, 32)"


def test_camvid_comes_back_as_a_model(tmp_path: Path) -> None:
    source = DATA / "camvid_paired_small.zip"
    if not source.is_file():
        pytest.skip(f"{source.name} is not at hand")
    root = Root(tmp_path / "run")
    root.drop(source, request={"level": 1, "epochs": 1, "image_size": 64, "max_images": 12, "pretrained": "none"})
    result = root.command("once", standin=False)
    assert result.returncode == 0, result.stderr[-4000:]
    answer = root.answers()["camvid_paired_small.zip"]
    assert (answer["status"], answer["dataset"]["num_classes"], answer["dataset"]["pairs"]) == ("succeeded", 11, 12)
    assert_complete(root, answer)
    assert root.archived(answer).read_bytes() == source.read_bytes()
