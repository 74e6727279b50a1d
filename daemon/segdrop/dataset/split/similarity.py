"""Images that are nearly the same: frames of one video, or copies under other names.

They are told by thumbnails of 64 bytes an image. The distance of two images is the mean absolute difference of their
thumbnails (grey, 8x8), each less its mean, so that a change of exposure alone is none.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIDE, _GRID = 8, 64
#: images are nearly the same below this distance in grey levels, and below this part of the usual distance
_NEAR, _NEAR_PART = 2.0, 0.15
#: neighbours by name are frames of a video if their median distance is below this part of the usual distance
_FRAMES_PART = 0.5
_FEWEST_FRAMES = 20
_SAMPLED_PAIRS = 2_000
#: at most this many images are compared with each other
_MOST_GROUPED = 4_000
#: a side of the split that is compared is thinned to this many images
_MOST_COMPARED = 1_000
#: pieces that a video is cut into, at least, so that there is something to choose from
_PIECES = 20
_SHORTEST_PIECE = 4

#: a step of the numbers below, in grey levels
_STEP = 0.125
Thumbnails = npt.NDArray[np.int16]  # (N, 64), each row of mean 0, in steps


def thumbnail(image: Image.Image) -> bytes:
    """Returns means of a grid of single pixels, 64 bytes: nearly those of all pixels, at a fraction of the time."""
    grid = image.resize((_GRID, _GRID), Image.Resampling.NEAREST).convert("L")
    return grid.resize((_SIDE, _SIDE), Image.Resampling.BOX).tobytes()


def centred(thumbnails: bytes | bytearray) -> Thumbnails:
    """Returns thumbnails that stand one after the other as rows of mean 0."""
    steps = np.frombuffer(thumbnails, np.uint8).reshape(-1, _SIDE * _SIDE).astype(np.int16)
    steps *= int(1 / _STEP)
    steps -= steps.mean(axis=1, keepdims=True).round().astype(np.int16)
    return steps


def _distances(some: Thumbnails, others: Thumbnails) -> npt.NDArray[np.float64]:
    """Returns the distances in grey levels, (N,), row by row, or of many to one."""
    difference = some - others
    return np.asarray(np.abs(difference, out=difference).mean(axis=-1) * _STEP)


def usual_distance(images: Thumbnails) -> float:
    """Returns the median distance of any two images, from a fixed sample of pairs; 0 for fewer than two images."""
    if len(images) < 2:  # noqa: PLR2004  (a pair)
        return 0.0
    random = np.random.default_rng(0)
    first = random.integers(0, len(images), _SAMPLED_PAIRS)
    second = (first + random.integers(1, len(images), _SAMPLED_PAIRS)) % len(images)
    return float(np.median(_distances(images[first], images[second])))


def groups(images: Thumbnails) -> list[int]:
    """Returns the number of the group that each image is in, by its first image, for images in the order of their
    names.

    Groups are pieces of video, else copies of one image (frames on both sides of a cut would tie a whole video
    together). An image that is like no other is a group of its own.
    """
    usual = usual_distance(images)
    if (numbers := _pieces(images, usual)) is not None:
        return numbers
    numbers = list(range(len(images)))
    if len(images) > _MOST_GROUPED:
        return numbers
    limit = min(_NEAR, _NEAR_PART * usual)
    for position in range(1, len(images)):
        for copied in np.flatnonzero(_distances(images[:position], images[position]) < limit)[:1]:
            old, new = numbers[position], numbers[copied]
            if old != new:
                numbers = [new if number == old else number for number in numbers]
    return numbers


def _pieces(images: Thumbnails, usual: float) -> list[int] | None:
    """Returns the number of the piece of video that each image is in, or None where neighbours are not alike.

    A piece ends where the scene changes, and where it gets too long to leave a choice.
    """
    steps = _distances(images[1:], images[:-1])
    if len(images) < _FEWEST_FRAMES or np.median(steps) >= _FRAMES_PART * usual:
        return None
    longest = max(_SHORTEST_PIECE, len(images) // _PIECES)
    numbers = [0]
    for position, step in enumerate(steps, start=1):
        length = position - numbers[-1]
        is_new = length >= longest or (step > usual and length >= _SHORTEST_PIECE)
        numbers.append(position if is_new else numbers[-1])
    return numbers


def alike(images: Thumbnails, some: Sequence[int], others: Sequence[int]) -> list[int]:
    """Returns those of ``some`` that are nearly the same as one of ``others``; of very many, a part is looked at."""
    if not others:
        return []
    limit = min(_NEAR, _NEAR_PART * usual_distance(images))
    looked_at = some[:: max(1, -(-len(some) // _MOST_COMPARED))]
    compared = images[np.asarray(others)]
    return [one for one in looked_at if _distances(compared, images[one]).min() < limit]
