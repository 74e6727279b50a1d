"""Whether correcting images in the order of ``review.csv`` teaches more than correcting as many at random.

For each seed: a model of few labelled images predicts a pool; half of the pool is labelled, once the first half of the
order and once a random half; two trainings go on from the model, each with one of the halves; both are evaluated on the
same held-out images. All of it goes through the inbox, as people do it.
"""

import csv
import io
import json
import statistics
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from segdrop.dataset.demo import CLASSES, scene

SIZE = 64
LABELLED, POOL, HELD_OUT = 20, 60, 60
FIRST_EPOCHS, NEXT_EPOCHS = 3, 3
REQUEST = {"image_size": SIZE, "batch_size": 4, "learning_rate": 8e-4, "augmentation": "flip", "force": True}


@dataclass(frozen=True, slots=True)
class Halves:
    """Mean IoU on the held-out images by seed, of the models before and after either half was labelled."""

    start: list[float]
    by_order: list[float]
    random: list[float]

    @property
    def gain(self) -> list[float]:
        """How much better the order is, by seed."""
        return [one - other for one, other in zip(self.by_order, self.random, strict=True)]


def measure(folder: Path, seeds: Sequence[int], on_step: Callable[[str], None] = print) -> Halves:
    """Measures some seeds, each with images of its own."""
    found = Halves([], [], [])
    for seed in seeds:
        start, ordered, random = _seed(folder / f"seed{seed}", seed)
        found.start.append(start)
        found.by_order.append(ordered)
        found.random.append(random)
        on_step(f"seed {seed}: start {start:.4f}, first half of the order {ordered:.4f}, random half {random:.4f}")
    return found


def lines(found: Halves) -> str:
    """Returns the mean and the spread as Markdown."""
    rows = {"start": found.start, "first half of the order": found.by_order, "random half": found.random}
    text = "\n## Which half of the pool to correct\n\n| labelled | mean IoU | spread |\n|---|---|---|\n"
    for name, values in (rows | {"order less random": found.gain}).items():
        spread = statistics.stdev(values) if len(values) > 1 else 0.0
        text += f"| {name} | {statistics.mean(values):.4f} | {spread:.4f} |\n"
    return text


def _seed(folder: Path, seed: int) -> tuple[float, float, float]:
    root = folder / "root"
    subprocess.run([sys.executable, "-m", "segdrop", "init", str(root)], check=True, stdout=subprocess.DEVNULL)
    known, pool = range(LABELLED), range(LABELLED, LABELLED + POOL)
    held_out = range(LABELLED + POOL, LABELLED + POOL + HELD_OUT)
    train = REQUEST | {"seed": seed, "pretrained": "none", "epochs": FIRST_EPOCHS}
    first = _job(root, "first", _pack(seed, known, labelled=True), train)
    predicted = _job(root, "pool", _pack(seed, pool, labelled=False), {"task": "predict", "model": first["job"]})
    order = _order(root, predicted)
    halves = {
        "ordered": order[: POOL // 2],
        "random": np.random.default_rng(seed).permutation(order)[: POOL // 2].tolist(),
    }
    measured = {"first": first["job"]}
    for name, chosen in halves.items():
        request = REQUEST | {"seed": seed, "pretrained": first["job"], "epochs": NEXT_EPOCHS}
        measured[name] = _job(root, name, _pack(seed, [*known, *sorted(chosen)], labelled=True), request)["job"]
    content = _pack(seed, held_out, labelled=True)
    scores = [
        _job(root, f"held-out-{name}", content, {"task": "evaluate", "model": job})["metrics"]["mean_iou"]
        for name, job in measured.items()
    ]
    return scores[0], scores[1], scores[2]


def _order(root: Path, answer: dict[str, Any]) -> list[int]:
    """Returns the numbers of the pool's images in the order of ``review.csv``."""
    with zipfile.ZipFile(root / "outbox" / f"{answer['job']}.zip") as result:
        rows = csv.DictReader(io.StringIO(result.read("review.csv").decode("utf-8-sig")))
        return [int(Path(row["name"]).stem) for row in rows]


def _pack(seed: int, numbers: Sequence[int], *, labelled: bool) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for number in numbers:
            image, mask = scene(np.random.default_rng([seed, number]), SIZE)
            archive.writestr(f"images/{number:04}.png", _png(image))
            if labelled:
                archive.writestr(f"masks/{number:04}.png", _png(mask))
        if labelled:
            archive.writestr("labels.txt", "\n".join(CLASSES))
    return stream.getvalue()


def _png(pixels: Any) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def _job(root: Path, name: str, content: bytes, request: dict[str, Any]) -> dict[str, Any]:
    """Drops an input, waits for its answer and returns it."""
    (root / "inbox" / f"{name}.json").write_text(json.dumps(request))
    (root / "inbox" / f"{name}.zip").write_bytes(content)
    command = [sys.executable, "-m", "segdrop", "once", "--root", str(root)]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    found = next(path for path in (root / "outbox").glob(f"{name}-2*.json") if path.stem.startswith(f"{name}-2"))
    answer: dict[str, Any] = json.loads(found.read_bytes())
    return answer
