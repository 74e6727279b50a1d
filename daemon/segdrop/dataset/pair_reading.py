"""One pair of image and truth, decoded by a few threads, in order, with a bounded number in flight."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code
from segdrop.dataset import misfit
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.masks import decode, image_reading, mask_keys, snapping
from segdrop.dataset.masks.deep_values import DeepRange
from segdrop.dataset.masks.edges import Edges, measured
from segdrop.dataset.masks.stored import FileFacts
from segdrop.dataset.samples import LabelledSample

_MAX_THREADS = 4  # each thread holds an image, and training may run at the same time
#: a mask of another size is still of the same picture if the ratios of width to height differ by at most this
_ASPECT_TOLERANCE = 0.02
#: fewer distinct keys in one mask are no blur
_FEW_KEYS = 8
#: greys from here on are no small numbers of classes
_LIGHT, _WHITE = 32, 255


@dataclass(slots=True)
class Pair:
    """Tells what one worker made of one pair. Sizes are (width, height) as displayed."""

    image: image_reading.ImageFacts | None = None
    pixels: decode.Bytes | None = None  # (height, width, 3) at training size, where they go to the cache
    mask: mask_keys.Keys | None = None  # (height, width) at training size
    keys: npt.NDArray[np.int64] | None = None  # the distinct keys at full size
    counts: npt.NDArray[np.int64] | None = None  # pixels of each at full size
    num_snapped: int = 0  # pixels whose colour was near a legend's
    num_overlapping: int = 0  # pixels that masks of two classes claim
    area_keys: mask_keys.Keys | None = None  # the keys of pixels inside areas, where the mask may be blurred
    edges: Edges | None = None  # of the few pairs whose masks are compared with their images
    is_lossy: bool = False
    facts: FileFacts | None = None
    is_turned: bool = False  # the mask, as its image was
    is_doubtful: bool = False  # whether the mask was to be turned
    problems: list[tuple[Code, str, str]] = field(default_factory=list)  #: code, file, detail


@dataclass(frozen=True, slots=True)
class Reader:
    """Tells how pairs are decoded. Without ``with_pixels``, images are decoded and their pixels are not kept."""

    archive: Archive
    labeller: Labeller
    size: tuple[int, int]  #: (height, width) for training
    deep_range: DeepRange | None
    with_pixels: bool


def decoded(reader: Reader, samples: Sequence[LabelledSample]) -> Iterator[Pair]:
    """Yields all pairs in order.

    At most two for each thread are under way, so memory does not grow with their number.
    """
    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    pending: deque[Future[Pair]] = deque()
    looked_at = frozenset(misfit.looked_at(len(samples)))
    with ThreadPoolExecutor(threads) as pool:
        try:
            for position, sample in enumerate(samples):
                compared = position if position in looked_at else None
                pending.append(pool.submit(_read, reader, sample, compared))
                if len(pending) >= 2 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _read(reader: Reader, sample: LabelledSample, compared: int | None = None) -> Pair:
    """Decode one pair, in any thread. ``compared`` is the position of a pair whose mask is compared with its image."""
    archive, labeller, size = reader.archive, reader.labeller, reader.size
    pair, with_glance = Pair(), compared is not None
    image_name, mask_name = archive.names[sample.image], archive.names[sample.truth.member]
    try:
        if reader.with_pixels:
            pair.image = image = image_reading.read_image(
                archive.read(sample.image), size, reader.deep_range, with_glance=with_glance
            )
            pair.pixels = image.pixels
        else:
            pair.image = image_reading.image_facts(
                archive.read(sample.image), reader.deep_range, with_glance=with_glance
            )
    except (decode.DecodeError, MemberError) as error:
        pair.problems.append(_problem(error, image_name))
    try:
        found = labeller.read(archive.read, sample.truth, pair.image.view if pair.image else None)
    except (decode.DecodeError, MemberError) as error:
        if pair.image is not None or mask_name != image_name:
            pair.problems.append(_problem(error, mask_name))
        return pair
    pair.is_lossy, pair.num_snapped, pair.facts = found.is_lossy, found.num_snapped, found.facts
    pair.is_turned, pair.is_doubtful, pair.num_overlapping = found.is_turned, found.is_doubtful, found.num_overlapping
    pair.problems += _size_problem(pair, found.keys, image_name, mask_name)
    pair.keys, pair.counts = mask_keys.distinct(found.keys)
    if (found.is_lossy or _may_be_blurred(pair.keys)) and not labeller.has_snapped:
        pair.area_keys = snapping.inside_areas(found.keys, is_lossy=found.is_lossy)
    pair.mask = decode.resize_nearest(found.keys, *size)
    if compared is not None and pair.image is not None and pair.image.glance is not None:
        pair.edges = measured(compared, pair.image.glance, found.keys, pair.image.size)
    return pair


def _may_be_blurred(keys: npt.NDArray[np.int64]) -> bool:
    """Whether a mask's values may be noise: many, or neighbours too large for numbers of classes."""
    if len(keys) > _FEW_KEYS:
        return True
    light = keys[(keys >= _LIGHT) & (keys <= _WHITE)]
    return bool((np.diff(light) == 1).any())


def _size_problem(pair: Pair, keys: mask_keys.Keys, image_name: str, mask_name: str) -> list[tuple[Code, str, str]]:
    """Returns the problem of a mask that has another size than its image."""
    height, width = keys.shape
    if pair.image is None or pair.image.size == (width, height):
        return []
    image_width, image_height = pair.image.size
    detail = f"{image_name} is {image_width}x{image_height}, {mask_name} is {width}x{height}"
    is_alike = abs(width * image_height / (height * image_width) - 1) <= _ASPECT_TOLERANCE
    return [(Code.MASK_RESIZED if is_alike else Code.PAIR_SIZE_MISMATCH, mask_name, detail)]


def _problem(error: decode.DecodeError | MemberError, name: str) -> tuple[Code, str, str]:
    """Returns (code, file, detail) for what went wrong with a file."""
    code = error.code if isinstance(error, decode.DecodeError) else Code.ARCHIVE_CORRUPT
    return code, name, f"{name}: {error}"
