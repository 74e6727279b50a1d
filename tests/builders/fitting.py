"""Scenes whose masks lie on the edges of their images, to be disturbed."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from builders.archives import encoded, write_zip
from segdrop.dataset.demo import scene

SIDE = 64
Pair = tuple[np.ndarray, np.ndarray]


def scenes(count: int) -> list[Pair]:
    """Images (SIDE, SIDE, 3) and masks (SIDE, SIDE) with the values 0 to 3."""
    return [scene(np.random.default_rng([7, number]), SIDE) for number in range(count)]


def of_the_next(pairs: Sequence[Pair]) -> list[Pair]:
    """Each image with the mask of the next one, the last with that of the first."""
    masks = [mask for _, mask in pairs]
    return [(image, mask) for (image, _), mask in zip(pairs, [*masks[1:], masks[0]], strict=True)]


def dataset(folder: Path, pairs: Sequence[Pair]) -> Path:
    """A ZIP with images/, masks/ and labels.txt."""
    content = {"labels.txt": b"sun\nbrick\nwater\n"}
    for number, (image, mask) in enumerate(pairs):
        content[f"images/{number:04}.png"] = encoded(image)
        content[f"masks/{number:04}.png"] = encoded(np.ascontiguousarray(mask))
    return write_zip(folder / "data.zip", content)
