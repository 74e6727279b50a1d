"""The report of a check, and the index of the cache that it leaves: files that other processes read.

Light on purpose (no numpy): the daemon reads these.
"""

from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from segdrop.errors import Issue
from segdrop.input_kinds import InputKind
from segdrop.record import Record
from segdrop.request import ImageSize, Request, StoredRequest


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)


class Part(StrEnum):
    """Tells what a check decides about a dataset."""

    LAYOUT = "layout"
    ENCODING = "encoding"
    CLASSES = "classes"
    IGNORE = "ignore"
    SPLIT = "split"


class Confidence(StrEnum):
    """Tells how sure a decision is."""

    CERTAIN = "certain"  #: the files or the request say so
    ASSUMED = "assumed"  #: nothing says otherwise
    DOUBTFUL = "doubtful"  #: it may be otherwise: an issue says how, and what decides


class Argument(Record):
    """One decision: the reading taken, its evidence in numbers, and the reading that came next with why it lost."""

    part: Part
    reading: str
    evidence: str
    confidence: Confidence
    runner_up: str | None = None  #: ``None`` where nothing else comes near
    why_not: str | None = None


class DatasetSummary(Record):
    """A dataset as it was understood. Counts are pairs; ``class_pixels`` are over all used pairs, full size.

    ``mask_values`` holds -1 for a class without pixels where masks are grey levels: none is known then.
    """

    layout: str
    reason: str  #: by what the layout was recognised
    pairs: int
    train: int
    val: int
    test: int
    num_classes: int
    classes: list[str]
    mask_values: list[int | str]  #: of each class, in the order of ``classes``; a colour as ``#rrggbb``
    ignore_index: int | None  #: the mask value that is left out, as it stands in the masks
    mask_encoding: str
    split: str  #: ``given`` or ``made``
    image_size: ImageSize | None  #: of the cache; ``None`` where there is none: nothing is trained
    class_pixels: list[int]
    ignored_pixels: int
    assumptions: list[str]
    arguments: list[Argument] = Field([])  #: absent from what earlier versions wrote


class Understood(Record):
    """A dataset that cannot be used, as far as it was understood. Where a part is ``None``, an issue says why.

    Counts of pairs are by the ZIP's own split, where it has one, and before any is found to be at fault.
    """

    layout: str
    reason: str
    pairs: int
    train: int
    val: int
    test: int
    mask_encoding: str | None = None
    ignore_index: int | None = None
    classes: list[str] | None = None
    mask_values: list[int | str] | None = None
    class_pixels: list[int] | None = None
    ignored_pixels: int | None = None
    assumptions: list[str] = Field([])
    arguments: list[Argument] = Field([])


class InputSurvey(Record):
    """What an input holds, as far as names and headers tell. Where an issue is a fault, it cannot be used."""

    kind: InputKind
    count: int | None = None  #: images or frames; of a video that does not count them, as many as are likely
    is_promise: bool = True  #: whether ``count`` is what the input itself says
    decoded_bytes: int | None = None  #: the most that all images take decoded, three bytes a pixel; None: not known
    largest_pixels: int | None = None  #: of one image
    width: int | None = None  #: of an image by itself, or of a video, as displayed
    height: int | None = None
    fps: float | None = None  #: frames a second, on average
    duration_seconds: float | None = None
    has_audio: bool | None = None
    codec: str | None = None
    issues: tuple[Issue, ...] = ()


class CheckReport(_Report):
    """The full check's answer. Its ``dataset`` is there exactly where no issue is a fault and the task needs
    labels.

    Where one is, ``understood`` says how far the check came, if a layout was recognised at all.
    """

    input_bytes: int
    input_sha256: str
    changed_while_read: bool  #: a writer still has it open: it settles, and is checked, again
    request: StoredRequest | None  #: resolved; ``None`` where an issue says what is wrong with it
    issues: list[Issue]
    dataset: DatasetSummary | None
    contents: InputSurvey | None = None  #: of an input without labels, to be predicted
    understood: Understood | None = None
    peak_rss_bytes: int
    seconds: float
    fingerprint: str | None = None  #: of a result that answers this; ``None`` where none can
    weights_state: str | None = None  #: for which files of weights that is so (``weights.state``)

    @classmethod
    def load(cls, path: Path) -> "CheckReport":
        """Returns the report in a file; raises ``OSError`` or ``ValueError`` where there is none."""
        return cls.model_validate_json(path.read_bytes())


class QuickReport(_Report):
    """The quick check's answer about one ZIP: one line of JSON."""

    key: str  #: of the item in the spec
    issues: list[Issue] = Field([])
    request: Request | None = None  #: resolved; ``None`` where an issue says what is wrong with it
    cache_bytes: int = 0  #: disk space that the decoded pairs take
    error: str | None = None  #: why nothing could be read at all: perhaps it can later


#: in the first bytes of every overlay: by it we know the files that a later check may replace
OVERLAY_MARK = b"segdrop overlay"
OVERLAY_MARK_WITHIN_BYTES = 128

#: the index file in the cache folder
CACHE_INDEX_NAME = "index.json"


class CacheIndex(_Report):
    """``cache/index.json``: images.u8 is (count, height, width, 3), masks.u8 is (count, height, width).

    Mask bytes are class ids; ``IGNORE`` (255) is left out of loss and metrics. The lists are positions.
    """

    count: int
    height: int
    width: int
    train: list[int]
    val: list[int]
    test: list[int]
    names: list[str]  #: the image's name in the ZIP, by position
    deep_range: tuple[float, float] | None = None  #: the values of more than 8 bits that became black and white
