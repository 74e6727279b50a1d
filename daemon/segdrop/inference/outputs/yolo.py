"""YOLO segmentation: a text file for each image, a line for each region: a class number and an outline in fractions.

Source: docs.ultralytics.com, "Instance Segmentation Datasets Overview". A line has no holes: the outline goes into each
hole and out again, as Ultralytics joins the parts of an object (``ultralytics/data/converter.py``,
``merge_multi_segment``).
"""

import json
from collections.abc import Iterator

import numpy as np

from segdrop.inference.outputs import files
from segdrop.inference.outputs.annotated_classes import annotated_classes, guide, line
from segdrop.inference.outputs.outlines import INSET
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.outputs.regions import Region, Tracing
from segdrop.inference.prediction import Prediction

_CORNERS_OF_BOX = 4
_IMPORT = """\
YOLO segmentation
=================
1. Put your images into the folder images/ beside labels/, with the same folders and names as the files there.
2. CVAT: Actions > Upload annotations > Ultralytics YOLO Segmentation 1.0, with this folder as a ZIP.
   Ultralytics itself: yolo segment train data=data.yaml
3. An outline goes into each hole of a region and out again: a line has no other holes.
"""


class YoloOutput:
    """Writes ``yolo/labels/STEM.txt`` for each image, ``yolo/data.yaml`` and ``yolo/classes.txt``."""

    name = "yolo"

    def __init__(self, setting: Setting, tracing: Tracing | None = None) -> None:
        self._folder = setting.folder / self.name
        self._classes = annotated_classes(setting)
        self._tracing = tracing or Tracing(setting)

    def write(self, prediction: Prediction) -> None:
        """Writes the file of an image; one without regions is empty."""
        height, width = prediction.class_ids.shape
        lines = (line for region in self._tracing(prediction) for line in self._lines(region, height, width))
        files.write(self._folder / "labels", prediction.item.stem, ".txt", "".join(lines).encode())

    def finish(self, records: Records) -> None:  # noqa: ARG002  (the images have files of their own)
        """Writes the lists of classes."""
        names = [line(known.name) for known in self._classes.values()]
        quoted = "".join(f"  {place}: {json.dumps(name, ensure_ascii=False)}\n" for place, name in enumerate(names))
        content = f"path: .\ntrain: images\nval: images\nnames:\n{quoted}"
        files.write(self._folder, "data", ".yaml", content.encode())
        files.write(self._folder, "classes", ".txt", "".join(f"{name}\n" for name in names).encode())
        files.write(self._folder, "import", ".txt", guide(_IMPORT))

    def _lines(self, region: Region, height: int, width: int) -> Iterator[str]:
        """Yields the line of a region; of one that unites small ones, a line for each run within a row."""
        number = self._classes[region.class_id].place
        for coordinates in (
            _rectangles(region, height, width) if region.is_united else [_outline(region, height, width)]
        ):
            yield f"{number} {coordinates}\n"


def _outline(region: Region, height: int, width: int) -> str:
    """Returns the coordinates of a region's outline.

    A line of four corners could be read as a turned box: a rectangle gets a fifth point, on its first side.
    """
    points = region.cut_outline()
    if len(points) == _CORNERS_OF_BOX:
        points = np.insert(points, 1, points[:2].mean(axis=0), axis=0)
    return " ".join(map(_number, (points / (width, height)).reshape(-1).tolist()))


def _rectangles(region: Region, height: int, width: int) -> Iterator[str]:
    """Yields the coordinates of a rectangle, with a fifth point, for each run of pixels within a row.

    There may be millions of them: each number is made once.
    """
    change = np.diff(np.pad(region.mask(), ((0, 0), (1, 1))).astype(np.int8), axis=1)
    rows, starts = np.nonzero(change == 1)
    ends = np.nonzero(change == -1)[1]
    across = [_number((region.left + half / 2) / width) for half in range(2 * region.width + 1)]
    lefts = [_number((region.left + column + INSET) / width) for column in range(region.width)]
    rights = [_number((region.left + column - INSET) / width) for column in range(region.width + 1)]
    tops = [_number((region.top + row + INSET) / height) for row in range(region.height)]
    bottoms = [_number((region.top + row + 1 - INSET) / height) for row in range(region.height)]
    for row, start, end in zip(rows.tolist(), starts.tolist(), ends.tolist(), strict=True):
        left, right, top, bottom = lefts[start], rights[end], tops[row], bottoms[row]
        yield f"{left} {top} {across[start + end]} {top} {right} {top} {right} {bottom} {left} {bottom}"


def _number(fraction: float) -> str:
    return f"{fraction:.7f}"
