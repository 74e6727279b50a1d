"""What a layout makes of a tree: samples, and what it found on the way."""

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from segdrop.errors import Issue


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its mask, as members of the archive. ``key`` is its name, the same for all spellings."""

    key: str
    image: int
    mask: int
    split: Split | None  #: as given by the ZIP


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples in the order of their keys, whatever the order in the ZIP."""

    layout: str
    samples: list[Sample]
    labels: int | None  #: the member that names the classes
    issues: list[Issue]
    assumptions: list[str]


def pairing_key(path: str) -> str:
    """A path without its extension, the same for all spellings of one name (case, composed accents)."""
    folder, slash, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return unicodedata.normalize("NFC", folder + slash + stem).casefold()


def extension(path: str) -> str:
    """The lower-case extension without its dot, or nothing."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].casefold() if "." in name else ""


#: of the formats in ``decode.FORMATS``
IMAGE_EXTENSIONS = frozenset(
    {
        "png",
        "jpg",
        "jpeg",
        "jpe",
        "jfif",
        "bmp",
        "dib",
        "tif",
        "tiff",
        "webp",
        "gif",
        "ppm",
        "pgm",
        "pbm",
        "pnm",
    }
)


def is_image(path: str) -> bool:
    return extension(path) in IMAGE_EXTENSIONS
