"""Training on a GPU; skipped without one."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from builders.training import training_spec, write_cache
from segdrop.child_runtime import StopFlag
from segdrop.errors import StoppedError
from segdrop.training import loop

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")

SQUARES = {"epochs": 6, "batch_size": 8, "image_size": 64, "learning_rate": 1e-3}


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_cache(tmp_path_factory.mktemp("gpu") / "cache", train=64, val=8, test=4, height=64, width=64)


class StopAfter(StopFlag):
    """Asks to stop at the ``looks``-th look."""

    def __init__(self, looks: int) -> None:
        super().__init__()
        self._looks = looks

    def __bool__(self) -> bool:
        self._looks -= 1
        return self._looks < 0


def trained(folder: Path, cache_dir: Path, **request: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The result, and the model as a machine without a GPU reads it."""
    spec = training_spec(folder, cache_dir, **SQUARES, **request)
    loop.train(spec, StopFlag())
    return json.loads(spec.result_path.read_bytes()), torch.load(spec.model_path, weights_only=True)


@pytest.mark.parametrize("optimizer", ["muon", "adamw", "sgd"])
@pytest.mark.parametrize("loss", ["dice_cross_entropy", "weighted_cross_entropy", "ohem"])
def test_a_gpu_learns_and_leaves_a_model_for_cpus(tmp_path: Path, cache_dir: Path, optimizer: str, loss: str) -> None:
    result, model = trained(tmp_path, cache_dir, device="cuda", precision="auto", optimizer=optimizer, loss=loss)
    assert result["environment"]["device"] == "cuda"
    history = (tmp_path / "history.csv").read_text(encoding="utf-8").splitlines()
    losses = [float(row.split(",")[2]) for row in history[1:]]
    assert losses[-1] < 0.8 * losses[0]
    assert {value.device.type for value in model["state_dict"].values()} == {"cpu"}


@pytest.mark.parametrize("request_keys", [{"ema": True}, {"output_stride": 8}, {"augmentation": "strong"}])
def test_other_keys_work_there_too(tmp_path: Path, cache_dir: Path, request_keys: dict[str, Any]) -> None:
    result, _ = trained(tmp_path, cache_dir, device="cuda", **request_keys)
    assert 0 < result["metrics"]["mean_iou"] <= 1
    assert "test" in result["metrics"]


def test_a_gpu_in_fp32_takes_the_first_steps_that_a_cpu_takes(tmp_path: Path, cache_dir: Path) -> None:
    """Up to rounding and dropout, whose random numbers are others: the first weights and the batches are the same."""
    losses = {}
    for device in ("cpu", "cuda"):
        spec = training_spec(tmp_path / device, cache_dir, **SQUARES | {"epochs": 1}, device=device)
        loop.train(spec, StopFlag())
        losses[device] = float(spec.history_path.read_text(encoding="utf-8").splitlines()[1].split(",")[2])
    assert losses["cuda"] == pytest.approx(losses["cpu"], rel=0.05)


def test_a_run_that_was_stopped_goes_on_there(tmp_path: Path, cache_dir: Path) -> None:
    spec = training_spec(tmp_path, cache_dir, **SQUARES, device="cuda")
    with pytest.raises(StoppedError):
        loop.train(spec, StopAfter(60))
    assert spec.checkpoint_path.exists()
    loop.train(spec, StopFlag())
    assert json.loads(spec.result_path.read_bytes())["metrics"]["epochs"] == SQUARES["epochs"]
