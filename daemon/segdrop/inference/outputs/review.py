"""``review.csv`` and ``review.html``: the images in the order in which correcting them teaches most."""

import base64
import heapq
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import jinja2
import numpy as np
from PIL import Image

from segdrop import durable
from segdrop.inference.outputs import tables
from segdrop.inference.outputs.pictures import Bytes, Pictures
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.outputs.review_order import Candidate, review_order
from segdrop.inference.outputs.tables import Cell
from segdrop.inference.prediction import ImageRecord, Prediction

#: So many images are ranked, those of most doubt: memory does not grow with their number.
MOST_RANKED = 10_000
#: So many of the first have a picture in the page.
MOST_SHOWN = 200
_THUMBNAIL_WIDTH, _THUMBNAIL_HEIGHT = 260, 200
_GAP = 4
_QUALITY = 75
_DIGITS = 6
_MOST_CLASSES_SHOWN = 60


class _Ranked(NamedTuple):
    """What is kept of an image to rank it: compared by doubt, and of equal ones the earlier image counts more."""

    doubt: float
    minus_index: int
    record: ImageRecord


class Review:
    """A table of images, the one that is most worth correcting first, and a page with pictures of the first ones.

    Both are written whatever a request asks for. The order is that of
    :func:`~segdrop.inference.outputs.review_order.review_order`.
    """

    name = "review"

    def __init__(self, setting: Setting, pictures: Pictures) -> None:
        self._setting = setting
        self._pictures = pictures
        self._thumbnails = setting.scratch / "review.thumbnails"
        self._doubts: list[float] = []  # a heap of the largest so far

    def write(self, prediction: Prediction) -> list[int] | None:
        """Keeps a thumbnail of an image that may be among the ranked, and returns its place: where it begins, its
        bytes.
        """
        if len(self._doubts) < MOST_RANKED:
            heapq.heappush(self._doubts, prediction.doubt)
        elif prediction.doubt < self._doubts[0]:
            return None
        else:
            heapq.heapreplace(self._doubts, prediction.doubt)
        content = _jpeg(thumbnail(self._pictures, prediction))
        self._thumbnails.parent.mkdir(parents=True, exist_ok=True)
        with self._thumbnails.open("ab") as stream:
            start = stream.tell()
            stream.write(content)
        return [start, len(content)]

    def finish(self, records: Records) -> None:
        """Writes the table and the page."""
        ranked, total = self._most_doubtful(records)
        candidates = [Candidate(record.index, record.doubt, record.descriptor) for record in ranked]
        order = [ranked[position] for position in review_order(candidates)]
        is_video = any(record.seconds is not None for record in order)
        header = ["rank", "name", *["seconds"] * is_video, "doubt", "mean confidence"]
        tables.write(self._setting.folder / "review.csv", header, _rows(order, is_video=is_video))
        durable.write(self._setting.folder / "review.html", lambda stream: self._write_page(stream, order, total))

    def _most_doubtful(self, records: Records) -> tuple[list[ImageRecord], int]:
        """Returns the images of most doubt, without what other outputs noted of them, and the number of all images."""
        heap: list[_Ranked] = []
        total = 0
        for record in records():
            total += 1
            own = record.model_copy(update={"parts": {self.name: record.parts.get(self.name)}})
            ranked = _Ranked(record.doubt, -record.index, own)
            if len(heap) < MOST_RANKED:
                heapq.heappush(heap, ranked)
            elif ranked[:2] > heap[0][:2]:
                heapq.heapreplace(heap, ranked)
        return [ranked.record for ranked in heap], total

    def _write_page(self, stream: BinaryIO, order: list[ImageRecord], total: int) -> None:
        named = list(zip(self._setting.classes, self._setting.colours, strict=True))
        values = {
            "model": self._setting.model,
            "classes": [(name, "#{:02x}{:02x}{:02x}".format(*colour)) for name, colour in named[:_MOST_CLASSES_SHOWN]],
            "num_more_classes": max(0, len(named) - _MOST_CLASSES_SHOWN),
            "total": total,
            "num_ranked": len(order),
            "num_shown": min(len(order), MOST_SHOWN),
            "images": self._shown(order[:MOST_SHOWN]),
        }
        stream.writelines(piece.encode("utf-8", "replace") for piece in _template().generate(values))

    def _shown(self, order: list[ImageRecord]) -> Iterator[dict[str, Any]]:
        for rank, record in enumerate(order, start=1):
            content = _read(self._thumbnails, record.parts.get(self.name))
            yield {
                "rank": rank,
                "name": record.name,
                "seconds": record.seconds,
                "doubt": record.doubt,
                "mean_confidence": record.mean_confidence,
                "size": f"{record.width} x {record.height}",
                "thumbnail": base64.b64encode(content).decode("ascii") if content else "",
            }


def _rows(order: list[ImageRecord], *, is_video: bool) -> Iterator[list[Cell]]:
    for rank, record in enumerate(order, start=1):
        seconds: list[Cell] = [record.seconds] if is_video else []
        numbers: list[Cell] = [round(record.doubt, _DIGITS), round(record.mean_confidence, _DIGITS)]
        yield [rank, record.name, *seconds, *numbers]


def thumbnail(pictures: Pictures, prediction: Prediction) -> Bytes:
    """Returns a small picture of an image and, beside it, of its overlay."""
    image, class_ids = prediction.item.image, prediction.class_ids
    height, width = class_ids.shape
    scale = min(1.0, _THUMBNAIL_WIDTH / width, _THUMBNAIL_HEIGHT / height)
    small_height, small_width = max(1, round(height * scale)), max(1, round(width * scale))
    step = max(1, int(0.5 / scale))  # of a large photograph a part of the pixels is enough
    thinned = Image.fromarray(np.ascontiguousarray(image[::step, ::step]))
    small = np.asarray(thinned.resize((small_width, small_height), Image.Resampling.BILINEAR))
    rows = (np.arange(small_height) * height + height // 2) // small_height
    columns = (np.arange(small_width) * width + width // 2) // small_width
    overlaid = pictures.blended(small, class_ids[np.ix_(rows, columns)])
    gap = np.full((small_height, _GAP, 3), 255, np.uint8)
    return np.concatenate([small, gap, overlaid], axis=1)


def _jpeg(pixels: Bytes) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()


def _read(path: Path, place: list[int] | None) -> bytes:
    """Returns a thumbnail by its place; nothing where the image has none."""
    if place is None:
        return b""
    start, size = place
    with path.open("rb") as stream:
        stream.seek(start)
        return stream.read(size)


def _template() -> jinja2.Template:
    """Returns the page. What is filled in is escaped: names are other people's text."""
    loader = jinja2.PackageLoader("segdrop.inference.outputs")
    templates = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return templates.get_template("review.html.jinja")
