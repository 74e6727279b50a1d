"""The kinds of input that the inbox takes, told by the suffix of a file's name.

A name says what a file claims to be; what is really in it is found out by the checks.
"""

from enum import StrEnum


class InputKind(StrEnum):
    """What an input is: where its images come from."""

    ARCHIVE = "archive"  #: a ZIP
    IMAGE = "image"  #: one image of a format that Pillow reads
    JSON = "json"  #: images in base64, ``{"image_names": [...], "images": [...]}``
    VIDEO = "video"  #: a video of a format that PyAV reads
    PAIRS = "pairs"  #: images with their truth, as the check of an evaluation leaves them; never dropped by people


#: Formats of single images. Those that people use for anything but images (``.ps``, ``.eps``, ``.h5``, ``.ico``,
#: ``.cur``, ``.psd``) are left out, although Pillow opens them.
IMAGE_SUFFIXES = frozenset(
    {
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "gif", "bmp", "dib", "tif", "tiff", "webp"),
        *("heic", "heif", "hif", "avif", "avifs", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx"),
        *("ppm", "pgm", "pbm", "pnm", "pfm", "tga", "icb", "vda", "vst", "pcx", "sgi", "rgb", "rgba", "bw", "qoi"),
    }
)
VIDEO_SUFFIXES = frozenset(
    {
        *("mp4", "m4v", "mov", "qt", "3gp", "3g2", "avi", "divx", "mkv", "webm", "wmv", "asf"),
        *("mpg", "mpeg", "m2v", "mpe", "ts", "mts", "m2ts", "flv", "f4v", "ogv"),
    }
)
_BY_SUFFIX = {
    "zip": InputKind.ARCHIVE,
    "json": InputKind.JSON,
    **dict.fromkeys(IMAGE_SUFFIXES, InputKind.IMAGE),
    **dict.fromkeys(VIDEO_SUFFIXES, InputKind.VIDEO),
}
SUFFIXES = frozenset(_BY_SUFFIX)


def by_name(name: str) -> InputKind | None:
    """Returns the kind of input that a name stands for, or None for a name that is no input's.

    A ``.json`` may as well be a request; that is told by what is in it.
    """
    _, dot, suffix = name.rpartition(".")
    return _BY_SUFFIX.get(suffix.lower()) if dot else None


def claimed_name(input_name: str) -> str:
    """Returns the name that an input has in its job's folder: ``input`` with its own suffix in lower case.

    A ZIP has ``input.zip``, and so has an input of any other name: earlier versions claimed ZIPs alone.
    """
    is_known = by_name(input_name) is not None
    return f"input.{input_name.rpartition('.')[2].lower()}" if is_known else "input.zip"
