"""The pairs of a labelled ZIP at full size, for an evaluation: each image with the class of each of its pixels.

The ZIP is understood in the same way as by the check; its pixels are looked at once for that, before the first pair.
"""

import json
from collections.abc import Iterator
from types import TracebackType
from typing import Self

import numpy as np
import numpy.typing as npt

from segdrop import child_runtime
from segdrop.codes import Code, Severity
from segdrop.dataset import pixel_check, quick_check
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.classes.assignment import ClassReading
from segdrop.dataset.interpretation import Interpretation
from segdrop.dataset.labelling import class_ids
from segdrop.dataset.masks import decode, image_reading
from segdrop.dataset.masks.placing import View
from segdrop.dataset.pair_reading import are_of_one_shape
from segdrop.dataset.progress import ProgressFile
from segdrop.dataset.samples import LabelledSample
from segdrop.dataset.split import division
from segdrop.dataset.unlabelled.image_files import skipped
from segdrop.dataset.unlabelled.item import Item, SkippedItem
from segdrop.dataset.unlabelled.source import Begin, untold
from segdrop.dataset.unlabelled.stems import readable, stems
from segdrop.errors import DataError, Issue
from segdrop.request import Request, TrainRequest
from segdrop.spec import DecodeSpec

#: what a request of any task says of how a dataset is read
_READING_KEYS = (
    *("format", "classes", "labels_include_background", "unknown_values", "mask_orientation", "class_map"),
    *("ignore_index", "max_images", "seed"),
)


class LabelledItems:
    """The pairs of a ZIP; a :class:`~segdrop.dataset.unlabelled.source.Source` whose items have truth."""

    def __init__(self, spec: DecodeSpec, stop: child_runtime.StopFlag) -> None:
        """Looks at all of the ZIP.

        Raises DataError with all that is wrong where no class is known, StoppedError once ``stop`` is set, and OSError.
        """
        decode.configure(spec.limits.max_image_pixels)
        self._archive = Archive(spec.input_path, spec.limits)
        try:
            self._interpretation, self._reading = _understood(self._archive, spec, stop)
        except BaseException:
            self._archive.__exit__(None, None, None)
            raise
        deep = self._interpretation.deep
        self._deep_range = spec.deep_range or (deep.deep_range if deep else None)

    @property
    def count(self) -> int:
        """Number of pairs."""
        return len(self._interpretation.samples)

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by class id."""
        return tuple(self._reading.names)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._archive.__exit__(kind, error, traceback)

    def items(self, start: int = 0, begin: Begin = untold) -> Iterator[Item | SkippedItem]:
        """Yields the pairs in the order of their keys. ``Item.truth`` is (H, W) uint8; 255 is ignored."""
        samples = self._interpretation.samples
        names = [readable(self._archive.names[sample.image]) for sample in samples]
        places = stems(names)
        for index in range(start, len(samples)):
            begin(index, names[index])
            try:
                image, truth = self._pair(samples[index])
            except (decode.DecodeError, MemberError) as error:
                yield skipped(index, names[index], error)
                continue
            yield Item(index, names[index], places[index], image, truth)

    def _pair(self, sample: LabelledSample) -> tuple[decode.Bytes, decode.Bytes]:
        """Returns image and truth of one size. Raises DecodeError or MemberError where one of them cannot be had."""
        image, facts = image_reading.read_whole(self._archive.read(sample.image), self._deep_range)
        return image, self._truth(sample, facts.view)

    def _truth(self, sample: LabelledSample, view: View) -> decode.Bytes:
        keys = self._interpretation.labeller.read(self._archive.read, sample.truth, view).keys
        ids = class_ids(keys, self._reading.lookup)
        (width, height), (ids_height, ids_width) = view.size, ids.shape
        if not are_of_one_shape(view.size, (ids_width, ids_height)):
            name = readable(self._archive.names[sample.truth.member])
            reason = f"its mask {name} is {ids_width}x{ids_height}, and the image is {width}x{height}"
            raise decode.DecodeError(Code.PAIR_SIZE_MISMATCH, reason)
        return _narrow(decode.resize_nearest(ids, height, width))

    def issues(self) -> list[Issue]:
        """Returns nothing: the check has said what there is to say of the dataset."""
        return []


def _narrow(ids: npt.NDArray[np.integer]) -> decode.Bytes:
    return ids.astype(np.uint8, copy=False)


def reading_request(request: Request | None) -> TrainRequest:
    """Returns the request by which a dataset is read: what a request of any task says of that, and nothing else."""
    said = request.model_dump(mode="json") if request is not None else {}
    kept = {key: said[key] for key in _READING_KEYS if key in said}
    return TrainRequest.model_validate_json(json.dumps(kept)).resolved()


def _understood(
    archive: Archive, spec: DecodeSpec, stop: child_runtime.StopFlag
) -> tuple[Interpretation, ClassReading]:
    """Returns how a ZIP is read. Raises DataError where it cannot be."""
    request = reading_request(spec.request)
    found = quick_check.understand(archive, request)
    samples = division.take(found.samples, request.max_images, request.seed)
    if not samples:
        raise DataError(_faults(found.issues))
    progress = ProgressFile(None, len(samples), stop)
    interpretation = pixel_check.check(archive, found, samples, None, progress)
    if interpretation.reading is None:
        raise DataError(_faults(found.issues))
    return interpretation, interpretation.reading


def _faults(issues: list[Issue]) -> list[Issue]:
    """Returns the faults among the issues, or one that says that there is nothing to read."""
    faults = [issue for issue in issues if issue.severity is Severity.FAULT]
    return faults or [Issue.of(Code.LAYOUT_NO_MASKS, "no image with a mask or an annotation was found in the ZIP")]
