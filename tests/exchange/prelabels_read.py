"""``python prelabels_read.py TOOL FOLDER MASKS.npz``, by the Python of an environment that has the tools.

Reads pre-labels with a tool's own code, and writes what they are to it: ``names`` of images, ``masks`` (N, H, W) of
places among the labels, from 1, and ``labels`` in the tool's order.
"""

# ruff: noqa: PLC0415  (each tool is imported where it is asked)

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

import numpy as np

Read = Iterator[tuple[str, np.ndarray]]


def main() -> None:
    tool, folder = sys.argv[1], Path(sys.argv[2])
    labels, read = {
        "coco": lambda: datumaro(folder, "coco_instances"),
        "cvat": lambda: datumaro(folder, "cvat"),
        "labelme": lambda: labelme(folder),
        "label_studio": lambda: label_studio(folder),
        "yolo": lambda: ultralytics(folder),
    }[tool]()
    names, masks = zip(*read, strict=True)
    np.savez(sys.argv[3], names=np.array(names), masks=np.stack(masks), labels=np.array(labels))


def datumaro(folder: Path, kind: str) -> tuple[list[str], Read]:
    """Masks of datumaro's annotations, painted by ``z_order``, the larger first where that is the same."""
    from datumaro.components.annotation import AnnotationType
    from datumaro.components.dataset import Dataset
    from datumaro.components.dataset_base import DatasetItem
    from datumaro.util.mask_tools import rles_to_mask

    def image(item: DatasetItem) -> np.ndarray:
        height, width = item.media.size
        found = np.zeros((height, width), np.uint8)
        for area in sorted(item.annotations, key=lambda area: (area.z_order, -area.get_area())):
            if area.type is AnnotationType.polygon:
                found[np.asarray(rles_to_mask([area.points], width, height), bool)] = area.label + 1
            elif area.type is AnnotationType.mask:
                found[np.asarray(area.image, bool)] = area.label + 1
        return found

    dataset = Dataset.import_from(str(folder), kind)
    labels = [label.name for label in dataset.categories()[AnnotationType.label]]
    return labels, ((f"{item.id}.png", image(item)) for item in dataset)


def labelme(folder: Path) -> tuple[list[str], Read]:
    """Labels as LabelMe's ``shapes_to_label`` makes them of what its loader reads."""
    from labelme._label_file import LabelFile
    from labelme.utils import shapes_to_label

    labels = (folder / "labels.txt").read_text().splitlines()
    values = {name: place for place, name in enumerate(labels, start=1)}

    def images() -> Read:
        for path in sorted(folder.rglob("*.json")):
            file = LabelFile(str(path))
            content = json.loads(path.read_text())
            found, _ = shapes_to_label((content["imageHeight"], content["imageWidth"]), file.shapes, values)
            yield (path.parent / file.imagePath).relative_to(folder).as_posix(), found.astype(np.uint8)

    return labels, images()


def label_studio(folder: Path) -> tuple[list[str], Read]:
    """Polygons in percent as datumaro's polygons, brush strokes by the converter's decoder, in the order of the list.

    The configuration has to be valid, and each prediction valid in it.
    """
    from datumaro.util.mask_tools import rles_to_mask
    from label_studio_sdk.converter import brush
    from label_studio_sdk.label_interface import LabelInterface

    interface = LabelInterface((folder / "labelling.xml").read_text())
    interface.validate()
    labels = list(interface.get_control("polygon").labels)
    assert labels == list(interface.get_control("brush").labels)

    def images() -> Read:
        for task in json.loads((folder / "tasks.json").read_text()):
            (prediction,) = task["predictions"]
            assert not interface.validate_prediction(prediction, return_errors=True)
            assert prediction["model_version"]
            found = None
            for result in prediction["result"]:
                height, width, value = result["original_height"], result["original_width"], result["value"]
                found = np.zeros((height, width), np.uint8) if found is None else found
                if result["type"] == "polygonlabels":
                    points = np.array(value["points"]) * (width / 100, height / 100)
                    covered = rles_to_mask([points.reshape(-1).tolist()], width, height)
                else:
                    covered = brush.decode_rle(value["rle"]).reshape(height, width, 4)[..., 3]
                found[np.asarray(covered, bool)] = labels.index(value[result["type"]][0]) + 1
            yield unquote(task["data"]["image"].partition("?d=")[2]), found

    return labels, images()


def ultralytics(folder: Path) -> tuple[list[str], Read]:
    """Polygons filled as Ultralytics does before training (``data/utils.py``, ``polygon2mask``), the larger first."""
    import cv2
    import yaml
    from PIL import Image

    data = yaml.safe_load((folder / "data.yaml").read_text())

    def images() -> Read:
        for path in sorted((folder / "labels").rglob("*.txt")):
            name = path.relative_to(folder / "labels").with_suffix(".png").as_posix()
            width, height = Image.open(folder / data["train"] / name).size
            drawn = []
            for line in path.read_text().splitlines():
                number, *fractions = line.split()
                outline = np.array(fractions, float).reshape(-1, 2) * (width, height)
                covered = np.zeros((height, width), np.uint8)
                cv2.fillPoly(covered, [np.asarray(outline, np.int32)], 1)
                drawn.append((covered, int(number)))
            found = np.zeros((height, width), np.uint8)
            for covered, number in sorted(drawn, key=lambda entry: -int(entry[0].sum())):
                found[covered > 0] = number + 1
            yield name, found

    return list(data["names"].values()), images()


main()
