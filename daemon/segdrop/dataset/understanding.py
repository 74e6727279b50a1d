"""What the pixels of a dataset came to, as far as the check got."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from segdrop.dataset.classes import ClassReading
from segdrop.dataset.inspection import Inspection
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.report import DatasetSummary, Understood
from segdrop.dataset.samples import Reading, Sample, Split
from segdrop.dataset.split import Sides
from segdrop.dataset.survey import Survey
from segdrop.request import Request


@dataclass(slots=True)
class Understanding:
    """The samples, and how their truth is read. A part is ``None`` where an issue says why.

    ``left_out``: what is wrong with the pairs that were skipped, as asked.
    """

    samples: list[Sample]
    labeller: Labeller
    bad: frozenset[int]  #: positions of the samples that cannot be used
    left_out: list[str] = field(default_factory=list)
    reading: ClassReading | None = None
    class_pixels: list[int] = field(default_factory=list)
    ignored_pixels: int = 0
    sides: Sides | None = None
    summary: DatasetSummary | None = None


def summary(found: Inspection, survey: Survey, understanding: Understanding, request: Request) -> DatasetSummary:
    """Of a dataset with which nothing is wrong."""
    layout, reading, sides = found.reading, understanding.reading, understanding.sides
    if layout is None or reading is None or sides is None:
        raise ValueError("a dataset that was not understood has no summary")
    assumptions = [*layout.assumptions, *reading.assumptions, *sides.assumptions]
    if survey.num_snapped:
        assumptions.append(f"{survey.num_snapped} pixels of nearly a colour of the legend were read as that colour")
    if survey.num_deep_images:
        assumptions.append(f"{survey.num_deep_images} images have 16 bits a channel: the upper 8 are used")
    return DatasetSummary(
        layout=layout.layout,
        reason=layout.reason,
        pairs=len(sides.train) + len(sides.val) + len(sides.test),
        train=len(sides.train),
        val=len(sides.val),
        test=len(sides.test),
        num_classes=len(reading.names),
        classes=list(reading.names),
        mask_values=list(reading.values),
        ignore_index=reading.ignore_index,
        mask_encoding=reading.encoding.value,
        split="given" if sides.is_given else "made",
        image_size=list(request.size),
        class_pixels=understanding.class_pixels,
        ignored_pixels=understanding.ignored_pixels,
        assumptions=assumptions,
    )


def partial(layout: Reading, understanding: Understanding | None) -> Understood:
    """Of a dataset that cannot be used."""
    sides = Counter(sample.split for sample in layout.samples)
    known: dict[str, Any] = {"assumptions": layout.assumptions}
    if understanding is not None and (reading := understanding.reading) is not None:
        known = {
            "mask_encoding": reading.encoding.value,
            "ignore_index": reading.ignore_index,
            "classes": reading.names,
            "mask_values": reading.values,
            "class_pixels": understanding.class_pixels,
            "ignored_pixels": understanding.ignored_pixels,
            "assumptions": [*layout.assumptions, *reading.assumptions],
        }
    return Understood(
        layout=layout.layout,
        reason=layout.reason,
        pairs=len(layout.samples),
        train=sides[Split.TRAIN],
        val=sides[Split.VAL],
        test=sides[Split.TEST],
        **known,
    )
