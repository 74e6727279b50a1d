"""What a model says about one image, and the record of it that outlives the arrays."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from segdrop.dataset.unlabelled.item import Item
from segdrop.errors import Issue
from segdrop.record import Record


@dataclass(frozen=True, slots=True)
class Prediction:
    """A predicted image. All arrays have the size of the image (H, W)."""

    item: Item
    class_ids: npt.NDArray[np.uint16]  # (H, W)
    confidence: npt.NDArray[np.uint8]  # (H, W): 255 times the probability of the class that was chosen
    doubt: float  #: entropy of the class probabilities over the image's area: 0 certain, 1 every class alike
    descriptor: tuple[float, ...]  #: what the image is like to the model; near to each other are images alike


class SkippedRecord(Record):
    """An image that could not be read: a line of the journal, too, so that it is told after a crash as well."""

    index: int
    name: str
    issue: Issue


class ImageRecord(Record):
    """What is known of a predicted image without its arrays: a line of the journal, written when its files are."""

    index: int
    name: str
    stem: str
    height: int
    width: int
    seconds: float | None = None  #: of a frame of a video
    pixels: dict[int, int]  #: class id → number of its pixels, of the classes that occur
    mean_confidence: float  #: 0 to 1
    doubt: float
    descriptor: tuple[float, ...]
    parts: dict[str, Any] = Field({})  #: output's name → what its :meth:`Output.write` returned
