"""The argument for each decision of a check: the reading taken, its evidence in numbers, the reading that came next
and why it lost, and how sure it is.

Everything is pure, and from what the check knows anyway. A part is in doubt exactly where an issue says so, so that a
doubt is never told in the table alone.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes.assignment import IGNORE, ClassReading
from segdrop.dataset.classes.value_encoding import Encoding
from segdrop.dataset.report import Argument, Confidence, Part
from segdrop.dataset.samples import Drawing, LabelledSample, Reading, Split
from segdrop.dataset.split.division import Sides
from segdrop.errors import Issue
from segdrop.request import DatasetRequest, TrainRequest

#: the codes that say that a part may be read otherwise; each is a warning at least
DOUBTS: Mapping[Code, Part] = {
    Code.LAYOUT_ASSUMED: Part.LAYOUT,
    Code.IMAGE_ORIENTATION: Part.LAYOUT,
    Code.MASK_MISFIT: Part.LAYOUT,
    Code.ANNOTATION_UNNAMED: Part.CLASSES,
    Code.MASK_SNAPPED: Part.ENCODING,
    Code.MASK_INVERTED: Part.ENCODING,
    Code.MASK_STRAY_VALUES: Part.ENCODING,
    Code.MASK_MIXED_SCALES: Part.ENCODING,
    Code.MASK_INSTANCE_IDS: Part.ENCODING,
    Code.MASK_MOSTLY_IGNORED: Part.IGNORE,
    Code.CLASSES_BACKGROUND_ASSUMED: Part.CLASSES,
    Code.CLASSES_COLOURS_ASSUMED: Part.CLASSES,
    Code.CLASSES_SHIFTED: Part.CLASSES,
    Code.CLASSES_ALIKE: Part.CLASSES,
    Code.SPLIT_LIST: Part.SPLIT,
}
_SHOWN_VALUES = 6
_ENCODINGS: Mapping[Encoding, str] = {
    Encoding.INDEX: "the value of a pixel is the number of its class",
    Encoding.BINARY: "two values: background and foreground",
    Encoding.COLOUR: "a colour for each class",
    Encoding.LEVELS: "grey levels in the order of the classes",
}


def of_layout(reading: Reading, request: DatasetRequest | None, issues: Iterable[Issue]) -> Argument:
    """Returns the argument for the layout, and with it for which mask is of which image."""
    is_requested = request is not None and request.format == reading.layout
    return Argument(
        part=Part.LAYOUT,
        reading=reading.layout,
        evidence=_sentence(
            "as requested" if is_requested else "", reading.reason, _plural(len(reading.samples), "pair")
        ),
        runner_up=reading.runner_up,
        why_not=reading.why_not,
        confidence=_confidence(Part.LAYOUT, issues, is_assumed=bool(reading.assumptions) and not is_requested),
    )


def of_encoding(
    reading: ClassReading,
    names: ClassNames | None,
    samples: Sequence[LabelledSample],
    pixels: Mapping[int, int],
    issues: Iterable[Issue],
) -> Argument:
    """Returns the argument for how pixels stand for classes; ``pixels`` has the number of each mask key."""
    if samples and all(isinstance(sample.truth, Drawing) for sample in samples):
        evidence = f"areas of {_plural(len(samples), 'image')}"
        return Argument(
            part=Part.ENCODING,
            reading="areas are painted in the order of the annotations",
            evidence=evidence,
            confidence=_confidence(Part.ENCODING, issues, is_assumed=False),
        )
    runner_up, why_not = _next_encoding(reading)
    return Argument(
        part=Part.ENCODING,
        reading=_ENCODINGS[reading.encoding],
        evidence=f"{_plural(len(pixels), 'value')} in {_plural(len(samples), 'mask')}: {_shown(reading.values)}",
        runner_up=runner_up,
        why_not=why_not,
        confidence=_confidence(Part.ENCODING, issues, is_assumed=_is_guessed(reading, names)),
    )


def _is_guessed(reading: ClassReading, names: ClassNames | None) -> bool:
    """Whether the values alone say how they stand for classes, and might mean something else."""
    match reading.encoding:
        case Encoding.INDEX:
            return False
        case Encoding.BINARY:
            return not {0, 1, 255}.issuperset(reading.values)
        case Encoding.COLOUR:
            return names is None or not names.colours
        case Encoding.LEVELS:
            return True


def _next_encoding(reading: ClassReading) -> tuple[str | None, str | None]:
    """Returns the encoding that comes nearest, and why it lost; None and None where no other can be meant."""
    match reading.encoding:
        case Encoding.COLOUR:
            return None, None
        case Encoding.LEVELS:
            return _ENCODINGS[Encoding.INDEX], "the values are equally spaced"
        case Encoding.BINARY if IGNORE in reading.values:
            return "the value 255 is ignored", "one class alone would be left"
        case Encoding.BINARY:
            return None, None
        case Encoding.INDEX:
            return _ENCODINGS[Encoding.LEVELS], "the values are no equal steps up to 255"


def of_classes(
    reading: ClassReading,
    names: ClassNames | None,
    class_pixels: Sequence[int],
    request: DatasetRequest,
    issues: Iterable[Issue],
) -> Argument:
    """Returns the argument for the names of classes, and which value each stands for."""
    present = sum(count > 0 for count in class_pixels)
    is_settled = request.labels_include_background != "auto" or (names is not None and names.is_requested)
    runner_up, why_not = (None, None) if is_settled else _next_names(reading, names)
    source = names.source if names else "the masks alone: nothing names the classes"
    return Argument(
        part=Part.CLASSES,
        reading=f"{_plural(len(reading.names), 'class', 'classes')}, from {source}",
        evidence=f"{present} of {len(reading.names)} have pixels",
        runner_up=runner_up,
        why_not=why_not,
        confidence=_confidence(Part.CLASSES, issues, is_assumed=names is None),
    )


def _next_names(reading: ClassReading, names: ClassNames | None) -> tuple[str | None, str | None]:
    """Returns the other meaning of the first line of a list, and why it lost; None and None where there is no other."""
    if names is None or not names.ordered or names.ordered[0] not in reading.names:
        return None, None
    first, count = names.ordered[0], len(names.ordered)
    value = reading.values[reading.names.index(first)]
    if value == 0:
        return f"'{first}' is value 1, and value 0 the background", f"{count} names go with the values from 0"
    return f"'{first}' is value 0", f"{count} names go with the values from {value}"


def of_ignore(
    reading: ClassReading,
    pixels: Mapping[int, int],
    ignored_pixels: int,
    request: DatasetRequest,
    issues: Iterable[Issue],
) -> Argument:
    """Returns the argument for the value that is left out of loss and metrics, if there is one."""
    share = ignored_pixels / (sum(pixels.values()) or 1)
    is_requested = request.ignore_index != "auto"
    if reading.ignore_index is None and not ignored_pixels:
        taken, runner_up, why_not = "no value is ignored", None, None
    else:
        value = "pixels between the classes" if reading.ignore_index is None else f"value {reading.ignore_index}"
        taken, runner_up, why_not = (
            f"{value} is ignored",
            f"{value} is a class",
            "its name or its place among the values says that it is none",
        )
    if is_requested:
        runner_up = why_not = None
    return Argument(
        part=Part.IGNORE,
        reading=taken,
        evidence=_sentence("as requested" if is_requested else "", f"{share:.2%} of the pixels"),
        runner_up=runner_up,
        why_not=why_not,
        confidence=_confidence(Part.IGNORE, issues, is_assumed=not is_requested and reading.ignore_index is not None),
    )


def of_split(
    samples: Sequence[LabelledSample], sides: Sides, request: DatasetRequest, issues: Iterable[Issue]
) -> Argument:
    """Returns the argument for which images are trained on, and which are only measured with."""
    if not isinstance(request, TrainRequest):
        return Argument(
            part=Part.SPLIT,
            reading="all pairs are measured, and none is trained on",
            evidence=f"task {request.task}: {len(sides.test)} pairs",
            confidence=Confidence.CERTAIN,
        )
    numbers = f"{len(sides.train)} train, {len(sides.val)} val, {len(sides.test)} test"
    is_partial = any(sample.split for sample in samples) and not all(sample.split for sample in samples)
    is_incomplete = any(issue.code is Code.SPLIT_INCOMPLETE for issue in issues)
    return Argument(
        part=Part.SPLIT,
        reading="as the ZIP has it" if sides.is_given else "validation images are chosen",
        evidence=numbers if sides.is_given else f"{numbers}; val_fraction {request.val_fraction}, seed {request.seed}",
        runner_up="validation images are chosen" if sides.is_given else None,
        why_not="the ZIP divides its images" if sides.is_given else None,
        confidence=_confidence(Part.SPLIT, issues, is_assumed=is_partial or is_incomplete),
    )


def of_given_split(samples: Sequence[LabelledSample]) -> Argument:
    """Returns the argument for the split of a dataset that cannot be used: as its own folders or lists have it."""
    counts = {side: sum(sample.split is side for sample in samples) for side in Split}
    has_own = any(counts.values())
    return Argument(
        part=Part.SPLIT,
        reading="as the ZIP has it" if has_own else "none in the ZIP",
        evidence=", ".join(f"{count} {side}" for side, count in counts.items()) if has_own else "no folder or list",
        confidence=Confidence.CERTAIN,
    )


def _confidence(part: Part, issues: Iterable[Issue], *, is_assumed: bool) -> Confidence:
    """Returns how sure a part is: in doubt where an issue says so."""
    if part in doubtful({issue.code for issue in issues}):
        return Confidence.DOUBTFUL
    return Confidence.ASSUMED if is_assumed else Confidence.CERTAIN


def doubtful(codes: Collection[str]) -> set[Part]:
    """Returns the parts that issues with these codes put in doubt."""
    return {part for code, part in DOUBTS.items() if code in codes}


def _sentence(*parts: str) -> str:
    return "; ".join(part for part in parts if part)


def _plural(count: int, one: str, more: str | None = None) -> str:
    return f"{count} {one if count == 1 else more or one + 's'}"


def _shown(values: Sequence[int | str]) -> str:
    return ", ".join(map(str, values[:_SHOWN_VALUES])) + (", …" if len(values) > _SHOWN_VALUES else "")
