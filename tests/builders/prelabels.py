"""Predictions with all that is hard to outline, as pre-labels of each kind, and as the data that people send back."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from builders.predictions import setting, written
from segdrop.dataset.unlabelled.item import Item
from segdrop.dataset.unlabelled.stems import stems
from segdrop.inference.outputs import catalog
from segdrop.inference.outputs.pictures import Pictures
from segdrop.inference.outputs.regions import Tracing
from segdrop.inference.prediction import Prediction
from segdrop.input_kinds import InputKind

CLASSES = ("background", "cat", "road & sign", "Bäume")
SIZE = (90, 131)
NAMES = ("straße/ä b.png", "a b/blobs.png", "a b/specks.png", "touching.png", "one class.png")
KINDS = ("coco", "cvat", "label_studio", "labelme", "yolo")


def blobs(seed: int, size: tuple[int, int] = SIZE, num_classes: int = 4, cell: int = 25) -> np.ndarray:
    """Class ids of smooth areas, some of them within others."""
    rng = np.random.default_rng(seed)
    coarse = rng.random((num_classes, size[0] // cell + 2, size[1] // cell + 2), np.float32)
    fine = [np.asarray(Image.fromarray(field).resize(size[::-1], Image.Resampling.BICUBIC)) for field in coarse]
    return np.argmax(fine, axis=0).astype(np.uint16)


def rings() -> np.ndarray:
    """Rings in rings: background within a class within another, and the other way round; off the middle, cut off."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    found = np.zeros(SIZE, np.uint16)
    for x, y, radii in ((40, 44, (40, 33, 25, 17, 8)), (112, 20, (30, 22, 15, 4)), (105, 75, (14, 10, 2))):
        for radius, class_id in zip(radii, (1, 0, 2, 3, 0), strict=False):
            found[(rows - y) ** 2 + (columns - x) ** 2 < radius**2] = class_id
    return found


def specks() -> np.ndarray:
    """Areas with single pixels all over, at corners and at sides of one another, and at the edges of the image."""
    rng = np.random.default_rng(3)
    found = blobs(5)
    where = rng.random(SIZE) < 0.04
    found[where] = rng.integers(0, 4, int(where.sum()))
    found[:12, :12] = np.indices((12, 12)).sum(axis=0) % 2 + 1
    return found


def touching() -> np.ndarray:
    """All classes against one another: stripes, steps, wedges, lines of one pixel, combs."""
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    found = (columns * 4 // SIZE[1]).astype(np.uint16)
    found[40:60] = (3 * columns[40:60] + 7 * rows[40:60]) // 53 % 4
    found[60:62, ::2] = 3
    found[62:70, 10:120:3] = 2
    found[-1], found[:, 0] = 1, 2
    return found


def scenes() -> dict[str, np.ndarray]:
    """Class ids (H, W) by the image's name."""
    one_class = np.full(SIZE, 2, np.uint16)
    return dict(zip(NAMES, (rings(), blobs(1), specks(), touching(), one_class), strict=True))


def predictions(masks: dict[str, np.ndarray]) -> list[Prediction]:
    """Predictions of these class ids, on images of noise."""
    return [
        Prediction(
            Item(index, name, stem, np.random.default_rng(index).integers(0, 256, (*ids.shape, 3), np.uint8)),
            ids, np.full(ids.shape, 204, np.uint8), 0.2, (0.0,),
        )
        for index, ((name, ids), stem) in enumerate(zip(masks.items(), stems(list(masks)), strict=True))
    ]  # fmt: skip


def prelabels(
    kind: str,
    folder: Path,
    masks: dict[str, np.ndarray],
    classes: Sequence[str] = CLASSES,
    background: int | None = 0,
    most_regions: int | None = None,
    **more: Any,
) -> Path:
    """The folder of pre-labels of one kind, as a job writes it; more regions than the most are united."""
    common = setting(folder, classes, background=background)
    outputs = catalog.build([kind], common, InputKind.ARCHIVE, **more)
    if most_regions is not None:
        order = catalog.Order(
            common, Pictures(common), InputKind.ARCHIVE, None, Tracing(common, most_regions), "polygons"
        )
        outputs = [catalog.KINDS[kind].make(order)]
    written([output for output in outputs if output.name == kind], predictions(masks))
    return folder / kind


def sent_back(kind: str, folder: Path, masks: dict[str, np.ndarray]) -> dict[str, bytes]:
    """The files of a folder of pre-labels with its images, packed as its ``import.txt`` says, accepted as they are."""
    files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for prediction, name in zip(predictions(masks), stems(list(masks)), strict=True):
        home = "" if kind == "labelme" else "images/"
        stored = f"{name}.png" if kind == "yolo" else prediction.item.name
        files[home + stored] = png(prediction.item.image)
    if kind == "label_studio":
        files["tasks.json"] = accepted(files["tasks.json"])
    del files["import.txt"]
    return files


def accepted(tasks: bytes) -> bytes:
    """Label Studio's tasks once people have submitted each prediction as it is."""
    found = json.loads(tasks)
    for task in found:
        task["annotations"] = [{"result": task["predictions"][0]["result"], "was_cancelled": False}]
    return json.dumps(found).encode()


def png(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def ious(found: np.ndarray, expected: np.ndarray, num_classes: int = len(CLASSES)) -> dict[int, float]:
    """IoU of each class that occurs in either, by class id."""
    pairs = {class_id: (found == class_id, expected == class_id) for class_id in range(num_classes)}
    return {class_id: float((a & b).sum() / (a | b).sum()) for class_id, (a, b) in pairs.items() if (a | b).any()}
