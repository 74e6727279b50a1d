"""A cache as the check leaves it, and a training spec on it: what a training child needs, and no more."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from segdrop.dataset.classes.assignment import IGNORE
from segdrop.request import TrainRequest
from segdrop.spec import ModelMetadata, TrainingSpec

CLASSES = ["background", "square"]


def write_cache(
    folder: Path, *, train: int, val: int, test: int = 0, height: int = 32, width: int = 32, seed: int = 0
) -> Path:
    """Noise with one bright square each, which is class 1; the first row of every mask is IGNORE."""
    count = train + val + test
    random = np.random.default_rng(seed)
    images = random.integers(0, 100, (count, height, width, 3), np.uint8)
    masks = np.zeros((count, height, width), np.uint8)
    for image, mask in zip(images, masks, strict=True):
        top, left = random.integers(2, height // 2), random.integers(2, width // 2)
        area = (slice(top, top + height // 3), slice(left, left + width // 3))
        image[area] += 150
        mask[area] = 1
        mask[0] = IGNORE
    folder.mkdir(parents=True)
    (folder / "images.u8").write_bytes(images.tobytes())
    (folder / "masks.u8").write_bytes(masks.tobytes())
    write_index(folder, train=train, val=val, test=test, height=height, width=width)
    return folder


def write_index(folder: Path, *, train: int, val: int, test: int, height: int, width: int) -> None:
    count = train + val + test
    index = {
        "count": count,
        "height": height,
        "width": width,
        "train": list(range(train)),
        "val": list(range(train, train + val)),
        "test": list(range(train + val, count)),
        "names": [f"images/{position}.png" for position in range(count)],
    }
    (folder / "index.json").write_text(json.dumps(index))


def training_spec(folder: Path, cache_dir: Path, **request: Any) -> TrainingSpec:
    """A run in ``folder``: 2 epochs of batches of 2, fp32, from random weights, unless the request says else.

    Its size is that of the cache, where there is one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    index_path = cache_dir / "index.json"
    index = json.loads(index_path.read_bytes()) if index_path.exists() else {"height": 32, "width": 32}
    size = (index["height"], index["width"])
    keys = {"epochs": 2, "batch_size": 2, "image_size": size, "pretrained": "none", "precision": "fp32"} | request
    return TrainingSpec(
        job="tiny",
        request=TrainRequest(**keys).resolved(),
        cache_dir=cache_dir,
        classes=CLASSES,
        weights_dirs=[folder / "models"],
        threads=1,  # more of them wait for each other when the machine is busy, and tiny steps are all waiting
        checkpoint_path=folder / "checkpoint.pth",
        model_path=folder / "model.pth",
        checkpoints_dir=folder / "checkpoints",
        history_path=folder / "history.csv",
        result_path=folder / "training.json",
        progress_path=folder / "progress.json",
        measurements_path=folder / "measurements.json",
        error_path=folder / "error.json",
        lock_path=folder / "child.lock",
        metadata=ModelMetadata(
            job="tiny",
            input_name="tiny.zip",
            input_sha256="0" * 64,
            mask_values=[0, 1],
            mask_encoding="ids",
            ignore_index=None,
        ),
    )


def start_training(spec: TrainingSpec) -> subprocess.Popen[str]:
    """The child, as the daemon starts it but without a parent to die with."""
    path = spec.checkpoint_path.with_name("training.spec.json")
    path.write_text(spec.model_dump_json())
    return subprocess.Popen(
        [sys.executable, "-m", "segdrop.training", str(path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
