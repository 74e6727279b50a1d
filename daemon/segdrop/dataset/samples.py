"""What a layout makes of a tree: samples, and what it found on the way."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from segdrop.dataset.names import Names
from segdrop.dataset.shapes import Shape
from segdrop.errors import Issue


class Split(StrEnum):
    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Coding(StrEnum):
    """How the pixels of a mask file mean values."""

    STORED = "stored"  #: indices, grey levels or colours, to be found out from all masks together
    SEGMENTS = "segments"  #: COCO panoptic: R + 256 G + 65536 B is a segment's id
    ADE20K = "ade20k"  #: full ADE20K: R // 10 * 256 + G is the class


@dataclass(frozen=True, slots=True)
class MaskFile:
    """Truth as an image of values. ``relabel`` maps stored numbers to values (others become 0)."""

    member: int
    coding: Coding = Coding.STORED
    relabel: Mapping[int, int] | None = None


@dataclass(frozen=True, slots=True)
class MaskUnion:
    """Truth as one binary mask for each object: (member, value); the later cover the earlier."""

    parts: tuple[tuple[int, int], ...]

    @property
    def member(self) -> int:
        return self.parts[0][0]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Truth as shapes: painted in order over value 0.

    ``member``: the file that holds them. ``size``: (width, height) of the image as that file says, ``None`` where it
    says none; ``is_relative``: coordinates are fractions of the image's width and height.
    """

    member: int
    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None = None
    is_relative: bool = False


Truth = MaskFile | MaskUnion | Drawing


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with its truth, as members of the archive. ``key`` is its name, the same for all spellings."""

    key: str
    image: int
    truth: Truth
    split: Split | None  #: as given by the ZIP


@dataclass(frozen=True, slots=True)
class Reading:
    """Samples in the order of their keys, whatever the order in the ZIP.

    ``names``: the class names that the layout brings, ``None`` where it has none. ``reason``: by what the layout was
    recognised, for people ("labelmap.txt beside SegmentationClass/").
    """

    layout: str
    samples: list[Sample]
    names: Names | None
    issues: list[Issue] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    reason: str = ""


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
    "png jpg jpeg jpe jfif bmp dib tif tiff webp gif ppm pgm pbm pnm".split()  # noqa: SIM905  (a list of words)
)


def is_image(path: str) -> bool:
    return extension(path) in IMAGE_EXTENSIONS
