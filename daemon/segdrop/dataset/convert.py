"""Any readable dataset in the canonical layout: images as they are, masks of class ids, labels.txt.

What is written is read back as the same classes, ids, ignored pixels, names and split.
"""

import errno
import io
import json
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

import numpy as np
from PIL import Image

from segdrop import child_runtime
from segdrop.codes import Code
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.classes import legends
from segdrop.dataset.classes.assignment import IGNORE, ClassReading
from segdrop.dataset.classes.value_encoding import read_values
from segdrop.dataset.full_check import FullCheck, check_archive
from segdrop.dataset.interpretation import Interpretation
from segdrop.dataset.labelling import class_ids
from segdrop.dataset.layouts import paired
from segdrop.dataset.layouts.shared import folders
from segdrop.dataset.masks import decode, image_reading
from segdrop.dataset.masks.placing import Turning, View
from segdrop.dataset.progress import ProgressFile
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import LabelledSample, Split, extension, pairing_key
from segdrop.errors import DataError, UnavailableError
from segdrop.request import EMBEDDED_NAME, EvaluateRequest
from segdrop.spec import CheckSpec, ConvertSpec

#: formats that hold pixels as they are; the others are compressed already
_UNCOMPRESSED = frozenset({"bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm"})


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a sample goes: ``folder`` is that of its side with a slash, or "", and ``name`` has no extension."""

    folder: str
    name: str


def convert(spec: ConvertSpec, stop: child_runtime.StopFlag) -> CheckReport:
    """Check a ZIP; if there is no fault, write it to ``output_path`` in the canonical layout."""
    with Archive(spec.archive, spec.limits) as archive:
        result = check_archive(archive, spec, stop, skip_bad=spec.skip_bad)
        if result.report.dataset is not None:
            write(archive, result, spec, stop)
        return result.report


def write_pairs(archive: Archive, result: FullCheck, spec: CheckSpec, stop: child_runtime.StopFlag) -> None:
    """Write what an evaluation measures with to ``pairs_path``; does nothing for other tasks, and where there is a
    fault.
    """
    is_wanted = isinstance(result.report.request, EvaluateRequest) and result.report.dataset is not None
    if is_wanted and spec.pairs_path is not None:
        values = spec.model_dump() | {"output_path": spec.pairs_path, "skip_bad": False}
        write(archive, result, ConvertSpec.model_validate(values), stop)


def write(archive: Archive, result: FullCheck, spec: ConvertSpec, stop: child_runtime.StopFlag) -> None:
    """Write what was found to be without fault; where it cannot be written to the end, nothing of it is left.

    Raises UnavailableError where the disk is full.
    """
    try:
        _write(archive, result, spec, stop)
    except BaseException as error:
        spec.output_path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError(Code.DISK_FULL, f"no space for the converted dataset: {error}") from error
        raise


def _write(archive: Archive, result: FullCheck, spec: ConvertSpec, stop: child_runtime.StopFlag) -> None:
    """Write the converted dataset, without cleaning up after a failure."""
    interpretation = result.interpretation
    if interpretation is None or interpretation.reading is None:
        raise ValueError("a dataset that was not understood cannot be converted")
    samples, reading = interpretation.samples, interpretation.reading
    progress = ProgressFile(spec.progress_path, len(samples), stop, "convert")
    used: set[int] = set()
    has_turned = False
    with zipfile.ZipFile(spec.output_path, "w") as target:
        for sample, destination in zip(samples, destinations(archive, samples), strict=True):
            view = image_reading.view(archive.read(sample.image))
            has_turned |= view.is_turned
            ids = _ids(archive, sample, view, interpretation, reading)
            used.update(np.flatnonzero(np.bincount(ids.ravel())).tolist())
            _copy(archive, sample.image, target, f"{destination.folder}images/{destination.name}")
            _put(target, f"{destination.folder}masks/{destination.name}.png", _png(ids))
            progress.step()
        _put(target, "labels.txt", _labels(reading.names))
        _put(target, EMBEDDED_NAME, json.dumps(_request(reading.names, used, has_turned=has_turned), indent=2).encode())
        _put(target, "README.txt", _readme(result.report, interpretation, spec.name).encode("utf-8", "replace"))


def _ids(
    archive: Archive, sample: LabelledSample, view: View, interpretation: Interpretation, reading: ClassReading
) -> decode.Bytes:
    """Returns class ids (height, width) at full size, upright."""
    return class_ids(interpretation.labeller.read(archive.read, sample.truth, view).keys, reading.lookup)


def destinations(archive: Archive, samples: Sequence[LabelledSample]) -> Iterator[Destination]:
    """Yields a destination for each sample, no two the same: from its key, on which a split that is
    made later depends.
    """
    taken = set()
    for sample in samples:
        destination = _destination(sample, archive.names[sample.image])
        name, number = destination.name, 1
        while (destination.folder, pairing_key(f"{name}.png")) in taken:
            number += 1
            name = f"{destination.name}_{number}"
        taken.add((destination.folder, pairing_key(f"{name}.png")))
        yield Destination(destination.folder, name)


def _destination(sample: LabelledSample, image_name: str) -> Destination:
    """Returns the destination of a sample, regardless of the others."""
    side, slash, below = sample.key.partition("/")
    is_sided = bool(slash) and side in ([sample.split] if sample.split else list(Split))
    folder = f"{side}/" if is_sided else f"{sample.split}/" if sample.split else ""
    name = _as_spelt(below if is_sided else sample.key, image_name)
    if not folder and folders.meaning(name.partition("/")[0]).is_side:
        name = name.replace("/", "_")  # its folder is no side of this dataset, and must not become one
    return Destination(folder, name.encode("utf-8", "replace").decode())


def _as_spelt(key: str, image_name: str) -> str:
    """Returns the key in the spelling of the image's path, where it is an end of that."""
    parts = PurePosixPath(image_name).parts[-1 - key.count("/") :]
    path = "/".join(parts)
    return path.rpartition(".")[0] if pairing_key(path) == key else key


