"""Datasets made from a seed, whose truth is known to the pixel, and what may become of them.

A draft says what is to be written; an oddity (see ``builders.oddities``) changes it before it is.
"""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto

import numpy as np

from builders.archives import encoded, mask_image
from builders.exports.coco import categories, run_lengths
from builders.exports.labelme import document, shape
from builders.exports.scenes import voc_palette

VOID = 255
NAMES = ("road", "tree", "roof", "pond", "cow", "kiln", "fern", "sand")
_MOST_CLASSES = 5


class Coding(Enum):
    """How masks hold their classes."""

    INDEX = auto()
    PALETTE = auto()
    COLOUR = auto()
    LEVELS = auto()
    COCO = auto()
    LABELME = auto()

    @property
    def is_drawn(self) -> bool:
        return self in (Coding.COCO, Coding.LABELME)


class Naming(Enum):
    """What tells the names of the classes."""

    NONE = auto()
    LABELS = auto()
    WITH_BACKGROUND = auto()
    LEGEND = auto()


@dataclass
class Draft:
    """A dataset before it is written. ``ids`` is the truth of each pair: class ids, or ``VOID`` where left out."""

    rng: np.random.Generator
    images: list[np.ndarray]  #: (height, width, 3)
    ids: list[np.ndarray]  #: (height, width)
    names: list[str]  #: by class id, background first
    coding: Coding
    naming: Naming
    free: list[np.ndarray]  #: pixels that may be read in any way
    sides: dict[int, str] | None = None  #: where the split is part of the truth
    lists: dict[str, bytes] = field(default_factory=dict)
    extra: dict[str, bytes] = field(default_factory=dict)
    write_image: Callable[["Draft", int], bytes] = lambda draft, i: encoded(draft.images[i])
    write_mask: Callable[["Draft", int], bytes] = lambda draft, i: mask_bytes(draft, draft.ids[i])
    image_path: str = "images/{}.png"
    mask_path: str = "masks/{}.png"
    left_out: set[int] = field(default_factory=set)  #: pairs that may be missing

    @property
    def size(self) -> tuple[int, int]:
        height, width = self.ids[0].shape
        return height, width

    @property
    def num_classes(self) -> int:
        return len(self.names)

    @property
    def has_names(self) -> bool:
        return self.naming is not Naming.NONE or self.coding.is_drawn

    @property
    def is_binary(self) -> bool:
        return self.num_classes == 2 and self.coding is Coding.LEVELS and not self.has_names


def stem(i: int) -> str:
    return f"shot_{i:03}"


def content(draft: Draft) -> dict[str, bytes]:
    """The files."""
    files = dict(draft.lists)
    for i in range(len(draft.images)):
        files[draft.image_path.format(stem(i))] = draft.write_image(draft, i)
        if not draft.coding.is_drawn:
            files[draft.mask_path.format(stem(i))] = draft.write_mask(draft, i)
    return files | draft.extra


def generate(rng: np.random.Generator) -> Draft:
    """A dataset without any oddity."""
    coding = Coding(int(rng.choice([1, 1, 2, 2, 3, 3, 4, 4, 4, 5, 6])))
    num_classes = int(rng.integers(2, _MOST_CLASSES + 1))
    naming = Naming(int(rng.integers(1, 4)))
    if coding is Coding.COLOUR:
        naming = Naming.LEGEND if naming is Naming.LABELS else Naming.NONE
    if coding.is_drawn:
        naming = Naming.NONE
    size = (int(rng.integers(32, 65)), int(rng.integers(32, 65)))
    chosen = rng.permutation(NAMES)[: num_classes - 1].tolist()
    names = (
        ["background", *chosen]
        if naming is not Naming.NONE or num_classes > 2 or coding.is_drawn
        else ["background", "foreground"]
    )
    count = int(rng.integers(8, 13))
    draft = Draft(rng, [], [], names, coding, naming, [])
    looks = rng.permutation(np.linspace(30, 220, num_classes))[:, None] + rng.uniform(-30, 30, (num_classes, 3))
    for _ in range(count):
        mask = _areas(rng, size, num_classes, boxes=coding.is_drawn)
        image = looks[mask] + rng.normal(0, 6, (*size, 3)) + rng.uniform(-12, 12, 3)
        draft.images.append(image.clip(0, 255).astype(np.uint8))
        draft.ids.append(mask)
        draft.free.append(np.zeros(size, bool))
    write_lists(draft)
    return draft


