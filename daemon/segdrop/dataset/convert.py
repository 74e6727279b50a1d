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

from segdrop import child
from segdrop.dataset import decode, legends
from segdrop.dataset.classes import IGNORE, ClassReading
from segdrop.dataset.encoding import read_values
from segdrop.dataset.examine import Examination, examine
from segdrop.dataset.labelling import class_ids
from segdrop.dataset.layouts import folders
from segdrop.dataset.progress import Progress
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import Drawing, Sample, Split, extension, pairing_key
from segdrop.dataset.source import Archive
from segdrop.dataset.understanding import Understanding
from segdrop.errors import DataError, UnavailableError
from segdrop.spec import ConvertSpec

#: formats that hold pixels as they are; the others are compressed already
_UNCOMPRESSED = frozenset({"bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a sample goes: ``folder`` is that of its side with a slash, or nothing; ``name`` has no extension."""

    folder: str
    name: str


def convert(spec: ConvertSpec, stop: child.StopFlag) -> CheckReport:
    """Check a ZIP; if there is no fault, write it to ``output_path`` in the canonical layout."""
    with Archive(spec.archive, spec.limits) as archive:
        examination = examine(archive, spec, stop, skip_bad=spec.skip_bad)
        if examination.report.dataset is not None:
            write(archive, examination, spec, stop)
        return examination.report


def write(archive: Archive, examination: Examination, spec: ConvertSpec, stop: child.StopFlag) -> None:
    """Write what was found to be without fault; where that is not possible to the end, nothing is left of it."""
    try:
        _write(archive, examination, spec, stop)
    except BaseException as error:
        spec.output_path.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise UnavailableError("disk.full", f"no space for the converted dataset: {error}") from error
        raise


def _write(archive: Archive, examination: Examination, spec: ConvertSpec, stop: child.StopFlag) -> None:
    understanding = examination.understanding
    if understanding is None or understanding.reading is None:
        raise ValueError("a dataset that was not understood cannot be converted")
    samples, reading = understanding.samples, understanding.reading
    progress = Progress(spec.progress_path, len(samples), stop, "convert")
    used: set[int] = set()
    with zipfile.ZipFile(spec.output_path, "w") as target:
        for sample, place in zip(samples, places(archive, samples), strict=True):
            ids = _ids(archive, sample, understanding, reading)
            used.update(np.flatnonzero(np.bincount(ids.ravel())).tolist())
            _copy(archive, sample.image, target, f"{place.folder}images/{place.name}")
            _put(target, f"{place.folder}masks/{place.name}.png", _png(ids))
            progress.step()
        _put(target, "labels.txt", _labels(reading.names))
        _put(target, "segdrop.json", json.dumps(_request(reading.names, used), indent=2).encode())
        _put(target, "README.txt", _readme(examination.report, understanding, spec.name).encode("utf-8", "replace"))


def _ids(archive: Archive, sample: Sample, understanding: Understanding, reading: ClassReading) -> decode.Bytes:
    """Class ids (height, width) at full size, upright."""
    size = None
    if isinstance(sample.truth, Drawing) and sample.truth.size is None:
        size = decode.read_image(archive.read(sample.image), None).size
    return class_ids(understanding.labeller.read(archive.read, sample.truth, size).keys, reading.lookup)


def places(archive: Archive, samples: Sequence[Sample]) -> Iterator[Place]:
    """A place for each sample, no two the same: from its key, because a split that is made later depends on that."""
    taken = set()
    for sample in samples:
        place = _place(sample, archive.names[sample.image])
        name, number = place.name, 1
        while (place.folder, pairing_key(f"{name}.png")) in taken:
            number += 1
            name = f"{place.name}_{number}"
        taken.add((place.folder, pairing_key(f"{name}.png")))
        yield Place(place.folder, name)


def _place(sample: Sample, image_name: str) -> Place:
    side, slash, below = sample.key.partition("/")
    is_sided = bool(slash) and side in ([sample.split] if sample.split else list(Split))
    folder = f"{side}/" if is_sided else f"{sample.split}/" if sample.split else ""
    name = _as_spelt(below if is_sided else sample.key, image_name)
    if not folder and folders.meaning(name.partition("/")[0]).is_side:
        name = name.replace("/", "_")  # its folder is no side of this dataset, and must not become one
    return Place(folder, name.encode("utf-8", "replace").decode())


def _as_spelt(key: str, image_name: str) -> str:
    """The key in the spelling of the image's path, where it is an end of that."""
    parts = PurePosixPath(image_name).parts[-1 - key.count("/") :]
    path = "/".join(parts)
    return path.rpartition(".")[0] if pairing_key(path) == key else key


def _copy(archive: Archive, member: int, target: zipfile.ZipFile, path: str) -> None:
    """An image as it is, piece by piece."""
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


def _request(names: Sequence[str], used: set[int]) -> dict[str, object]:
    """What makes the files be read as they are meant: names by number only where labels.txt would not do."""
    request: dict[str, object] = {"format": "paired", "labels_include_background": True, "ignore_index": IGNORE}
    try:
        is_plain = legends.parse(_labels(names), "labels.txt").ordered == tuple(names)
    except DataError:
        is_plain = False
    ranks = read_values(sorted(used), len(names), IGNORE).ranks
    if not is_plain or any(value != rank for value, rank in ranks.items()):
        request["classes"] = {str(class_id): name for class_id, name in enumerate(names)}
    return request


def _readme(report: CheckReport, understanding: Understanding, name: str) -> str:
    lines = [
        f"Made by `segdrop convert` from {name} (SHA-256 {report.input_sha256}).",
        "",
        "images/ holds the images as they were, masks/ the class of each pixel: 0 is the first line of labels.txt;",
        f"{IGNORE} is ignored. segdrop.json says how the files are to be read; settings for training are not in it.",
    ]
    if report.dataset is not None and report.dataset.assumptions:
        lines += ["", "How the original was understood:", *(f"- {said}" for said in report.dataset.assumptions)]
    if understanding.left_out:
        lines += ["", "Left out:", *(f"- {what}" for what in understanding.left_out)]
    return "\n".join(lines) + "\n"
