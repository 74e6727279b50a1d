"""Opens an input as a source of images without labels, by its kind."""

from pathlib import Path

from segdrop.dataset.masks.deep_values import DeepRange
from segdrop.dataset.unlabelled.image_files import ImageArchive, ImageFile
from segdrop.dataset.unlabelled.json_images import JsonImages
from segdrop.dataset.unlabelled.source import Source
from segdrop.dataset.unlabelled.video import Video
from segdrop.input_kinds import InputKind
from segdrop.spec import Limits


def open_source(path: Path, name: str, kind: InputKind, limits: Limits, deep_range: DeepRange | None = None) -> Source:
    """Returns the open source of an input that people know by ``name``.

    ``deep_range`` holds the values of more than 8 bits that are black and white to the model; without it the upper 8 of
    16 bits are kept, and images of fractions are not read. Raises DataError where nothing of the input can be read,
    OSError, and ValueError for a kind that has labels.
    """
    match kind:
        case InputKind.IMAGE:
            return ImageFile(path, name, limits, deep_range)
        case InputKind.ARCHIVE:
            return ImageArchive(path, limits, deep_range)
        case InputKind.JSON:
            return JsonImages(path, name, limits, deep_range)
        case InputKind.VIDEO:
            return Video(path, name, limits)
    raise ValueError(f"{kind} is no kind of input without labels")
