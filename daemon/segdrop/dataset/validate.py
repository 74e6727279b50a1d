"""The check of the pixels: decoded, understood as classes, split, and left in the cache.

All issues are collected; a later part is left out only where an earlier fault makes it meaningless.
"""

import contextlib
import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from segdrop import durable
from segdrop.codes import Severity
from segdrop.dataset import blur, class_map, classes, decode, plausibility, similarity, split
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.classes import IGNORE, ClassReading
from segdrop.dataset.inspection import Inspection
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.progress import Progress
from segdrop.dataset.report import CacheIndex
from segdrop.dataset.samples import Sample
from segdrop.dataset.snapping import key_text
from segdrop.dataset.source import Archive
from segdrop.dataset.survey import Survey
from segdrop.dataset.understanding import Understanding, summary
from segdrop.errors import DataError, Issue, UnavailableError, has_fault
from segdrop.request import Request
from segdrop.spec import CheckSpec

_SHOWN_VALUES = 10
_DAMAGED = "archive.corrupt"


def _without(issues: Sequence[Issue], code: str) -> list[Issue]:
    return [issue for issue in issues if issue.code != code]


def checked_pixels(
    archive: Archive,
    found: Inspection,
    samples: list[Sample],
    spec: CheckSpec,
    progress: Progress,
    *,
    skip_bad: bool = False,
) -> Understanding:
    """Decode what can be decoded; with a summary where nothing at all is at fault.

    ``skip_bad``: pairs that cannot be used are left out with warnings, if they are not more than half.
    """
    decode.configure(spec.limits.max_image_pixels)
    legend = [colour for colour, _ in found.names.colours] if found.names else []
    left_out: list[str] = []
    if skip_bad:
        samples, left_out = _usable(archive, found, samples, Labeller(legend), progress)
    cache_dir = None if has_fault(found.issues) else spec.cache_dir
    try:
        understanding, verdict = _surveyed(archive, found, samples, Survey(Labeller(legend)), cache_dir, progress)
        if verdict is not None:
            found.issues.append(_swapped(archive, samples, verdict) or verdict.issue)
            if verdict.snapper is not None:
                survey = Survey(Labeller(legend, verdict.snapper))
                progress.extend(len(samples))
                understanding, _ = _surveyed(archive, found, samples, survey, cache_dir, progress)
    except OSError as error:
        if cache_dir is not None:
            durable.remove_tree(cache_dir)  # half a cache is of no use, and the space is wanted
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError("disk.full", f"no space for the decoded images: {error}") from error
        raise
    understanding.left_out = left_out
    return understanding


def _usable(
    archive: Archive, found: Inspection, samples: list[Sample], labeller: Labeller, progress: Progress
) -> tuple[list[Sample], list[str]]:
    """The samples that can be used, and what is wrong with the others, which becomes a matter of warnings.

    All of them where more than half is at fault. Every damaged member was at fault before; it need not be now.
    """
    survey = Survey(labeller)
    progress.extend(len(samples))
    survey.run(archive, samples, (found.request or Request().resolved()).size, None, progress.step)
    if 2 * len(survey.bad) > len(samples):
        return samples, []
    found.issues = [_excused(issue) if issue.code == _DAMAGED else issue for issue in found.issues]
    found.issues += [_excused(issue) for issue in survey.issues() if issue.code in survey.bad_codes - {_DAMAGED}]
    good = [sample for position, sample in enumerate(samples) if position not in survey.bad]
    return good, [survey.bad[position] for position in sorted(survey.bad)]


def _excused(issue: Issue) -> Issue:
    return replace(issue, severity=Severity.WARNING, message=f"{issue.message}; left out, as asked")


def _swapped(archive: Archive, samples: list[Sample], verdict: blur.Verdict) -> Issue | None:
    """What is wrong in truth where masks are photographs and images are masks."""
    if verdict.snapper is not None or not plausibility.are_swapped(archive.read, samples):
        return None
    names = [archive.names[sample.image] for sample in samples]
    return Issue.of("pair.swapped", f"the images have few values, as masks have; {verdict.issue.message}", files=names)


def _surveyed(
    archive: Archive,
    found: Inspection,
    samples: list[Sample],
    survey: Survey,
    cache_dir: Path | None,
    progress: Progress,
) -> tuple[Understanding, blur.Verdict | None]:
    """One pass over the pixels; with a verdict instead of classes where blurred masks want another."""
    request = found.request or Request().resolved()
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(CacheWriter(cache_dir, *request.size)) if cache_dir is not None else None
        survey.run(archive, samples, request.size, writer, progress.step)
        understanding = Understanding(samples, survey.labeller, frozenset(survey.bad))
        verdict = None if survey.labeller.has_snapped else blur.judge(survey, found.names)
        if verdict is not None and verdict.snapper is not None:
            return understanding, verdict
        # damaged members are on record already, all of them, from the pass over every byte
        found.issues += _without(survey.issues(), _DAMAGED)
        if verdict is None:
            _conclude(archive, found, understanding, survey, writer)
        return understanding, verdict


