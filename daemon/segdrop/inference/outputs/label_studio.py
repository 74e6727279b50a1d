"""Label Studio: tasks with predictions, and the labelling configuration that fits them.

Source: Label Studio's documentation, "Import pre-annotated data"; label-studio-sdk, ``converter/brush.py``. Regions are
polygons in percent of the image, later ones on top, so that regions fill the holes of those around them. A polygon has
no holes: a region in which the background shows is a brush stroke.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np

from segdrop.inference.outputs import files, json_stream, run_lengths
from segdrop.inference.outputs.annotated_classes import annotated_classes, guide, image_name
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.outputs.regions import Region, Tracing
from segdrop.inference.prediction import ImageRecord, Prediction

_LOCAL_FILES = "/data/local-files/?d="
_PERCENT = 100
_IMPORT = """\
Label Studio
============
1. Let Label Studio serve the folder of your images, with the folders in it as in your input:
   LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED=true LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT=/path/of/the/images
   label-studio start
2. Create a project. Settings > Labeling Interface > Code: paste labelling.xml. Settings > Cloud Storage >
   Add Source Storage > Local files: a folder within that path (without it, Label Studio serves nothing).
3. Import tasks.json. Each task has a prediction, with the model's name and its mean confidence as the score.
   If your images are elsewhere, change what stands before their names in tasks.json.
4. Correct them. Later regions lie on top. Regions in which the background shows are brush strokes.
5. Export as JSON and pack it with the images: the ZIP can be dropped as it is, to train on.
"""


class LabelStudioOutput:
    """Writes ``label_studio/tasks.json`` and ``label_studio/labelling.xml``."""

    name = "label_studio"

    def __init__(self, setting: Setting, tracing: Tracing | None = None) -> None:
        self._folder = setting.folder / self.name
        self._setting = setting
        self._classes = annotated_classes(setting)
        self._tracing = tracing or Tracing(setting)

    def write(self, prediction: Prediction) -> list[dict[str, Any]]:
        """Returns the results of an image."""
        height, width = prediction.class_ids.shape
        regions = self._tracing(prediction)
        return [self._result(region, place, height, width) for place, region in enumerate(regions)]

    def finish(self, records: Records) -> None:
        """Writes the files."""
        json_stream.write_list(self._folder / "tasks.json", self._tasks(records))
        files.write(self._folder, "labelling", ".xml", self._configuration().encode())
        files.write(self._folder, "import", ".txt", guide(_IMPORT))

    def _tasks(self, records: Records) -> Iterator[dict[str, Any]]:
        for record in records():
            prediction = {
                "model_version": self._setting.model,
                "score": round(record.mean_confidence, 4),
                "result": record.parts[self.name],
            }
            yield {"data": {"image": _address(record)}, "predictions": [prediction]}

    def _configuration(self) -> str:
        labels = "".join(
            f"    <Label value={quoteattr(known.name)} background={quoteattr(known.colour)}/>\n"
            for known in self._classes.values()
        )
        return (
            '<View>\n  <Image name="image" value="$image" zoom="true"/>\n'
            f'  <PolygonLabels name="polygon" toName="image">\n{labels}  </PolygonLabels>\n'
            f'  <BrushLabels name="brush" toName="image">\n{labels}  </BrushLabels>\n</View>\n'
        )

    def _result(self, region: Region, place: int, height: int, width: int) -> dict[str, Any]:
        label = self._classes[region.class_id].name
        if region.is_united or region.shows_background:
            kind, value = "brush", _brush(region, height, width)
        else:
            points = region.outline * (_PERCENT / width, _PERCENT / height)
            kind, value = "polygon", {"points": points.round(6).tolist(), "closed": True}
        return {
            "id": f"r{place}",
            "type": f"{kind}labels",
            "from_name": kind,
            "to_name": "image",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": round(region.confidence, 4),
            "value": {**value, f"{kind}labels": [label]},
        }


def _address(record: ImageRecord) -> str:
    """Returns where Label Studio serves an image of the folder that it is allowed to."""
    return _LOCAL_FILES + quote(image_name(record.name), errors="surrogatepass")


def _brush(region: Region, height: int, width: int) -> dict[str, Any]:
    rows, columns = np.nonzero(region.mask())
    positions = (rows + region.top) * width + columns + region.left
    return {"format": "rle", "rle": run_lengths.brush(run_lengths.lengths(positions, height * width))}
