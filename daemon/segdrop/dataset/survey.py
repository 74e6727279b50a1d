"""One pass over the pixels of all pairs: decoded by two threads, in order, with a bounded number in flight.

What it keeps does not grow with the pixels: counts by mask value, and for each pair which values it has.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segdrop.dataset import decode
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.findings import Findings
from segdrop.dataset.samples import Sample
from segdrop.dataset.source import Archive, MemberError
from segdrop.errors import Issue

MAX_DISTINCT_VALUES = 256
_MAX_THREADS = 2  # decoding is a small part beside training, which runs at the same time

_MESSAGES = {
    "archive.corrupt": "{count} damaged; {first}",
    "image.unreadable": "{count} that cannot be decoded; {first}",
    "image.too_large": "{count} with more pixels than allowed; {first}",
    "mask.unsupported_mode": "{count} that do not hold one class value for each pixel; {first}",
    "mask.lossy": "{count} stored as JPEG, which changes class values; {first}",
    "pair.size_mismatch": "{count} of another size than the image; {first}",
}


@dataclass(slots=True)
class _Pair:
    """What one worker made of one pair. Sizes are (width, height) as displayed."""

    image: decode.DecodedImage | None = None
    mask: npt.NDArray[np.uint8] | npt.NDArray[np.uint16] | None = None  # (height, width) at training size
    values: npt.NDArray[np.intp] | None = None  # the distinct values at full size
    counts: npt.NDArray[np.intp] | None = None  # pixels of each at full size
    problems: list[tuple[str, str, str]] = field(default_factory=list)  #: code, file, detail


class Survey:
    """Values and problems of all pairs. Codes number the distinct values in order of appearance.

    The lists by pair are complete as long as there are not too many values.
    """

    def __init__(self) -> None:
        self.pixels = np.zeros(decode.MAX_MASK_VALUE + 1, np.int64)  # by value, at full size
        self.full_codes: list[int] = []  #: per pair, bit c set where code c has a pixel
        self.cache_codes: list[int] = []  #: the same at training size
        self.num_deep_images = 0
        self.findings = Findings(_MESSAGES)
        self._codes = np.full(decode.MAX_MASK_VALUE + 1, -1, np.int16)
        self._values: list[int] = []

    @property
    def values(self) -> list[int]:
        """The distinct values by code."""
        return self._values

    @property
    def has_too_many_values(self) -> bool:
        return int(np.count_nonzero(self.pixels)) > MAX_DISTINCT_VALUES

    @property
    def is_sound(self) -> bool:
        """Whether every pair could be decoded and used."""
        return not self.findings and not self.has_too_many_values

    @property
    def is_readable(self) -> bool:
        """Whether the values may be taken for classes, though some pairs may be at fault."""
        return bool(self._values) and not self.has_too_many_values and "mask.lossy" not in self.findings

    def issues(self) -> list[Issue]:
        issues = self.findings.issues()
        if self.has_too_many_values and "mask.lossy" not in self.findings:
            message = f"the masks hold {np.count_nonzero(self.pixels)} different values"
            issues.append(Issue.of("mask.too_many_values", message))
        return issues

    def run(
        self,
        archive: Archive,
        samples: Sequence[Sample],
        size: tuple[int, int],
        writer: CacheWriter | None,
        on_pair: Callable[[], None],
    ) -> None:
        """Decode every pair; to the cache while nothing is wrong. ``size`` is (height, width)."""
        for pair in _decoded(archive, samples, size):
            self._add(pair, writer)
            on_pair()

    def _add(self, pair: _Pair, writer: CacheWriter | None) -> None:
        for problem in pair.problems:
            self.findings.add(*problem)
        if pair.values is None or pair.counts is None or pair.mask is None:
            self._keep(0, 0)
            return
        self.pixels[pair.values] += pair.counts
        if self.has_too_many_values:
            return
        for value in pair.values[self._codes[pair.values] < 0]:
            self._codes[value] = len(self._values)
            self._values.append(int(value))
        codes = self._codes[pair.mask].astype(np.uint8)
        self._keep(_bits(self._codes[pair.values]), _bits(np.flatnonzero(np.bincount(codes.ravel()))))
        if pair.image is None:
            return
        self.num_deep_images += pair.image.is_deep
        if writer is not None and self.is_sound:
            writer.append(pair.image.pixels, codes)

    def _keep(self, full_codes: int, cache_codes: int) -> None:
        self.full_codes.append(full_codes)
        self.cache_codes.append(cache_codes)


def _bits(codes: npt.NDArray[np.integer]) -> int:
    """A bit mask with the bits of these codes set."""
    bits = 0
    for code in codes:
        bits |= 1 << int(code)
    return bits


def _decoded(archive: Archive, samples: Sequence[Sample], size: tuple[int, int]) -> Iterator[_Pair]:
    """All pairs in order. At most two per thread are under way, so memory does not grow with their number."""
    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    pending: deque[Future[_Pair]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for sample in samples:
                pending.append(pool.submit(_decode_pair, archive, sample, size))
                if len(pending) >= 2 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _decode_pair(archive: Archive, sample: Sample, size: tuple[int, int]) -> _Pair:
    pair = _Pair()
    image_name, mask_name = archive.names[sample.image], archive.names[sample.mask]
    try:
        pair.image = decode.read_image(archive.read(sample.image), *size)
    except (decode.DecodeError, MemberError) as error:
        pair.problems.append(_problem(error, image_name))
    try:
        mask = decode.read_mask(archive.read(sample.mask))
    except (decode.DecodeError, MemberError) as error:
        pair.problems.append(_problem(error, mask_name))
        return pair
    height, width = mask.values.shape
    if mask.is_lossy:
        pair.problems.append(("mask.lossy", mask_name, mask_name))
    if pair.image is not None and pair.image.size != (width, height):
        image_width, image_height = pair.image.size
        detail = f"{image_name} is {image_width}x{image_height}, {mask_name} is {width}x{height}"
        pair.problems.append(("pair.size_mismatch", mask_name, detail))
    counts = np.bincount(mask.values.ravel())
    pair.values = np.flatnonzero(counts)
    pair.counts = counts[pair.values]
    pair.mask = decode.resize_nearest(mask.values, *size)
    return pair


def _problem(error: decode.DecodeError | MemberError, name: str) -> tuple[str, str, str]:
    code = error.code if isinstance(error, decode.DecodeError) else "archive.corrupt"
    return code, name, f"{name}: {error}"