def _conclude(
    archive: Archive, found: Inspection, understanding: Understanding, survey: Survey, writer: CacheWriter | None
) -> None:
    """Classes and split from what the survey saw."""
    request, samples = found.request, understanding.samples
    if request is None or not survey.is_readable:
        return
    try:
        reading = class_map.apply(classes.read_keys(survey.pixels, found.names, request), request)
    except DataError as error:
        found.issues += error.issues
        return
    class_pixels, ignored_pixels = _pixels(survey, reading)
    understanding.reading = reading
    understanding.class_pixels, understanding.ignored_pixels = class_pixels, ignored_pixels
    found.issues += reading.issues
    found.issues += _unknown_values(archive, samples, survey, reading)
    found.issues += _nothing_to_learn(class_pixels)
    if not survey.is_sound or split.shortage(samples) or has_fault(found.issues):
        return
    presence = [_class_bits(codes, survey.keys, reading) for codes in survey.cache_codes]
    images = similarity.centred(survey.thumbnails)
    survey.thumbnails.clear()
    sides = split.divide(samples, presence, request.val_fraction, request.seed, similarity.groups(images))
    understanding.sides = sides
    found.issues += classes.absent(reading.names, class_pixels)
    found.issues += _unlabelled_sides(presence, sides)
    found.issues += _leak(archive, samples, images, sides)
    found.issues += plausibility.few(len(sides.train) + len(sides.val))
    found.issues += plausibility.imbalance(reading.names, class_pixels)
    found.issues += plausibility.inversion(reading, class_pixels)
    found.issues += split.missing_classes(sides, presence, reading.names)
    if has_fault(found.issues):
        return
    if writer is not None:
        _finish_cache(writer, archive, samples, survey, reading, sides, request)
    understanding.summary = summary(found, survey, understanding, request)


def _unknown_values(archive: Archive, samples: list[Sample], survey: Survey, reading: ClassReading) -> list[Issue]:
    """Values without a class, with their pixels, and the masks that hold them."""
    if not reading.unknown:
        return []
    codes = {key: code for code, key in enumerate(survey.keys)}
    bits = sum(1 << codes[key] for key in reading.unknown)
    files = [
        archive.names[sample.truth.member] for sample, has in zip(samples, survey.full_codes, strict=True) if has & bits
    ]
    shown = ", ".join(f"{key_text(key)} ({survey.pixels[key]} pixels)" for key in reading.unknown[:_SHOWN_VALUES])
    more = ", …" if len(reading.unknown) > _SHOWN_VALUES else ""
    known = f"there are {len(reading.names)} classes"
    message = f"{len(files)} masks hold values that have no class: {shown}{more}; {known}"
    return [Issue.of("mask.unknown_value", message, files=files)]


def _pixels(survey: Survey, reading: ClassReading) -> tuple[list[int], int]:
    """Pixels of each class over all masks at full size, and those that are ignored."""
    pixels, ignored = [0] * len(reading.names), 0
    for key, class_id in reading.lookup.items():
        if class_id == IGNORE:
            ignored += survey.pixels.get(key, 0)
        else:
            pixels[class_id] += survey.pixels.get(key, 0)
    return pixels, ignored


def _class_bits(codes: int, keys: Sequence[int], reading: ClassReading) -> int:
    """The classes of a mask as bits, from its codes as bits."""
    bits = 0
    while codes:
        lowest = codes & -codes
        class_id = reading.lookup[keys[lowest.bit_length() - 1]]
        if class_id != IGNORE:
            bits |= 1 << class_id
        codes ^= lowest
    return bits


def _nothing_to_learn(class_pixels: list[int]) -> list[Issue]:
    """A fault where the masks have nothing to tell apart."""
    present = sum(pixels > 0 for pixels in class_pixels)
    if not present:
        return [Issue.of("mask.all_ignored", "every pixel of every mask is ignored, or has no class")]
    if present == 1:
        return [Issue.of("mask.single_class", "every labelled pixel is of the same class")]
    return []


def _unlabelled_sides(presence: list[int], sides: split.Sides) -> list[Issue]:
    """Faults for sides of the split without a single labelled pixel; only a warning for the test split."""
    issues = []
    for name, positions, severity in (
        ("training", sides.train, Severity.FAULT),
        ("validation", sides.val, Severity.FAULT),
        ("test", sides.test, Severity.WARNING),
    ):
        if positions and not any(presence[position] for position in positions):
            message = f"no {name} image has a labelled pixel (at training size)"
            issues.append(Issue.of("mask.all_ignored", message, severity=severity))
    return issues


def _leak(archive: Archive, samples: list[Sample], images: similarity.Thumbnails, sides: split.Sides) -> list[Issue]:
    """A warning about images that are measured with and nearly the same as one that is trained on."""
    measured = [*sides.val, *sides.test]
    names = [archive.names[samples[position].image] for position in similarity.alike(images, measured, sides.train)]
    if not names:
        return []
    message = f"{len(names)} of {len(measured)} validation and test images are nearly the same as a training image"
    return [Issue.of("split.leak", message, files=names)]


def _finish_cache(  # noqa: PLR0913, PLR0917  (what the check knows meets here)
    writer: CacheWriter,
    archive: Archive,
    samples: list[Sample],
    survey: Survey,
    reading: ClassReading,
    sides: split.Sides,
    request: Request,
) -> None:
    class_ids = np.full(256, IGNORE, np.uint8)
    for code, key in enumerate(survey.keys):
        class_ids[code] = reading.lookup[key]
    writer.map_masks(class_ids)
    height, width = request.size
    writer.finish(
        CacheIndex(
            count=len(samples),
            height=height,
            width=width,
            train=sides.train,
            val=sides.val,
            test=sides.test,
            names=[archive.names[sample.image] for sample in samples],
        )
    )
