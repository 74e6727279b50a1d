"""The descriptor of an image: a few numbers by which images that are alike are near to each other.

It says what the model sees, and where: the mean class probabilities of the image's quarters. It says what the image
looks like, too: the mean colours of its quarters, since images that a model understands in the same wrong way can look
different. Features from inside a network would tell more (Sener and Savarese, "Active Learning for Convolutional Neural
Networks: A Core-Set Approach", 2018, arXiv 1708.00489, go by them); but of a Hugging Face model or an ONNX file, logits
are all that there is, and two models have to be comparable by the same few numbers.
"""

import math
from functools import lru_cache

import numpy as np
import numpy.typing as npt

#: Most numbers for the classes. With more, distances are kept by a random projection to so many (Johnson and
#: Lindenstrauss): within about an eighth, and a line of the journal stays short, whatever the model.
MOST_CLASS_NUMBERS = 32
_DIGITS = 4
#: pixels along each side that mean colours are taken from, at most
_SAMPLES = 64


def describe(quarters: npt.NDArray[np.float64], image: npt.NDArray[np.uint8]) -> tuple[float, ...]:
    """Returns the descriptor: at most 44 numbers, as many for each image of a model.

    ``quarters`` (2, 2, C) are the mean class probabilities of the quarters of an image (H, W, 3). The squared Euclidean
    distance of two descriptors is the mean squared Hellinger distance of the probabilities, plus the mean squared
    difference of the colours: each between 0 and 1.
    """
    roots = np.sqrt(quarters.ravel() / (2 * quarters.shape[0] * quarters.shape[1]))
    if roots.size > MOST_CLASS_NUMBERS:
        roots = _projection(roots.size) @ roots
    colours = _colours(image).ravel()
    numbers = np.concatenate([roots, colours / math.sqrt(colours.size)])
    return tuple(round(float(number), _DIGITS) for number in numbers)


@lru_cache
def _projection(size: int) -> npt.NDArray[np.float64]:
    """Returns the same random matrix (MOST_CLASS_NUMBERS, size) each time, which keeps lengths on average."""
    matrix = np.random.default_rng(0).standard_normal((MOST_CLASS_NUMBERS, size))
    return matrix / math.sqrt(MOST_CLASS_NUMBERS)


def _colours(image: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """Returns the mean colours of the quarters of an image, (2, 2, 3), from 0 to 1, of pixels in a regular grid."""
    steps = [max(1, side // _SAMPLES) for side in image.shape[:2]]
    sample = image[:: steps[0], :: steps[1]]
    rows, columns = (_halves(side) for side in sample.shape[:2])
    return np.array([[sample[row, column].mean(axis=(0, 1)) / 255 for column in columns] for row in rows])


def _halves(length: int) -> tuple[slice, slice]:
    """Returns the two halves of an axis; of a single pixel, that pixel twice."""
    return slice(0, max(1, length // 2)), slice(length // 2, None)
