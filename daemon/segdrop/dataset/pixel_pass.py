"""One pass over the pixels of all pairs: decoded by a few threads, in order, with a bounded number in flight.

What it keeps does not grow with the pixels: counts by mask key, and which keys each pair has.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from segdrop.codes import Code
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.deep_survey import DeepSurvey
from segdrop.dataset.findings import Findings
from segdrop.dataset.image_tally import ImageTally
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.masks import decode, mask_keys, snapping
from segdrop.dataset.masks.deep_values import DeepRange
from segdrop.dataset.masks.stored import FileFacts, Storage
from segdrop.dataset.pair_reading import Pair, Reader, decoded
from segdrop.dataset.samples import LabelledSample
from segdrop.errors import Issue

if TYPE_CHECKING:
    from segdrop.dataset.masks.edges import Edges

MAX_DISTINCT_KEYS = 256
NO_CODE = 255

_MESSAGES = {
    Code.ARCHIVE_CORRUPT: "{count} damaged; {first}",
    Code.ANNOTATION_INVALID: "{count} with areas that cannot be drawn; {first}",
    Code.IMAGE_UNREADABLE: "{count} that cannot be decoded; {first}",
    Code.IMAGE_NOT_FETCHED: "{count} that stand for an image that was not fetched; {first}",
    Code.IMAGE_TEXT_MANGLED: "{count} changed as if they were text; {first}",
    Code.IMAGE_TOO_LARGE: "{count} with more pixels than allowed; {first}",
    Code.MASK_PAGES: "{count} of several pages in place of one mask; {first}",
    Code.MASK_UNSUPPORTED_MODE: "{count} that do not hold one class value for each pixel; {first}",
    Code.MASK_UNKNOWN_VALUE: "{count} with colours that have no class; {first}",
    Code.PAIR_SIZE_MISMATCH: "{count} of another size than the image; {first}",
    Code.MASK_RESIZED: "{count} of another size than the image, and of the same shape; {first}",
}
_MOST_COUNTED = 512
#: the part of the outermost pixels that have one value where that value frames the picture
_FRAME_SHARE = 0.9
_HARMLESS = frozenset({Code.MASK_RESIZED})


class PixelPass:
    """The keys and problems of all pairs. Codes number the distinct keys in order of appearance.

    The lists by pair are complete as long as there are not too many keys.
    """

    def __init__(
        self, labeller: Labeller | None = None, deep: DeepSurvey | None = None, said: Sequence[Issue] = ()
    ) -> None:
        """``labeller`` says how truth is read, ``deep`` how images with more than 8 bits are, ``said`` what is to be
        said of the two.
        """
        self.labeller = labeller or Labeller()
        self.deep = deep
        self.said = list(said)
        self.images = ImageTally()
        self.num_turned = 0  #: masks that were turned as their images
        self.doubtful: list[int] = []  #: positions of the pairs of which no size tells how they lie
        self.pixels: dict[int, int] = {}  #: pixels by key, at full size
        self.full_codes: list[int] = []  #: per pair, bit c set where code c has a pixel
        self.cache_codes: list[int] = []  #: the same at training size
        self.frames = bytearray()  #: per pair, the code of (nearly) all its outermost pixels, ``NO_CODE`` for several
        self.thumbnails = bytearray()  #: one after the other, of each pair whose image could be decoded
        self.edges: list[Edges] = []  #: of a few pairs, spread evenly
        self.num_snapped = 0  #: pixels whose colour was near one of the legend's
        self.num_overlapping = 0  #: pixels that masks of two classes claim
        self.lossy: list[str] = []  #: masks in a format that changes values
        self.histogram, self.areas = snapping.Histogram(), snapping.Histogram()
        self.looked_at: dict[int, int] = {}  #: pixels by key of the masks in the histograms, and those inside areas
        self.inside: dict[int, int] = {}
        self.runs: Counter[int] | None = Counter()  #: masks with the values 1 to n, by n; None where one has gaps
        self.storage = Storage()  #: how mask files store their values
        self.findings = Findings(_MESSAGES)
        self.bad: dict[int, str] = {}  #: the flaw of a pair that cannot be used, by its position
        # the code of each key, plus one; pages that are never written to take no memory
        self._codes = np.zeros(mask_keys.KEYS, np.int16)

    @property
    def deep_range(self) -> DeepRange | None:
        """The values of more than 8 bits that become black and white, or None where no image has them."""
        return self.deep.deep_range if self.deep and self.images.num_deep else None

    @property
    def keys(self) -> list[int]:
        """The distinct keys, by code."""
        return list(self.pixels)

    @property
    def num_distinct(self) -> int:
        """Number of distinct keys, as far as they were counted."""
        return len(self.pixels)

    @property
    def has_too_many_keys(self) -> bool:
        """Whether there are more distinct keys than there can be classes."""
        return len(self.pixels) > MAX_DISTINCT_KEYS

    @property
    def is_sound(self) -> bool:
        """Whether every pair could be decoded and used."""
        return not self.bad_codes and not self.has_too_many_keys

    @property
    def bad_codes(self) -> set[Code]:
        """The codes of what is wrong with pairs that cannot be used."""
        return self.findings.codes() - _HARMLESS

    @property
    def is_readable(self) -> bool:
        """Whether the keys may be taken for classes, though some pairs may be at fault."""
        return bool(self.pixels) and not self.has_too_many_keys

    def run(
        self,
        archive: Archive,
        samples: Sequence[LabelledSample],
        size: tuple[int, int],
        writer: CacheWriter | None,
        on_pair: Callable[[], None],
    ) -> None:
        """Decode every pair, and write it to the cache while nothing is wrong. ``size`` is (height, width)."""
        reader = Reader(
            archive, self.labeller, size, self.deep.deep_range if self.deep else None, with_pixels=writer is not None
        )
        pairs = zip(samples, decoded(reader, samples), strict=True)
        for position, (sample, pair) in enumerate(pairs):
            flaws = [detail for code, _, detail in pair.problems if code not in _HARMLESS]
            if flaws:
                self.bad[position] = flaws[0]
            if pair.is_doubtful:
                self.doubtful.append(position)
            self._add(pair, archive.names[sample.image], archive.names[sample.truth.member], writer)
            on_pair()

    def _add(self, pair: Pair, image_name: str, name: str, writer: CacheWriter | None) -> None:
        for problem in pair.problems:
            self.findings.add(*problem)
        if pair.image is not None:
            self.images.add(image_name, pair.image)
            self.num_turned += pair.is_turned
        if pair.keys is None or pair.counts is None or pair.mask is None:
            self._keep(0, 0, NO_CODE)
            return
        self._add_mask(pair, name, pair.keys, pair.counts)
        if not self._number(pair.keys, pair.counts):
            return
        codes = (self._codes[pair.mask] - 1).astype(np.uint8)
        in_cache = _bits(np.flatnonzero(np.bincount(codes.ravel())))
        self._keep(_bits(self._codes[pair.keys] - 1), in_cache, _frame(codes))
        if pair.image is None:
            return
        self.thumbnails += pair.image.thumbnail
        if writer is not None and pair.pixels is not None and self.is_sound:
            writer.append(pair.pixels, codes)

    def _add_mask(self, pair: Pair, name: str, keys: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
        """Note what a mask shows of how masks are to be read."""
        if pair.edges is not None:
            self.edges.append(pair.edges)
        self.num_snapped += pair.num_snapped
        self.num_overlapping += pair.num_overlapping
        if pair.is_lossy:
            self.lossy.append(name)
        if pair.facts is not None:
            self._add_facts(pair.facts, keys)
        if pair.area_keys is not None:
            self._add_areas(keys, counts, *mask_keys.distinct(pair.area_keys))
        self._note_run(keys)

    def _add_areas(
        self,
        keys: npt.NDArray[np.int64],
        counts: npt.NDArray[np.int64],
        inside: npt.NDArray[np.int64],
        inside_counts: npt.NDArray[np.int64],
    ) -> None:
        """Note how much of each value lies inside areas."""
        self.histogram.add(keys, counts)
        self.areas.add(inside, inside_counts)
        if not self.has_too_many_keys:
            _count(self.looked_at, keys, counts)
            _count(self.inside, inside, inside_counts)

    def _note_run(self, keys: npt.NDArray[np.int64]) -> None:
        """Note whether a mask has the values 1 to n without a gap."""
        number = int(np.count_nonzero(keys))
        if number and int(keys[-1]) != number:
            self.runs = None
        elif number and self.runs is not None:
            self.runs[number] += 1

    def _add_facts(self, facts: FileFacts, keys: npt.NDArray[np.int64]) -> None:
        """Note how a file stores its values; of very many values, some are enough."""
        shown = keys[:MAX_DISTINCT_KEYS]
        is_colour = bool(shown.size) and int(shown[-1]) >= mask_keys.COLOUR
        self.storage.add(facts, (shown - mask_keys.COLOUR * is_colour).tolist(), is_colour=is_colour)

    def _number(self, keys: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> bool:
        """Count pixels and give new keys a code; False once there are too many."""
        for key, count in zip(keys.tolist(), counts.tolist(), strict=True):
            if key not in self.pixels:
                if self.has_too_many_keys:
                    return False
                self._codes[key] = len(self.pixels) + 1
            self.pixels[key] = self.pixels.get(key, 0) + count
        return not self.has_too_many_keys

    def _keep(self, full_codes: int, cache_codes: int, frame: int) -> None:
        self.full_codes.append(full_codes)
        self.cache_codes.append(cache_codes)
        self.frames.append(frame)

    def issues(self) -> list[Issue]:
        """Returns what was found to be wrong, one issue for each kind."""
        images = [*self.images.issues(), *(self.deep.issues if self.deep else [])]
        return [*self.findings.issues(), *images, *self.said]


def _count(pixels: dict[int, int], keys: npt.NDArray[np.int64], counts: npt.NDArray[np.int64]) -> None:
    """Add pixels by key, of a bounded number of keys."""
    for key, count in zip(keys[:_MOST_COUNTED].tolist(), counts[:_MOST_COUNTED].tolist(), strict=True):
        pixels[key] = pixels.get(key, 0) + count


def _frame(codes: decode.Bytes) -> int:
    """Returns the code of nearly all the outermost pixels of a mask, or ``NO_CODE``."""
    counts = np.bincount(np.concatenate([codes[0], codes[-1], codes[:, 0], codes[:, -1]]))
    code = int(counts.argmax())
    return code if counts[code] >= _FRAME_SHARE * counts.sum() else NO_CODE


def _bits(codes: npt.NDArray[np.integer]) -> int:
    """Returns a bit mask with the bits of these codes set."""
    bits = 0
    for code in codes:
        bits |= 1 << int(code)
    return bits
