"""One pass over the pixels of all pairs: decoded by two threads, in order, with a bounded number in flight.

What it keeps does not grow with the pixels: counts by mask key, and for each pair which keys it has.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from segdrop.dataset import decode, masks, snapping
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.findings import Findings
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.samples import Sample
from segdrop.dataset.source import Archive, MemberError
from segdrop.errors import Issue

MAX_DISTINCT_KEYS = 256
_MAX_THREADS = 4  # each holds an image; and training may run at the same time
#: of the distance between width and height ratios, up to which a mask of another size is still of the same picture
_ASPECT_TOLERANCE = 0.02

_MESSAGES = {
    "archive.corrupt": "{count} damaged; {first}",
    "annotation.invalid": "{count} with areas that cannot be drawn; {first}",
    "image.unreadable": "{count} that cannot be decoded; {first}",
    "image.not_fetched": "{count} that stand for an image that was not fetched; {first}",
    "image.text_mangled": "{count} changed as if they were text; {first}",
    "image.too_large": "{count} with more pixels than allowed; {first}",
    "mask.unsupported_mode": "{count} that do not hold one class value for each pixel; {first}",
    "pair.size_mismatch": "{count} of another size than the image; {first}",
    "mask.resized": "{count} of another size than the image, and of the same shape; {first}",
}
#: fewer distinct keys in one mask are no blur
_FEW_KEYS = 8
_HARMLESS = frozenset({"mask.resized"})


@dataclass(slots=True)
class _Pair:
    """What one worker made of one pair. Sizes are (width, height) as displayed."""

    image: decode.DecodedImage | None = None
    mask: masks.Keys | None = None  # (height, width) at training size
    keys: npt.NDArray[np.int64] | None = None  # the distinct keys at full size
    counts: npt.NDArray[np.int64] | None = None  # pixels of each at full size
    num_snapped: int = 0  # pixels whose colour was near a legend's
    area_keys: masks.Keys | None = None  # of the pixels inside areas, where the mask may be blurred
    is_lossy: bool = False
    problems: list[tuple[str, str, str]] = field(default_factory=list)  #: code, file, detail


class Survey:
    """Keys and problems of all pairs. Codes number the distinct keys in order of appearance.

    The lists by pair are complete as long as there are not too many keys.
    """

    def __init__(self, labeller: Labeller | None = None) -> None:
        self.labeller = labeller or Labeller()
        self.pixels: dict[int, int] = {}  #: by key, at full size
        self.full_codes: list[int] = []  #: per pair, bit c set where code c has a pixel
        self.cache_codes: list[int] = []  #: the same at training size
        self.thumbnails = bytearray()  #: one after the other, of each pair whose image could be decoded
        self.num_deep_images = 0
        self.num_snapped = 0  #: pixels whose colour was near one of the legend's
        self.lossy: list[str] = []  #: masks in a format that changes values
        self.histogram, self.areas = snapping.Histogram(), snapping.Histogram()
        self.findings = Findings(_MESSAGES)
        self.bad: dict[int, str] = {}  #: what is wrong with a pair that cannot be used, by its position
        # by key: its code plus one; pages that nobody writes to take no memory
        self._codes = np.zeros(masks.KEYS, np.int16)

    @property
    def keys(self) -> list[int]:
        """The distinct keys by code."""
        return list(self.pixels)

    @property
    def num_distinct(self) -> int:
        """Distinct keys as far as they were counted."""
        return len(self.pixels)

    @property
    def has_too_many_keys(self) -> bool:
        return len(self.pixels) > MAX_DISTINCT_KEYS

    @property
    def is_sound(self) -> bool:
        """Whether every pair could be decoded and used."""
        return not self.bad_codes and not self.has_too_many_keys

    @property
    def bad_codes(self) -> set[str]:
        """What is wrong with pairs that cannot be used."""
        return self.findings.codes() - _HARMLESS

    @property
    def is_readable(self) -> bool:
        """Whether the keys may be taken for classes, though some pairs may be at fault."""
        return bool(self.pixels) and not self.has_too_many_keys

    def run(
        self,
        archive: Archive,
        samples: Sequence[Sample],
        size: tuple[int, int],
        writer: CacheWriter | None,
        on_pair: Callable[[], None],
    ) -> None:
        """Decode every pair; to the cache while nothing is wrong. ``size`` is (height, width)."""
        pairs = zip(
            samples, _decoded(self.labeller, archive, samples, size, with_pixels=writer is not None), strict=True
        )
        for position, (sample, pair) in enumerate(pairs):
            flaws = [detail for code, _, detail in pair.problems if code not in _HARMLESS]
            if flaws:
                self.bad[position] = flaws[0]
            self._add(pair, archive.names[sample.truth.member], writer)
            on_pair()

    def _add(self, pair: _Pair, name: str, writer: CacheWriter | None) -> None:
        for problem in pair.problems:
            self.findings.add(*problem)
        if pair.keys is None or pair.counts is None or pair.mask is None:
            self._keep(0, 0)
            return
        self.num_snapped += pair.num_snapped
        if pair.is_lossy:
            self.lossy.append(name)
        if pair.area_keys is not None:
            self.histogram.add(pair.keys, pair.counts)
            self.areas.add(*masks.distinct(pair.area_keys))
        if not self._number(pair.keys, pair.counts):
            return
        codes = (self._codes[pair.mask] - 1).astype(np.uint8)
        self._keep(_bits(self._codes[pair.keys] - 1), _bits(np.flatnonzero(np.bincount(codes.ravel()))))
        if pair.image is None:
            return
        self.num_deep_images += pair.image.is_deep
        self.thumbnails += pair.image.thumbnail
        if writer is not None and self.is_sound:
            writer.append(pair.image.pixels, codes)

    def _number(self, keys: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> bool:
        """Count pixels and give new keys a code; false once there are too many."""
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            if key not in self.pixels:
                if self.has_too_many_keys:
                    return False
                self._codes[key] = len(self.pixels) + 1
            self.pixels[key] = self.pixels.get(key, 0) + count
        return not self.has_too_many_keys

    def _keep(self, full_codes: int, cache_codes: int) -> None:
        self.full_codes.append(full_codes)
        self.cache_codes.append(cache_codes)

    def issues(self) -> list[Issue]:
        return self.findings.issues()


def _bits(codes: npt.NDArray[np.integer]) -> int:
    """A bit mask with the bits of these codes set."""
    bits = 0
    for code in codes:
        bits |= 1 << int(code)
    return bits


def _read(archive: Archive, sample: Sample, labeller: Labeller, size: tuple[int, int], *, with_pixels: bool) -> _Pair:
    """What every thread does with a pair. Without pixels, the image is decoded and not resized."""
    pair = _Pair()
    image_name, mask_name = archive.names[sample.image], archive.names[sample.truth.member]
    try:
        pair.image = decode.read_image(archive.read(sample.image), size if with_pixels else None)
    except (decode.DecodeError, MemberError) as error:
        pair.problems.append(_problem(error, image_name))
    try:
        found = labeller.read(archive.read, sample.truth, pair.image.size if pair.image else None)
    except (decode.DecodeError, MemberError) as error:
        if pair.image is not None or mask_name != image_name:
            pair.problems.append(_problem(error, mask_name))
        return pair
    pair.is_lossy, pair.num_snapped = found.is_lossy, found.num_snapped
    pair.problems += _size_problem(pair, found.keys, image_name, mask_name)
    pair.keys, pair.counts = masks.distinct(found.keys)
    may_be_blurred = found.is_lossy or len(pair.keys) > _FEW_KEYS
    if may_be_blurred and not labeller.has_snapped:
        pair.area_keys = snapping.inside_areas(found.keys, is_lossy=found.is_lossy)
    pair.mask = decode.resize_nearest(found.keys, *size)
    return pair


def _size_problem(pair: _Pair, keys: masks.Keys, image_name: str, mask_name: str) -> list[tuple[str, str, str]]:
    height, width = keys.shape
    if pair.image is None or pair.image.size == (width, height):
        return []
    image_width, image_height = pair.image.size
    detail = f"{image_name} is {image_width}x{image_height}, {mask_name} is {width}x{height}"
    is_alike = abs(width * image_height / (height * image_width) - 1) <= _ASPECT_TOLERANCE
    return [("mask.resized" if is_alike else "pair.size_mismatch", mask_name, detail)]


def _decoded(
    labeller: Labeller, archive: Archive, samples: Sequence[Sample], size: tuple[int, int], *, with_pixels: bool
) -> Iterator[_Pair]:
    """All pairs in order. At most two per thread are under way, so memory does not grow with their number."""
    threads = min(_MAX_THREADS, len(os.sched_getaffinity(0)))
    pending: deque[Future[_Pair]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for sample in samples:
                pending.append(pool.submit(_read, archive, sample, labeller, size, with_pixels=with_pixels))
                if len(pending) >= 2 * threads:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


def _problem(error: decode.DecodeError | MemberError, name: str) -> tuple[str, str, str]:
    code = error.code if isinstance(error, decode.DecodeError) else "archive.corrupt"
    return code, name, f"{name}: {error}"
