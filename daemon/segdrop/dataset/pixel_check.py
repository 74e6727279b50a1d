"""The pixel check: pixels are decoded, read as classes, divided into the sides of the split, and left in the cache.

All issues are collected; a later part is left out only where an earlier fault makes it meaningless.
"""

import contextlib
import errno
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from segdrop import durable
from segdrop.codes import Code, Severity
from segdrop.dataset import deep_survey, misfit, pixel_findings, rereading, verdicts
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.cache import CacheWriter
from segdrop.dataset.classes import assignment, class_map, plausibility, spellings
from segdrop.dataset.classes.assignment import IGNORE, ClassReading
from segdrop.dataset.classes.mask_sets import Masks
from segdrop.dataset.interpretation import Interpretation, summary
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.masks import decode
from segdrop.dataset.pixel_pass import PixelPass
from segdrop.dataset.progress import ProgressFile
from segdrop.dataset.quick_check import QuickCheck
from segdrop.dataset.report import CacheIndex
from segdrop.dataset.samples import LabelledSample
from segdrop.dataset.split import division, similarity
from segdrop.errors import DataError, Issue, UnavailableError, has_fault
from segdrop.request import DatasetRequest, EvaluateRequest, ImageSize, TrainRequest
from segdrop.spec import CheckSpec

_DAMAGED = Code.ARCHIVE_CORRUPT


def _without(issues: Sequence[Issue], code: str) -> list[Issue]:
    return [issue for issue in issues if issue.code != code]


def check(
    archive: Archive,
    found: QuickCheck,
    samples: list[LabelledSample],
    spec: CheckSpec,
    progress: ProgressFile,
    *,
    skip_bad: bool = False,
) -> Interpretation:
    """Decode the samples and interpret them; the result has a summary where nothing at all is at fault.

    With ``skip_bad``, pairs that cannot be used are left out with warnings, if they are at most half of all. Issues are
    added to ``found``. Raises UnavailableError where the disk is full.
    """
    decode.configure(spec.limits.max_image_pixels)
    deep = deep_survey.survey(archive, samples) if deep_survey.may_have_deep_images(archive, samples) else None
    legend = [colour for colour, _ in found.names.colours] if found.names else []
    labeller = Labeller(legend, turning=rereading.requested_turning(found.dataset_request))
    left_out: list[str] = []
    if skip_bad:
        samples, left_out = _usable(archive, found, samples, PixelPass(labeller, deep), progress)
    cache_dir = None if has_fault(found.issues) else spec.cache_dir
    try:
        interpretation = _interpretation(archive, found, samples, PixelPass(labeller, deep), cache_dir, progress)
    except OSError as error:
        if cache_dir is not None:
            durable.remove_tree(cache_dir)  # half a cache is of no use, and the space is wanted
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError(Code.DISK_FULL, f"no space for the decoded images: {error}") from error
        raise
    interpretation.left_out = left_out
    return interpretation


def _usable(
    archive: Archive, found: QuickCheck, samples: list[LabelledSample], pixel_pass: PixelPass, progress: ProgressFile
) -> tuple[list[LabelledSample], list[str]]:
    """Returns the samples that can be used, and what is wrong with each of the others, whose faults become warnings.

    Where more than half are at fault, all samples are returned. Every damaged member is at fault already, from the pass
    over every byte; that need not stay so.
    """
    progress.extend(len(samples))
    pixel_pass.run(archive, samples, _size(found.dataset_request), None, progress.step)
    if 2 * len(pixel_pass.bad) > len(samples):
        return samples, []
    found.issues = [_excused(issue) if issue.code == _DAMAGED else issue for issue in found.issues]
    found.issues += [
        _excused(issue) for issue in pixel_pass.issues() if issue.code in pixel_pass.bad_codes - {_DAMAGED}
    ]
    good = [sample for position, sample in enumerate(samples) if position not in pixel_pass.bad]
    return good, [pixel_pass.bad[position] for position in sorted(pixel_pass.bad)]


def _excused(issue: Issue) -> Issue:
    """Returns a fault of a pair that is left out, as a warning."""
    return replace(issue, severity=Severity.WARNING, message=f"{issue.message}; left out, as asked")


def _interpretation(
    archive: Archive,
    found: QuickCheck,
    samples: list[LabelledSample],
    pixel_pass: PixelPass,
    cache_dir: Path | None,
    progress: ProgressFile,
) -> Interpretation:
    """Make passes over the pixels until nothing that they found asks for another."""
    interpretation, following = _pass_over(archive, found, samples, pixel_pass, cache_dir, progress)
    while following is not None:
        progress.extend(len(samples))
        interpretation, following = _pass_over(archive, found, samples, following, cache_dir, progress)
    return interpretation


def _pass_over(
    archive: Archive,
    found: QuickCheck,
    samples: list[LabelledSample],
    pixel_pass: PixelPass,
    cache_dir: Path | None,
    progress: ProgressFile,
) -> tuple[Interpretation, PixelPass | None]:
    """Make one pass over the pixels. Where images or masks are to be read otherwise, the pass that does so is returned,
    and no classes.
    """
    size = _size(found.dataset_request)
    with contextlib.ExitStack() as stack:
        writer = stack.enter_context(CacheWriter(cache_dir, *size)) if cache_dir is not None else None
        pixel_pass.run(archive, samples, size, writer, progress.step)
        following = rereading.following(archive, samples, pixel_pass)
        bad = frozenset(pixel_pass.bad)
        interpretation = Interpretation(samples, pixel_pass.labeller, bad, deep=pixel_pass.deep)
        if following is not None:
            return interpretation, following
        verdict = verdicts.judge(pixel_pass, found.names)
        if verdict is not None and verdict.issue is not None:
            found.issues.append(pixel_findings.swapped(archive, samples, verdict.issue, verdict) or verdict.issue)
        if verdict is not None and verdict.labeller is not None:
            return interpretation, PixelPass(verdict.labeller, pixel_pass.deep, pixel_pass.said)
        # damaged members are on record already, all of them, from the pass over every byte
        found.issues += _without(pixel_pass.issues(), _DAMAGED)
        if verdict is None:
            _conclude(archive, found, interpretation, pixel_pass, writer)
        return interpretation, None


