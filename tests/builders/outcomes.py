"""What became of a generated dataset: read rightly, doubted aloud, refused, or silently wrong."""

from collections.abc import Iterator
from enum import Enum, auto
from pathlib import Path, PurePosixPath

import numpy as np

from builders.archives import write_zip
from builders.generated import VOID, Draft, content, stem
from builders.specs import check
from segdrop.codes import Code, Severity
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.report import CheckReport

#: warnings that say nothing about which pixels are which class
UNRELATED = frozenset(
    {Code.PAIR_FEW, Code.CLASSES_ASSUMED, Code.SPLIT_CLASS_MISSING, Code.SPLIT_LEAK, Code.SPLIT_INCOMPLETE}
)
_BINARY = 2
_LEAST_LIKENESS, _LEAST_CONTRAST = 0.9, 0.5


class Outcome(Enum):
    """What became of a dataset."""

    RIGHT = auto()
    SAID = auto()  #: it may be wrong, and a warning says so
    REFUSED = auto()
    WRONG = auto()


def outcome(draft: Draft, folder: Path) -> tuple[Outcome, str]:
    """Check a draft, and compare what training gets to see with the truth. The text says what is wrong."""
    return judged(draft, write_zip(folder / "data.zip", content(draft)))


def judged(draft: Draft, archive: Path) -> tuple[Outcome, str]:
    """What becomes of an archive that holds a draft."""
    report = check(archive, {"image_size": list(draft.size)})
    if report.dataset is None:
        faults = [f"{issue.code}: {issue.message}" for issue in report.issues if issue.severity is Severity.FAULT]
        return Outcome.REFUSED, "; ".join(faults)
    flaw = "; ".join(flaws(draft, report, archive.parent / "cache"))
    warnings = {issue.code for issue in report.issues if issue.severity is Severity.WARNING} - UNRELATED
    if warnings:
        return Outcome.SAID, f"{flaw or 'right'} ({', '.join(sorted(warnings))})"
    return (Outcome.WRONG, flaw) if flaw else (Outcome.RIGHT, "")


def flaws(draft: Draft, report: CheckReport, cache: Path) -> Iterator[str]:
    """Yields what is not as it is in truth."""
    assert report.dataset is not None
    with CacheReader(cache) as reader:
        index = reader.index
        numbers = [int(PurePosixPath(name).name[5:8]) for name in index.names]
        images, masks = reader.images(range(index.count)), reader.masks(range(index.count))
    if missing := set(range(len(draft.ids))) - set(numbers) - draft.left_out:
        yield f"{len(missing)} pairs are missing"
    if len(set(numbers)) < len(numbers):
        yield "a picture is there twice"
    yield from _seen_otherwise(draft, dict(zip(numbers, images, strict=True)))
    yield from _read_otherwise(draft, dict(zip(numbers, masks, strict=True)), report.dataset.classes)
    if draft.sides is not None:
        found = {numbers[i]: side for side in ("train", "val", "test") for i in getattr(index, side)}
        if found != draft.sides:
            yield f"the split is {sorted(found.items())}"


def _seen_otherwise(draft: Draft, images: dict[int, np.ndarray]) -> Iterator[str]:
    for i, found in images.items():
        pixels, expected = found.astype(float), draft.images[i].astype(float)
        if not pixels.std() or np.corrcoef(pixels.ravel(), expected.ravel())[0, 1] < _LEAST_LIKENESS:
            yield f"image {stem(i)} is another"
            return
        if not _LEAST_CONTRAST < pixels.std() / expected.std() < 1 / _LEAST_CONTRAST:
            yield f"image {stem(i)} has lost its contrast"
            return


def _read_otherwise(draft: Draft, masks: dict[int, np.ndarray], classes: list[str]) -> Iterator[str]:
    """Yields where class ids are not those of the truth under other numbers, or have the names of others."""
    meant: dict[int, set[int]] = {}
    for i, found in masks.items():
        bound = ~draft.free[i]
        for both in np.flatnonzero(np.bincount(256 * found[bound].astype(int) + draft.ids[i][bound])).tolist():
            meant.setdefault(both // 256, set()).add(both % 256)
    for class_id, truths in meant.items():
        if len(truths) > 1:
            yield f"class {class_id} is {sorted(truths)} in truth"
    several = [truth for truths in meant.values() for truth in truths]
    if len(several) > len(set(several)):
        yield "one class is read as several"
    for class_id, truths in meant.items():
        if (class_id == VOID) != (truths == {VOID}):
            yield f"{sorted(truths)} is read as {class_id}"
        elif class_id != VOID and len(truths) == 1:
            yield from _misnamed(draft, classes[class_id], next(iter(truths)))


def _misnamed(draft: Draft, name: str, truth: int) -> Iterator[str]:
    """Yields where a class has the name of another; without names in the ZIP, only a background's matters."""
    if draft.has_names:
        is_right = name.casefold().strip("_") == draft.names[truth].casefold()  # LabelMe's _background_
    else:
        is_right = len(draft.names) > _BINARY or (name == "background") == (truth == 0)
    if not is_right:
        yield f"'{draft.names[truth]}' has the name of another: '{name}'"