def _areas(rng: np.random.Generator, size: tuple[int, int], num_classes: int, *, boxes: bool) -> np.ndarray:
    """One area for each class after the background, apart from one another, in a corner of their own where they can."""
    height, width = size
    mask = np.zeros(size, np.uint8)
    rows, columns = np.mgrid[:height, :width]
    corners = rng.permutation(4)
    for class_id in range(1, num_classes):
        down, right = divmod(int(corners[class_id - 1]), 2)
        top = down * height // 2 + int(rng.integers(1, height // 8 + 1))
        left = right * width // 2 + int(rng.integers(1, width // 8 + 1))
        tall, wide = int(rng.integers(height // 5, height // 3)), int(rng.integers(width // 5, width // 3))
        if boxes:
            mask[top : top + tall, left : left + wide] = class_id
        else:
            middle = (rows - top - tall / 2) / tall * 2, (columns - left - wide / 2) / wide * 2
            mask[middle[0] ** 2 + middle[1] ** 2 <= 1] = class_id
    return mask


def colours(draft: Draft) -> np.ndarray:
    """(number of classes, 3): black, then far from one another."""
    return np.asarray(voc_palette(), np.uint8).reshape(-1, 3)[[0, 1, 2, 4, 11][: draft.num_classes]]


def levels(draft: Draft) -> np.ndarray:
    """The grey level of each class."""
    return np.linspace(0, 255, draft.num_classes).round().astype(np.uint8)


def mask_bytes(draft: Draft, ids: np.ndarray) -> bytes:
    """A mask as its coding has it; ``VOID`` is 255 where values are class ids, and nowhere else."""
    if draft.coding is Coding.COLOUR:
        return encoded(colours(draft)[ids])
    if draft.coding is Coding.LEVELS:
        return encoded(levels(draft)[ids])
    return encoded(palette_image(ids) if draft.coding is Coding.PALETTE else ids)


def palette_image(ids: np.ndarray):  # noqa: ANN201
    image = mask_image(ids, "P")
    image.putpalette(voc_palette())
    return image


def lines(names: list[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def write_lists(draft: Draft) -> None:
    """What names the classes: a list, a legend, or the annotations themselves."""
    if draft.coding is Coding.COCO:
        draft.lists = {"annotations.json": coco(draft)}
    elif draft.coding is Coding.LABELME:
        draft.lists = {f"images/{stem(i)}.json": labelme(draft, i) for i in range(len(draft.ids))}
    elif draft.naming is Naming.LEGEND:
        draft.lists = {"class_dict.csv": legend(draft)}
    elif draft.naming is not Naming.NONE:
        draft.lists = {"labels.txt": lines(draft.names[draft.naming is Naming.LABELS :])}


def legend(draft: Draft) -> bytes:
    stream = io.StringIO()
    rows = csv.writer(stream)
    rows.writerow(["name", "r", "g", "b"])
    rows.writerows([name, *colour.tolist()] for name, colour in zip(draft.names, colours(draft), strict=True))
    return stream.getvalue().encode()


def annotations(draft: Draft) -> list[dict]:
    """COCO's, as run lengths."""
    found = []
    for i, ids in enumerate(draft.ids):
        for class_id in range(1, draft.num_classes):
            if class_id not in ids:
                continue
            area = {"size": list(draft.size), "counts": run_lengths(ids == class_id)}
            found.append({
                "id": len(found) + 1, "image_id": i + 1, "category_id": class_id, "segmentation": area, "iscrowd": 1,
                "area": int(np.sum(ids == class_id)), "bbox": box_of(ids == class_id),
            })  # fmt: skip
    return found


def box_of(area: np.ndarray) -> list[int]:
    """Left, top, width, height."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    left, top = int(columns[0]), int(rows[0])
    return [left, top, int(columns[-1]) - left + 1, int(rows[-1]) - top + 1]


def coco(draft: Draft, found: list[dict] | None = None) -> bytes:
    height, width = draft.size
    images = [{"id": i + 1, "file_name": f"{stem(i)}.png", "width": width, "height": height}
              for i in range(len(draft.ids))]  # fmt: skip
    listed = categories(dict(enumerate(draft.names[1:], start=1)))
    return json.dumps(
        {"images": images, "categories": listed, "annotations": annotations(draft) if found is None else found}
    ).encode()


def labelme(draft: Draft, i: int, spelt: Callable[[str], str] = str) -> bytes:
    shapes = []
    for class_id in range(1, draft.num_classes):
        left, top, wide, tall = box_of(draft.ids[i] == class_id)
        right, bottom = left + wide - 1, top + tall - 1
        # one corner too many: tools that draw nothing but boxes are another matter
        corners = [[left, top], [(left + right) // 2, top], [right, top], [right, bottom], [left, bottom]]
        shapes.append(shape(spelt(draft.names[class_id]), "polygon", corners))
    whole = json.loads(document(shapes, f"{stem(i)}.png"))
    whole["imageHeight"], whole["imageWidth"] = draft.size
    return json.dumps(whole).encode()
