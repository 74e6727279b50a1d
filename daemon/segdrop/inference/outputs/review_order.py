"""In which order images are best corrected: what the model doubts first, and nothing twice that is nearly the same.

Method: greedy farthest-point traversal (Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"),
which Sener and Savarese (2018, "Active Learning for Convolutional Neural Networks: A Core-Set Approach") use to choose
images to label, here weighted by the model's doubt: of images that are alike one is enough, and one that the model is
sure of teaches little, however unlike the others it is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

#: So many images are chosen one by one: each choice looks at all candidates. The rest follows by doubt alone.
MOST_CHOSEN = 500
_SAMPLED_PAIRS = 2_000

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Candidate:
    """An image that may be corrected."""

    index: int
    doubt: float  #: see :class:`~segdrop.inference.prediction.Prediction`
    descriptor: tuple[float, ...]  #: of the same length in all images; near to each other are images alike


def review_order(records: Sequence[Candidate], most_chosen: int = MOST_CHOSEN) -> list[int]:
    """Returns the positions of ``records`` in the order in which correcting them teaches most.

    The first is the one of most doubt. Each of the next is the one with the highest product of its doubt and of how
    unlike it is to those before: its distance to the nearest of them in parts of the usual distance of two images, 1 at
    most, so that what is odd does not win by being odder still. After ``most_chosen`` images the rest follows by doubt.
    Images of equal worth stay in the order of their indices. It takes O(n · most_chosen) time and O(n) memory.
    """
    by_doubt = sorted(range(len(records)), key=lambda position: (-records[position].doubt, records[position].index))
    if len(by_doubt) <= 2:  # noqa: PLR2004  (the first is the first, and the last the last)
        return by_doubt
    descriptors = np.array([records[position].descriptor for position in by_doubt], np.float32)
    doubts = np.array([records[position].doubt for position in by_doubt])
    chosen = _chosen(descriptors, doubts, min(most_chosen, len(by_doubt)))
    rest = np.setdiff1d(np.arange(len(by_doubt)), chosen)
    return [by_doubt[place] for place in [*chosen, *rest.tolist()]]


def _chosen(descriptors: Floats, doubts: npt.NDArray[np.float64], count: int) -> list[int]:
    """Returns the rows that are chosen one by one, of rows in the order of their doubt."""
    usual = _usual_distance(descriptors)
    squares = np.einsum("nd,nd->n", descriptors, descriptors)
    newness = np.ones(len(descriptors))
    is_free = np.ones(len(descriptors), bool)
    chosen: list[int] = []
    for _ in range(count):
        worth = np.where(is_free, doubts * newness, -1.0)
        best = int(worth.argmax())
        chosen.append(best)
        is_free[best] = False
        if usual > 0:
            distances = squares + squares[best] - 2 * (descriptors @ descriptors[best])
            np.minimum(newness, np.sqrt(np.maximum(distances, 0)) / usual, out=newness)
    return chosen


def _usual_distance(descriptors: Floats) -> float:
    """Returns the median distance of any two rows, from a fixed sample of pairs; 0 without anything to compare."""
    if descriptors.shape[1] == 0:
        return 0.0
    random = np.random.default_rng(0)
    first = random.integers(0, len(descriptors), _SAMPLED_PAIRS)
    second = (first + random.integers(1, len(descriptors), _SAMPLED_PAIRS)) % len(descriptors)
    return float(np.median(np.linalg.norm(descriptors[first] - descriptors[second], axis=1)))
