"""LabelMe: a JSON for each image, with polygons in the order of painting.

Source: labelme, ``_label_file.py`` and ``utils/shape.py`` (``shapes_to_label``): later shapes lie on top of earlier
ones, so that regions fill the holes of those around them. Where the background shows, the outline goes into the hole
and out again; a region with many such holes is a mask, a PNG from the box's first pixel to its last.
"""

import base64
import io
import json
from typing import Any

import numpy as np
from PIL import Image

from segdrop.inference.outputs import files
from segdrop.inference.outputs.annotated_classes import annotated_classes, guide, image_name, line, relative
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.outputs.regions import Region, Tracing
from segdrop.inference.prediction import Prediction

#: more cuts make an outline that nobody can edit
_MOST_CUT_HOLES = 20
_FORMAT_VERSION = "5.5.0"  #: one that has masks
_IMPORT = """\
LabelMe
=======
1. Copy the JSON files, with their folders, beside your images: each names its image.
2. labelme FOLDER --labels labels.txt
3. Correct them. Later shapes lie on top of earlier ones. A region in which the background shows has an
   outline that goes into the hole and out again; with many holes it is a mask.
4. Pack the images and the JSON files: the ZIP can be dropped as it is, to train on.
"""


class LabelMeOutput:
    """Writes ``labelme/STEM.json`` for each image, and ``labelme/labels.txt``."""

    name = "labelme"

    def __init__(self, setting: Setting, tracing: Tracing | None = None) -> None:
        self._folder = setting.folder / self.name
        self._classes = annotated_classes(setting)
        self._tracing = tracing or Tracing(setting)

    def write(self, prediction: Prediction) -> None:
        """Writes the file of an image."""
        item, (height, width) = prediction.item, prediction.class_ids.shape
        content = {
            "version": _FORMAT_VERSION,
            "flags": {},
            "shapes": [self._shape(region) for region in self._tracing(prediction)],
            "imagePath": relative(image_name(item.name), item.stem),
            "imageData": None,
            "imageHeight": height,
            "imageWidth": width,
        }
        text = json.dumps(content, separators=(",", ":"), allow_nan=False)
        files.write(self._folder, item.stem, ".json", text.encode())

    def finish(self, records: Records) -> None:  # noqa: ARG002  (the images have files of their own)
        """Writes the list of labels."""
        names = "".join(f"{line(known.name)}\n" for known in self._classes.values())
        files.write(self._folder, "labels", ".txt", names.encode())
        files.write(self._folder, "import", ".txt", guide(_IMPORT))

    def _shape(self, region: Region) -> dict[str, Any]:
        label = self._classes[region.class_id].name
        shape: dict[str, Any] = {
            "label": label,
            "group_id": None,
            "description": f"confidence {region.confidence:.2f}",
            "flags": {},
        }
        if region.is_united or (region.shows_background and region.num_holes > _MOST_CUT_HOLES):
            last = [region.left + region.width - 1, region.top + region.height - 1]
            corners = [[region.left, region.top], last]
            return shape | {"points": corners, "shape_type": "mask", "mask": _png(region)}
        outline = region.cut_outline() if region.shows_background else region.outline
        return shape | {"points": outline.round(2).tolist(), "shape_type": "polygon", "mask": None}


def _png(region: Region) -> str:
    """Returns the mask of a region's box as a PNG of one bit a pixel, in base64."""
    stream = io.BytesIO()
    Image.fromarray(np.where(region.mask(), np.uint8(1), np.uint8(0))).save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()
