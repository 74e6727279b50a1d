"""Which files of a ZIP are images to predict: by their names alone, without any library that decodes."""

from segdrop import input_kinds
from segdrop.codes import Code
from segdrop.dataset.archive.source import Archive
from segdrop.dataset.unlabelled.stems import readable
from segdrop.errors import DataError, Issue
from segdrop.input_kinds import InputKind
from segdrop.request import EMBEDDED_NAME


def named_images(archive: Archive) -> list[Issue]:
    """Returns what the names in a ZIP of images show to be wrong, without looking into its files."""
    try:
        image_members(archive)
    except DataError as error:
        return error.issues
    return []


def image_members(archive: Archive) -> tuple[list[int], list[str]]:
    """Returns the members of a ZIP that are images by their names, and the names of its other files.

    Raises DataError where the ZIP's directory is at fault, or no member is an image.
    """
    if not archive.is_safe:
        raise DataError(archive.issues)
    members = [member for member, name in enumerate(archive.names) if is_image(name)]
    others = [
        readable(name)
        for name in archive.names
        if not is_image(name) and name.rpartition("/")[2].casefold() != EMBEDDED_NAME
    ]
    if not members:
        raise DataError([_no_images(others)])
    return members, others


def _no_images(others: list[str]) -> Issue:
    videos = [name for name in others if input_kinds.by_name(name) is InputKind.VIDEO]
    found = f"none of the {len(others)} files in the ZIP has the name of an image"
    if videos:
        return Issue.of(
            Code.INPUT_NO_IMAGES,
            f"{found}, and {len(videos)} have that of a video",
            files=videos,
            count=len(videos),
            fix="Drop the video by itself, not in a ZIP, with its request beside it.",
        )
    return Issue.of(Code.INPUT_NO_IMAGES, found, files=others, count=max(1, len(others)))


def other_files(names: list[str]) -> list[Issue]:
    """Returns a note about files that are no images, where there are any."""
    if not names:
        return []
    return [
        Issue.of(
            Code.LAYOUT_STRAY_FILE,
            f"{len(names)} files of the ZIP are left out: no images, by their names",
            files=names,
        )
    ]


def is_image(name: str) -> bool:
    """Whether a file has the name of an image that can be predicted."""
    return input_kinds.by_name(name) is InputKind.IMAGE
