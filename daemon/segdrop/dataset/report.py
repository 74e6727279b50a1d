"""What the check says about a dataset: the files that other processes read.

Light on purpose (no numpy): the daemon reads these.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from segdrop.errors import Issue


class _Report(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DatasetSummary(_Report):
    """How the dataset was understood. Counts are pairs; ``class_pixels`` are over all used pairs, full size.

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
    split: str  #: "given" or "made"
    image_size: list[int]  #: [height, width] of the cache
    class_pixels: list[int]
    ignored_pixels: int
    assumptions: list[str]


class Understood(_Report):
    """As far as a dataset was understood that cannot be used. ``None``: an issue says why it is not known.

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
    assumptions: list[str] = []


class CheckReport(_Report):
    """The full check's answer. ``dataset`` is there exactly where no issue is a fault.

    Where some are, ``understood`` says how far it got, if a layout was recognised at all.
    """

    input_bytes: int
    input_sha256: str
    changed_while_read: bool  #: somebody still writes: settle again, and check again
    request: dict[str, Any] | None
    issues: list[dict[str, Any]]
    dataset: DatasetSummary | None
    understood: Understood | None = None
    peak_rss_bytes: int
    seconds: float

    @classmethod
    def load(cls, path: Path) -> "CheckReport":
        return cls.model_validate_json(path.read_bytes())

    def issue_list(self) -> list[Issue]:
        return [Issue.from_json(issue) for issue in self.issues]


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
