"""Masks whose numbers or colours are objects, and annotation files that say each object's class."""

from collections.abc import Collection, Mapping
from dataclasses import replace

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared.annotated import Area, Gathering
from segdrop.dataset.samples import Coding, LabelledSample, MaskFile, Reading, Split
from segdrop.dataset.shapes import Polygon

#: (mask, class by the number of a segment)
_Segments = tuple[int, Mapping[int, str]]


class SegmentGathering(Gathering):
    """Gathers images with a mask of segments each, and the class of every segment."""

    def __init__(self, tree: Tree, masks: Collection[int]) -> None:
        """``masks`` are files that are truth, or pictures of it, and no images."""
        super().__init__(tree)
        for mask in masks:
            self._images.pop(mask, None)
        self._segments: dict[int, _Segments] = {}

    def add_segments(
        self,
        image: int,
        member: int,
        mask: int,
        titles: Mapping[int, str],
        *,
        size: tuple[int, int] | None = None,
        split: Split | None = None,
    ) -> None:
        """Add an image with its mask; ``titles`` has the class by number, which is R + 256 G + 65536 B of a colour."""
        areas: list[Area] = [(title, Polygon(0, ())) for title in titles.values()]
        self.add(image, member, areas, size=size, split=split)
        self._segments.setdefault(image, (mask, titles))

    def reading_of_masks(self, layout: str, declared: list[str], source: str) -> Reading:
        """Returns the samples with their masks for truth. A number of no segment is refused, 0 is background."""
        reading = self.reading(layout, declared, source)
        if reading.names is None:
            return reading
        values = {name: value for value, name in reading.names.numbered}
        samples = []
        for sample in reading.samples:
            mask, titles = self._segments[sample.image]
            relabel = {number: values.get(title, 0) for number, title in titles.items()}
            truth = MaskFile(mask, Coding.SEGMENTS, relabel, is_complete=True)
            samples.append(LabelledSample(sample.key, sample.image, sample.split, truth))
        return replace(reading, samples=samples)


def number_of(colour: str) -> int | None:
    """Returns the number of a colour ("#rrggbb"), or None where it is none."""
    digits = colour.removeprefix("#")
    try:
        packed = int(digits, 16) if len(digits) == 6 else -1  # noqa: PLR2004  (two for each channel)
    except ValueError:
        return None
    if packed < 0:
        return None
    return (packed >> 16) + 256 * (packed >> 8 & 0xFF) + 65536 * (packed & 0xFF)