def _copy(archive: Archive, member: int, target: zipfile.ZipFile, path: str) -> None:
    """Copy an image as it is, piece by piece."""
    kind = extension(archive.names[member])
    info = zipfile.ZipInfo(f"{path}.{archive.names[member].rpartition('.')[2]}")
    info.file_size = archive.unpacked_bytes(member)
    info.compress_type = zipfile.ZIP_DEFLATED if kind in _UNCOMPRESSED else zipfile.ZIP_STORED
    with target.open(info, "w") as stream:
        for chunk in archive.chunks(member):
            stream.write(chunk)


def _put(target: zipfile.ZipFile, path: str, content: bytes) -> None:
    # deflated although a PNG is: flat masks shrink again
    target.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)


def _png(ids: decode.Bytes) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(ids).save(stream, "PNG")
    return stream.getvalue()


def _labels(names: Sequence[str]) -> bytes:
    return "".join(f"{name}\n" for name in names).encode()


def _request(names: Sequence[str], used: set[int], *, has_turned: bool) -> dict[str, object]:
    """Returns the request by which the files are read as they are meant; names by number only where labels.txt would
    not do.
    """
    request: dict[str, object] = {"format": paired.NAME, "labels_include_background": True, "ignore_index": IGNORE}
    if has_turned:
        request["mask_orientation"] = Turning.DISPLAYED.value
    try:
        is_plain = legends.parse(_labels(names), "labels.txt").ordered == tuple(names)
    except DataError:
        is_plain = False
    ranks = read_values(sorted(used), len(names), IGNORE).ranks
    if not is_plain or any(value != rank for value, rank in ranks.items()):
        request["classes"] = {str(class_id): name for class_id, name in enumerate(names)}
    return request


def _readme(report: CheckReport, interpretation: Interpretation, name: str) -> str:
    """Returns the text that says where the files come from and how the original was interpreted."""
    lines = [
        f"Made by `segdrop convert` from {name} (SHA-256 {report.input_sha256}).",
        "",
        "images/ holds the images as they were, masks/ the class of each pixel: 0 is the first line of labels.txt;",
        f"{IGNORE} is ignored. {EMBEDDED_NAME} says how the files are to be read; settings for training are not in it.",
    ]
    if report.dataset is not None and report.dataset.assumptions:
        lines += ["", "How the original was understood:", *(f"- {said}" for said in report.dataset.assumptions)]
    if interpretation.left_out:
        lines += ["", "Left out:", *(f"- {what}" for what in interpretation.left_out)]
    return "\n".join(lines) + "\n"
