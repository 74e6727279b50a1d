"""COCO instances: one JSON of images, categories and annotations, for each region one.

Source: cocodataset.org, "Data format"; pycocotools. A polygon of COCO has no holes: regions that have some are run
lengths, as in the whole file where that is asked for.
"""

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from segdrop import __version__
from segdrop.inference.outputs import files, json_stream, run_lengths
from segdrop.inference.outputs.annotated_classes import annotated_classes, guide, image_name, plain
from segdrop.inference.outputs.outlines import Points
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.outputs.regions import Region, Tracing
from segdrop.inference.prediction import ImageRecord, Prediction

Segmentation = Literal["polygons", "rle"]

_FILE = "annotations/instances_default.json"
_IMPORT = """\
COCO instances
==============
annotations/instances_default.json has one annotation for each connected region of a class; images are
called as in your input. An annotation is a polygon, or, with holes or on request ("coco_segmentation":
"rle"), run lengths as pycocotools packs them. Annotations with "iscrowd": 1 unite the regions of a class
that are too many and too small to be corrected one by one. "score" is the model's mean confidence.

CVAT:         create a task with your images, then Actions > Upload annotations > COCO 1.0, and choose the JSON.
FiftyOne:     fo.Dataset.from_dir(dataset_type=fo.types.COCODetectionDataset, data_path=IMAGES,
              labels_path="annotations/instances_default.json", label_types=["segmentations"])
pycocotools:  COCO("annotations/instances_default.json")
"""


class CocoOutput:
    """Writes ``coco/annotations/instances_default.json``."""

    name = "coco"

    def __init__(
        self, setting: Setting, tracing: Tracing | None = None, segmentation: Segmentation = "polygons"
    ) -> None:
        self._folder = setting.folder / self.name
        self._setting = setting
        self._classes = annotated_classes(setting)
        self._tracing = tracing or Tracing(setting)
        self._segmentation = segmentation

    def write(self, prediction: Prediction) -> list[dict[str, Any]]:
        """Returns the annotations of an image, without the ids of their own and of the image."""
        size = prediction.class_ids.shape
        return [self._annotation(region, size[0], size[1]) for region in self._tracing(prediction)]

    def finish(self, records: Records) -> None:
        """Writes the file."""
        categories = [
            {"id": known.place + 1, "name": known.name, "supercategory": ""} for known in self._classes.values()
        ]
        content = {
            "info": {
                "description": plain(f"predictions of {self._setting.model}"),
                "version": f"segdrop {__version__}",
            },
            "licenses": [],
            "categories": categories,
            "images": (_image(record) for record in records()),
            "annotations": self._annotations(records),
        }
        json_stream.write_object(self._folder / _FILE, content)
        files.write(self._folder, "import", ".txt", guide(_IMPORT))

    def _annotations(self, records: Records) -> Iterator[dict[str, Any]]:
        """Yields all annotations, with ids from 1."""
        number = 0
        for record in records():
            for annotation in record.parts[self.name]:
                number += 1
                yield {"id": number, "image_id": record.index + 1, **annotation}

    def _annotation(self, region: Region, height: int, width: int) -> dict[str, Any]:
        is_polygon = self._segmentation == "polygons" and not region.is_united and not region.num_holes
        return {
            "category_id": self._classes[region.class_id].place + 1,
            "segmentation": _polygon(region.outline) if is_polygon else _rle(region, height, width),
            "area": region.num_pixels,
            "bbox": [region.left, region.top, region.width, region.height],
            "iscrowd": int(region.is_united),
            "score": round(region.confidence, 4),
        }


def _image(record: ImageRecord) -> dict[str, Any]:
    return {
        "id": record.index + 1,
        "file_name": image_name(record.name),
        "width": record.width,
        "height": record.height,
    }


def _polygon(outline: Points) -> list[list[float]]:
    return [outline.round(2).reshape(-1).tolist()]


def _rle(region: Region, height: int, width: int) -> dict[str, Any]:
    """Returns the run lengths of a region, which are counted down the columns of the whole image."""
    columns, rows = np.nonzero(region.mask().T)
    positions = (columns + region.left) * height + rows + region.top
    return {"size": [height, width], "counts": run_lengths.packed(run_lengths.lengths(positions, height * width))}
