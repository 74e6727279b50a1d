"""CVAT for images 1.1: ``annotations.xml`` with the regions of all images.

Source: cvat-ai/cvat, ``cvat/apps/dataset_manager/formats/cvat.py`` (``create_xml_dumper``, ``load_anno``). Regions are
polygons that lie on top of those whose holes they fill (``z_order``). A polygon has no holes: a region in which the
background shows is a mask.
"""

from collections.abc import Iterator
from xml.sax.saxutils import escape, quoteattr

import numpy as np

from segdrop.inference.outputs import files, json_stream, run_lengths
from segdrop.inference.outputs.annotated_classes import annotated_classes, guide, image_name, plain
from segdrop.inference.outputs.protocol import Records, Setting
from segdrop.inference.outputs.regions import Region, Tracing
from segdrop.inference.prediction import ImageRecord, Prediction

_IMPORT = """\
CVAT for images 1.1
===================
1. Create a task with your images, called as in your input. Its labels: constructor "Raw", paste labels.json.
2. Actions > Upload annotations > CVAT 1.1, and choose annotations.xml.
3. Correct them. Regions on top hide those below: "z_order" is kept. Regions with holes in which the
   background shows are masks, to be edited with the brush; all others are polygons.
4. Export as "CVAT for images 1.1" with images: the ZIP can be dropped as it is, to train on.
"""


class CvatOutput:
    """Writes ``cvat/annotations.xml`` and ``cvat/labels.json``."""

    name = "cvat"

    def __init__(self, setting: Setting, tracing: Tracing | None = None) -> None:
        self._folder = setting.folder / self.name
        self._setting = setting
        self._classes = annotated_classes(setting)
        self._tracing = tracing or Tracing(setting)

    def write(self, prediction: Prediction) -> list[str]:
        """Returns the elements of an image."""
        regions = self._tracing(prediction)
        return [self._element(region, layer) for layer, region in enumerate(regions)]

    def finish(self, records: Records) -> None:
        """Writes the files."""
        json_stream.write_text(self._folder / "annotations.xml", self._document(records))
        labels = [
            {"name": known.name, "color": known.colour, "type": "any", "attributes": []}
            for known in self._classes.values()
        ]
        json_stream.write_list(self._folder / "labels.json", iter(labels))
        files.write(self._folder, "import", ".txt", guide(_IMPORT))

    def _document(self, records: Records) -> Iterator[str]:
        """Yields the document, image by image."""
        labels = "".join(
            f"<label><name>{escape(known.name)}</name><color>{known.colour}</color><type>any</type>"
            "<attributes></attributes></label>\n"
            for known in self._classes.values()
        )
        yield '<?xml version="1.0" encoding="utf-8"?>\n<annotations>\n<version>1.1</version>\n'
        yield f"<meta>\n<task>\n<name>{escape(plain(self._setting.model))}</name>\n"
        yield f"<labels>\n{labels}</labels>\n</task>\n</meta>\n"
        for record in records():
            yield f"{_image(record)}\n"
            yield from (f"{element}\n" for element in record.parts[self.name])
            yield "</image>\n"
        yield "</annotations>\n"

    def _element(self, region: Region, layer: int) -> str:
        label = quoteattr(self._classes[region.class_id].name)
        if region.is_united or region.shows_background:
            height, width = region.height, region.width
            runs = run_lengths.lengths(np.flatnonzero(region.mask()), height * width)
            return (
                f'<mask label={label} source="auto" occluded="0" rle="{", ".join(map(str, runs))}" '
                f'left="{region.left}" top="{region.top}" width="{width}" height="{height}" z_order="{layer}"></mask>'
            )
        points = ";".join(f"{x:.2f},{y:.2f}" for x, y in region.outline.tolist())
        return f'<polygon label={label} source="auto" occluded="0" points="{points}" z_order="{layer}"></polygon>'


def _image(record: ImageRecord) -> str:
    name = quoteattr(plain(image_name(record.name)))
    return f'<image id="{record.index}" name={name} width="{record.width}" height="{record.height}">'
