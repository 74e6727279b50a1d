"""How a dataset was interpreted, as far as the check got, and the summaries that the report has of it."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from segdrop.dataset import arguments
from segdrop.dataset.classes.assignment import ClassReading
from segdrop.dataset.deep_survey import DeepSurvey
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.masks.placing import Turning
from segdrop.dataset.misfit import Misfit
from segdrop.dataset.pixel_pass import PixelPass
from segdrop.dataset.quick_check import QuickCheck
from segdrop.dataset.report import Argument, DatasetSummary, Understood
from segdrop.dataset.samples import LabelledSample, Reading, Split
from segdrop.dataset.split.division import Sides
from segdrop.request import DatasetRequest, TrainRequest


@dataclass(slots=True)
class Interpretation:
    """The samples, and how their truth is read. A part is None where an issue says why.

    ``left_out`` says what is wrong with the pairs that were skipped, as asked.
    """

    samples: list[LabelledSample]
    labeller: Labeller
    bad: frozenset[int]  #: positions of the samples that cannot be used
    deep: DeepSurvey | None = None  #: of images with more than 8 bits
    left_out: list[str] = field(default_factory=list)
    reading: ClassReading | None = None
    class_pixels: list[int] = field(default_factory=list)
    ignored_pixels: int = 0
    pixels: dict[int, int] = field(default_factory=dict)  #: of each mask key, over all masks at full size
    sides: Sides | None = None
    summary: DatasetSummary | None = None
    misfit: Misfit | None = None  #: another way to lay the masks, which fits the images better


def summary(
    found: QuickCheck, pixel_pass: PixelPass, interpretation: Interpretation, request: DatasetRequest
) -> DatasetSummary:
    """Returns the summary of a dataset without any fault.

    Raises ValueError where a part of its interpretation is missing.
    """
    layout, reading, sides = found.reading, interpretation.reading, interpretation.sides
    if layout is None or reading is None or sides is None:
        raise ValueError("a dataset that was not understood has no summary")
    assumptions = [*layout.assumptions, *interpretation.labeller.said, *reading.assumptions, *sides.assumptions]
    if pixel_pass.num_snapped:
        assumptions.append(f"{pixel_pass.num_snapped} pixels of nearly a colour of the legend were read as that colour")
    if pixel_pass.num_turned and pixel_pass.labeller.turning is not Turning.STORED:
        assumptions.append(
            f"{pixel_pass.num_turned} masks have the shape of their images as stored, before the EXIF orientation "
            "turns them: they were turned as well"
        )
    if pixel_pass.images.num_deep and interpretation.deep is not None:
        assumptions.append(f"{pixel_pass.images.num_deep} images: {interpretation.deep.assumption}")
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
        image_size=request.image_size if isinstance(request, TrainRequest) else None,
        class_pixels=interpretation.class_pixels,
        ignored_pixels=interpretation.ignored_pixels,
        assumptions=assumptions,
        arguments=[
            *_arguments(found, layout, interpretation),
            arguments.of_split(interpretation.samples, sides, request, found.issues),
        ],
    )


def _arguments(found: QuickCheck, layout: Reading, interpretation: Interpretation | None) -> list[Argument]:
    """Returns the arguments for all parts but the split, as far as the check came."""
    request = found.dataset_request
    made = [arguments.of_layout(layout, request, found.issues)]
    if interpretation is None or interpretation.reading is None or request is None:
        return made
    reading, pixels = interpretation.reading, interpretation.pixels
    return [
        *made,
        arguments.of_encoding(reading, found.names, interpretation.samples, pixels, found.issues),
        arguments.of_classes(reading, found.names, interpretation.class_pixels, request, found.issues),
        arguments.of_ignore(reading, pixels, interpretation.ignored_pixels, request, found.issues),
    ]


def partial(found: QuickCheck, layout: Reading, interpretation: Interpretation | None) -> Understood:
    """Returns what is known of a dataset that cannot be used."""
    samples = found.samples
    sides = Counter(sample.split for sample in samples)
    known: dict[str, Any] = {"assumptions": layout.assumptions}
    if interpretation is not None and (reading := interpretation.reading) is not None:
        known = {
            "mask_encoding": reading.encoding.value,
            "ignore_index": reading.ignore_index,
            "classes": reading.names,
            "mask_values": reading.values,
            "class_pixels": interpretation.class_pixels,
            "ignored_pixels": interpretation.ignored_pixels,
            "assumptions": [*layout.assumptions, *interpretation.labeller.said, *reading.assumptions],
        }
    return Understood(
        layout=layout.layout,
        reason=layout.reason,
        pairs=len(samples),
        train=sides[Split.TRAIN],
        val=sides[Split.VAL],
        test=sides[Split.TEST],
        arguments=[*_arguments(found, layout, interpretation), arguments.of_given_split(samples)],
        **known,
    )
