"""What a layout makes of an archive: samples, the names of their classes, and what it found on the way.

A sample may lack truth, which is enough to predict. What trains or measures demands labelled samples by their type.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

from segdrop.codes import Code
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.shapes import Shape
from segdrop.errors import DataError, Issue


class Split(StrEnum):
    """A side of the split."""

    TRAIN = "train"
    VAL = "val"
    TEST = "test"


class Coding(StrEnum):
    """Tells how the pixels of a mask file stand for values."""

    STORED = "stored"  #: indices, grey levels or colours, to be found out from all masks together
    SEGMENTS = "segments"  #: COCO panoptic: R + 256 G + 65536 B is a segment's id
    ADE20K = "ade20k"  #: full ADE20K: R // 10 * 256 + G is the class
    INSTANCE_IDS = "instance ids"  #: Cityscapes: from 1000 on, a number // 1000 is the class, else the number itself


@dataclass(frozen=True, slots=True)
class MaskFile:
    """Truth as an image of values.

    ``relabel`` maps the numbers that are stored to values; a number that it does not name becomes 0, or, if
    ``is_complete``, is refused unless it is 0.
    """

    member: int
    coding: Coding = Coding.STORED
    relabel: Mapping[int, int] | None = None
    is_complete: bool = False


@dataclass(frozen=True, slots=True)
class MaskUnion:
    """Truth as one binary mask for each object: pairs of member and value, of which the later cover the earlier.

    With ``is_smaller_on_top``, the smaller areas cover the larger instead. Where one of the masks in ``valid`` is 0, a
    pixel has the value ``IGNORED``. With ``must_be_binary``, a mask of several values is no mask of one class.
    """

    parts: tuple[tuple[int, int], ...]
    is_smaller_on_top: bool = False
    must_be_binary: bool = False
    valid: tuple[int, ...] = ()
    IGNORED: ClassVar[int] = 255

    @property
    def member(self) -> int:
        """The file of the first object, by which the truth is named in messages."""
        return self.parts[0][0]


@dataclass(frozen=True, slots=True)
class Drawing:
    """Truth as shapes that are painted in order over value 0.

    ``member`` is the file that holds them. ``size`` is (width, height) of the image as that file says, or None where it
    says none. With ``is_relative``, coordinates are fractions of the image's width and height.
    """

    member: int
    shapes: tuple[Shape, ...]
    size: tuple[int, int] | None = None
    is_relative: bool = False


Truth = MaskFile | MaskUnion | Drawing


@dataclass(frozen=True, slots=True)
class Sample:
    """One image of a dataset, which may have no truth: that is enough to predict."""

    key: str  #: its name, the same for all spellings
    image: int  #: the member of the archive that holds it
    split: Split | None  #: as given by the ZIP


@dataclass(frozen=True, slots=True)
class LabelledSample(Sample):
    """One image with its truth, as training and evaluation need it."""

    truth: Truth


@dataclass(frozen=True, slots=True)
class Reading:
    """Tells what a layout read: samples in the order of their keys, whatever their order in the ZIP.

    ``names`` are the class names that the layout brings, or None where it has none. ``reason`` tells people by what the
    layout was recognised ("labelmap.txt beside SegmentationClass/").
    """

    layout: str
    samples: Sequence[Sample]
    names: ClassNames | None
    issues: list[Issue] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)
    reason: str = ""
    runner_up: str | None = None  #: the reading that came next, for people; ``None`` where nothing else comes near
    why_not: str | None = None  #: why it lost
    is_guess: bool = False  #: whether names say only that files belong together, not which are images and which masks


def labelled(reading: Reading) -> list[LabelledSample]:
    """Returns the samples of a reading. Raises DataError where any of them has no truth to train on or measure by."""
    found = [sample for sample in reading.samples if isinstance(sample, LabelledSample)]
    if lacking := len(reading.samples) - len(found):
        message = f"{lacking} of {len(reading.samples)} images have no mask and no annotation"
        raise DataError([Issue.of(Code.LAYOUT_NO_MASKS, message, count=lacking)])
    return found


def pairing_key(path: str) -> str:
    """Returns a path without its extension, in one spelling for all cases and ways to compose accents."""
    folder, slash, name = path.rpartition("/")
    stem = name.rpartition(".")[0] or name
    return unicodedata.normalize("NFC", folder + slash + stem).casefold()


def extension(path: str) -> str:
    """Returns the lower-case extension of a path without its dot, or "" where it has none."""
    name = path.rpartition("/")[2]
    return name.rpartition(".")[2].casefold() if "." in name else ""


#: photographs that are read where an optional package is installed
HEIC_EXTENSIONS = frozenset({"heic", "heif"})
#: the extensions of the formats in ``decode.FORMATS``, and those
IMAGE_EXTENSIONS = HEIC_EXTENSIONS | frozenset(
    "png jpg jpeg jpe jfif bmp dib tif tiff webp gif ppm pgm pbm pnm".split()  # noqa: SIM905  (a list of words)
)


def is_image(path: str) -> bool:
    """Whether a path has the extension of an image format that is read."""
    return extension(path) in IMAGE_EXTENSIONS
