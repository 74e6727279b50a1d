"""An image to predict, as every kind of input gives it."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from segdrop.errors import Issue


@dataclass(frozen=True, slots=True)
class Item:
    """One image or one frame of a video, upright, RGB, 8 bits a channel.

    ``name`` is its name in the input, with folders (``a/b.jpg``), as people know it. ``stem`` is the relative path of
    what is written about it, less the suffix: safe on any filesystem, and no other item of the input has it.
    """

    index: int  #: its place in the input, from 0: the same in every run
    name: str
    stem: str
    image: npt.NDArray[np.uint8]  # (H, W, 3)
    truth: npt.NDArray[Any] | None = None  # (H, W) class ids of the dataset, where it has labels
    seconds: float | None = None  #: of a frame: its time in the video


@dataclass(frozen=True, slots=True)
class SkippedItem:
    """An image of the input that could not be read, with the issue that says why. The others go on without it."""

    index: int  #: its place in the input, from 0
    name: str
    issue: Issue
