"""What an input promises, found out before the first image is predicted: for the check, and for a look at the disk.

It runs in the child of the check, under its limits, because it opens untrusted bytes.
"""

from pathlib import Path

from segdrop.dataset.archive import image_headers
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.masks import decode, image_reading
from segdrop.dataset.report import InputSurvey
from segdrop.dataset.unlabelled.image_files import ImageFile
from segdrop.dataset.unlabelled.json_images import JsonImages
from segdrop.dataset.unlabelled.names import image_members, other_files
from segdrop.dataset.unlabelled.video import Video
from segdrop.errors import DataError
from segdrop.input_kinds import InputKind
from segdrop.spec import Limits

_CHANNELS = 3
#: which values of more than 8 bits become black and white is the model's matter; here any will do
_ANY_RANGE = (0.0, 1.0)


def survey(path: Path, name: str, kind: InputKind, limits: Limits) -> InputSurvey:
    """Returns what an input of a kind without labels promises; what is wrong with it is in ``issues``.

    An image by itself, a video's first frame and the form of a JSON are read; of the images in a ZIP the headers are.
    What decoding shows besides, each source says itself, at its end.
    Raises OSError where the file cannot be read now.
    """
    try:
        match kind:
            case InputKind.IMAGE:
                return _of_image(path, name, limits)
            case InputKind.ARCHIVE:
                return _of_archive(path, limits)
            case InputKind.JSON:
                return _of_json(path, name, limits)
            case InputKind.VIDEO:
                return _of_video(path, name, limits)
    except DataError as error:
        return InputSurvey(kind=kind, issues=tuple(error.issues))
    raise ValueError(f"{kind} is no kind of input without labels")


def _of_image(path: Path, name: str, limits: Limits) -> InputSurvey:
    with ImageFile(path, name, limits, _ANY_RANGE) as source:
        (item,) = source.items()
        height, width, _ = item.image.shape
        return InputSurvey(
            kind=InputKind.IMAGE,
            count=1,
            decoded_bytes=item.image.nbytes,
            largest_pixels=height * width,
            width=width,
            height=height,
        )


def _of_archive(path: Path, limits: Limits) -> InputSurvey:
    decode.configure(limits.max_image_pixels)
    with Archive(path, limits) as archive:
        members, others = image_members(archive)
        sizes = [_pixels(archive, member) for member in members]
        return InputSurvey(
            kind=InputKind.ARCHIVE,
            count=len(members),
            decoded_bytes=_CHANNELS * sum(sizes),
            largest_pixels=max(sizes),
            issues=tuple(other_files(others)),
        )


def _pixels(archive: Archive, member: int) -> int:
    """Returns the pixels of an image by its header; 0 where it has none that is known: it will not be decoded."""
    try:
        extent = image_headers.extent(archive.pieces(member))
        return extent.num_pixels if extent is not None else image_reading.num_pixels(archive.read(member))
    except (MemberError, decode.DecodeError):
        return 0


def _of_json(path: Path, name: str, limits: Limits) -> InputSurvey:
    with JsonImages(path, name, limits) as source:
        return InputSurvey(
            kind=InputKind.JSON,
            count=source.count,
            decoded_bytes=_CHANNELS * sum(source.sizes),
            largest_pixels=max(source.sizes),
            issues=tuple(source.form_issues),
        )


def _of_video(path: Path, name: str, limits: Limits) -> InputSurvey:
    with Video(path, name, limits) as source:
        facts = source.facts
        pixels = facts.width * facts.height
        return InputSurvey(
            kind=InputKind.VIDEO,
            count=facts.frames,
            is_promise=facts.is_promise,
            decoded_bytes=None if facts.frames is None else _CHANNELS * pixels * facts.frames,
            largest_pixels=pixels,
            width=facts.width,
            height=facts.height,
            fps=facts.fps,
            duration_seconds=facts.duration_seconds,
            has_audio=facts.has_audio,
            codec=facts.codec,
        )