def _conclude(
    archive: Archive,
    found: QuickCheck,
    interpretation: Interpretation,
    pixel_pass: PixelPass,
    writer: CacheWriter | None,
) -> None:
    """Read classes and split from what the pixel pass saw, and finish the cache."""
    request, samples = found.dataset_request, interpretation.samples
    if request is None or not pixel_pass.is_readable:
        return
    try:
        masks = Masks.of(pixel_pass.pixels, pixel_pass.full_codes)
        reading = class_map.apply(assignment.read_masks(masks, found.names, request), request)
    except DataError as error:
        found.issues += error.issues
        return
    class_pixels, ignored_pixels = _pixels(pixel_pass, reading)
    interpretation.reading, interpretation.pixels = reading, pixel_pass.pixels
    interpretation.class_pixels, interpretation.ignored_pixels = class_pixels, ignored_pixels
    found.issues += reading.issues
    found.issues += pixel_findings.unknown_values(archive, samples, pixel_pass, reading)
    found.issues += plausibility.overlap(pixel_pass.num_overlapping, class_pixels)
    found.issues += pixel_findings.nothing_to_learn(class_pixels)
    if not pixel_pass.is_sound or _cannot_be_divided(samples, request) or has_fault(found.issues):
        return
    presence = [pixel_findings.class_bits(codes, pixel_pass.keys, reading) for codes in pixel_pass.cache_codes]
    images = similarity.centred(pixel_pass.thumbnails)
    pixel_pass.thumbnails.clear()
    sides = _sides(samples, presence, request, similarity.groups(images))
    interpretation.sides = sides
    found.issues += assignment.absent(reading.names, class_pixels)
    found.issues += pixel_findings.unlabelled_sides(presence, sides)
    found.issues += pixel_findings.leak(archive, samples, images, sides)
    found.issues += spellings.alike(reading.names, class_pixels, request)
    found.issues += pixel_findings.doubtful_roles(archive, found, samples)
    found.issues += plausibility.few(len(sides.train) + len(sides.val)) if sides.train else []
    found.issues += plausibility.imbalance(reading.names, class_pixels)
    num_framed = pixel_findings.num_framed(pixel_pass, reading)
    found.issues += plausibility.inversion(reading, class_pixels, num_framed, len(samples))
    found.issues += plausibility.mostly_ignored(reading, class_pixels, ignored_pixels, request)
    files_of = pixel_findings.files_of(archive, samples, pixel_pass, reading)
    found.issues += plausibility.lone(reading.names, files_of, len(samples))
    found.issues += division.missing_classes(sides, presence, reading.names)
    interpretation.misfit = misfit.judge(pixel_pass.edges)
    found.issues += [interpretation.misfit.issue()] if interpretation.misfit else []
    if has_fault(found.issues):
        return
    if writer is not None:
        _finish_cache(writer, archive, samples, pixel_pass, reading, sides)
    interpretation.summary = summary(found, pixel_pass, interpretation, request)


def _size(request: DatasetRequest | None) -> ImageSize:
    """Returns the size (height, width) to which pairs are scaled: that of the training, where there is to be one."""
    return (request if isinstance(request, TrainRequest) else TrainRequest()).image_size


def _cannot_be_divided(samples: list[LabelledSample], request: DatasetRequest) -> bool:
    return not isinstance(request, EvaluateRequest) and bool(division.shortage(samples))


def _sides(
    samples: list[LabelledSample], presence: list[int], request: DatasetRequest, groups: Sequence[int] | None
) -> division.Sides:
    """Divides the samples for a training; for an evaluation, all of them are tested with."""
    if isinstance(request, TrainRequest):
        return division.divide(samples, presence, request.val_fraction, request.seed, groups)
    return division.all_tested(len(samples))


def _pixels(pixel_pass: PixelPass, reading: ClassReading) -> tuple[list[int], int]:
    """Returns the pixels of each class over all masks at full size, and the number of those that are ignored."""
    pixels, ignored = [0] * len(reading.names), 0
    for key, class_id in reading.lookup.items():
        if class_id == IGNORE:
            ignored += pixel_pass.pixels.get(key, 0)
        else:
            pixels[class_id] += pixel_pass.pixels.get(key, 0)
    return pixels, ignored


def _finish_cache(
    writer: CacheWriter,
    archive: Archive,
    samples: list[LabelledSample],
    pixel_pass: PixelPass,
    reading: ClassReading,
    sides: division.Sides,
) -> None:
    """Turn the codes in the cache into class ids, and write its index."""
    class_ids = np.full(256, IGNORE, np.uint8)
    for code, key in enumerate(pixel_pass.keys):
        class_ids[code] = reading.lookup[key]
    writer.map_masks(class_ids)
    height, width = writer.size
    writer.finish(
        CacheIndex(
            count=len(samples),
            height=height,
            width=width,
            train=sides.train,
            val=sides.val,
            test=sides.test,
            names=[archive.names[sample.image] for sample in samples],
            deep_range=pixel_pass.deep_range,
        )
    )
