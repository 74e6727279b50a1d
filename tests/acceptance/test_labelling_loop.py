"""The labelling loop: a model of few images predicts more, people correct it, and the next training goes on from it."""

import csv
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from builders.daemons import Root, verified_zip
from builders.exports import cvat
from segdrop.dataset.demo import CLASSES, scene

pytestmark = pytest.mark.slow

SIZE = 64
LABELLED, MORE = 20, 60
REQUEST = {"image_size": SIZE, "batch_size": 4, "learning_rate": 8e-4, "augmentation": "flip", "precision": "auto"}
DEADLINE_SECONDS = 1800.0
NAMES = ["background", *CLASSES]


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def pair(number: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    return scene(np.random.default_rng([5, number]), SIZE)


def archive(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as target:
        for name, content in members.items():
            target.writestr(name, content)
    return path


def few_labelled(path: Path) -> Path:
    members: dict[str, bytes] = {"labels.txt": "\n".join(CLASSES).encode()}
    for number in range(LABELLED):
        image, mask = pair(number)
        members |= {f"images/{number:03}.png": png(image), f"masks/{number:03}.png": png(mask)}
    return archive(path, members)


def corrected(path: Path) -> Path:
    """What comes back from CVAT: the truth of the images that were predicted, as masks, and the first ones again."""
    members: dict[str, bytes] = {}
    images = []
    for number in range(LABELLED + MORE):
        image, mask = pair(number)
        name = f"{number:03}.png"
        members[f"images/{name}"] = png(image)
        shapes = [
            cvat.mask(label, (mask == class_id)[top:bottom, left:right], left, top)
            for class_id, label in enumerate(CLASSES, 1)
            if (mask == class_id).any()
            for (top, bottom, left, right) in [box(mask == class_id)]
        ]
        images.append(
            f'  <image id="{number}" name="{name}" width="{SIZE}" height="{SIZE}">\n'
            + "\n".join(shapes)
            + "\n  </image>"
        )
    labels = "".join(map(cvat.label, CLASSES))
    return archive(path, {"annotations.xml": cvat.document(labels, "\n".join(images)), **members})


def box(covered: npt.NDArray[np.bool_]) -> tuple[int, int, int, int]:
    rows, columns = np.flatnonzero(covered.any(1)), np.flatnonzero(covered.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def once(root: Root, name: str, content: bytes, request: dict[str, Any]) -> dict[str, Any]:
    """Drops an input, and returns its answer once the daemon has no more to do."""
    before = {answer["job"] for answer in map(json.loads, texts(root))}
    (root.layout.inbox / f"{Path(name).stem}.json").write_text(json.dumps(request))
    (root.layout.inbox / name).write_bytes(content)
    with root.daemon(command="once", standin=False) as daemon:
        assert daemon.process.wait(DEADLINE_SECONDS) == 0
    (found,) = (answer for answer in map(json.loads, texts(root)) if answer["job"] not in before)
    assert found["status"] == "succeeded", found["issues"]
    return found


def texts(root: Root) -> list[bytes]:
    names = {"status.json", "models.json"}
    return [path.read_bytes() for path in sorted(root.layout.outbox.glob("*.json")) if path.name not in names]


def rows(root: Root, answer: dict[str, Any], name: str) -> list[dict[str, str]]:
    with zipfile.ZipFile(verified_zip(root, answer)) as result:
        return list(csv.DictReader(io.StringIO(result.read(name).decode("utf-8-sig"))))


def test_model_gets_better_by_what_people_correct_of_its_predictions(tmp_path: Path) -> None:
    root = Root(tmp_path)
    series = few_labelled(tmp_path / "meadow.zip")
    first = once(root, "meadow.zip", series.read_bytes(), REQUEST | {"epochs": 3, "pretrained": "previous"})
    assert any(issue["code"] == "model.no_previous" for issue in first["issues"]), "the first of a series"

    unlabelled = archive(
        tmp_path / "more.zip", {f"{n:03}.png": png(pair(n)[0]) for n in range(LABELLED, LABELLED + MORE)}
    )
    wanted = {"task": "predict", "model": first["job"], "outputs": ["cvat", "overlay"]}
    predicted = once(root, "more.zip", unlabelled.read_bytes(), wanted)
    assert predicted["predictions"]["images"] == MORE
    order = [row["name"] for row in rows(root, predicted, "review.csv")]
    assert sorted(order) == [f"{n:03}.png" for n in range(LABELLED, LABELLED + MORE)], "each image has its place"

    export = corrected(tmp_path / "export.zip").read_bytes()
    second = once(root, "meadow.zip", export, REQUEST | {"epochs": 4, "pretrained": "previous"})
    assert second["metrics"]["initialisation_file"] is not None
    history = rows(root, second, "history.csv")
    assert (history[0]["epoch"], len(history)) == ("0", 5), "the start's score on the new images is epoch 0"
    start, end = float(history[0]["mean_iou"]), second["metrics"]["mean_iou"]
    assert end > start + 0.05, f"mean IoU was {start} before and is {end}"
    assert second["dataset"]["layout"] == "cvat"
