"""LabelMe's JSON, byte by byte as its versions write it, with the masks that it means.

Sources: wkentaro/labelme ``labelme/_label_file.py`` (``LabelFile.save``: keys, their order, indent) and
``labelme/_utils/shape.py`` (``shapes_to_label``: order, place of a mask); version 3 had ``lineColor`` and
``fillColor``, and no ``shape_type``.
"""

import base64
import json
from typing import Any

import numpy as np

from builders.archives import encoded
from builders.exports.boxes import SIZE, Export, Exports, corners, painted, photo

LABELS = b"__ignore__\n_background_\ncat\ndog\nemu\n"


def shape(label: str, kind: str, points: Any, **more: Any) -> dict[str, Any]:
    return {
        "label": label, "points": points, "group_id": None, "description": "", "shape_type": kind, "flags": {},
        "mask": None, **more,
    }  # fmt: skip


def document(shapes: list[dict[str, Any]], image: str, version: str = "5.7.0", **more: Any) -> bytes:
    height, width = SIZE
    whole = {
        "version": version, "flags": {}, "shapes": shapes, **more, "imagePath": image, "imageData": None,
        "imageHeight": height, "imageWidth": width,
    }  # fmt: skip
    return json.dumps(whole, ensure_ascii=False, indent=2).encode()


def patch(covered: np.ndarray) -> str:
    """The image in a shape of type mask."""
    return base64.b64encode(encoded(covered.astype(np.uint8) * 255)).decode()


def version_5() -> Export:
    """Image and JSON side by side; all types of areas that have corners, painted in order; labels.txt above them."""
    covered = np.zeros((3, 4), bool)
    covered[:, 1:] = True
    content, expected = {"labels.txt": LABELS}, {}
    for number in range(3):
        shapes = [
            shape("cat", "rectangle", [[12, 12], [2 + number, 2]]),
            shape("dog", "polygon", corners((5, 5, 8, 8))),
            shape("dog", "mask", [[20.4, 4], [23.4, 6]], mask=patch(covered)),
            shape("emu", "oriented_rectangle", corners((20, 10, 28, 15))),
            shape("__ignore__", "polygon", corners((0, 18, 29, 19))),
        ]
        content[f"set/{number}.png"] = photo(number)
        content[f"set/{number}.json"] = document(shapes, f"{number}.png")
        expected[f"set/{number}.png"] = painted(
            ((2 + number, 2, 12, 12), 1), ((5, 5, 8, 8), 2), ((21, 4, 23, 6), 2), ((20, 10, 28, 15), 3),
            ((0, 18, 29, 19), 255),
        )  # fmt: skip
    return content, expected


def version_3() -> Export:
    """JSON in a folder of its own, with a path from Windows and the image inside; no types, all polygons."""
    content, expected = {}, {}
    for number in range(3):
        shapes = [
            {"label": name, "line_color": None, "fill_color": None, "points": corners(box), "flags": {}}
            for name, box in (("zebra", (1, 1, 20, 10)), ("ape", (4, 4, 6, 6 + number)))
        ]
        colours = {"lineColor": [0, 255, 0, 128], "fillColor": [255, 0, 0, 128]}
        whole = json.loads(document(shapes, f"..\\photos\\{number}.png", "3.16.7", **colours))
        whole["imageData"] = base64.b64encode(photo(number)).decode()
        content[f"labels/{number}.json"] = json.dumps(whole, indent=2).encode()
        content[f"photos/{number}.png"] = photo(number)
        expected[f"photos/{number}.png"] = painted(((1, 1, 20, 10), 2), ((4, 4, 6, 6 + number), 1))
    return content, expected


def split() -> Export:
    """The same names in folders of a split, and what `labelme_export_json` leaves beside them."""
    content, expected = {}, {}
    for side, name in (("train", "a"), ("train", "b"), ("val", "a")):
        box = (1, 1, 9, 9) if side == "train" else (11, 11, 19, 19)
        content[f"{side}/{name}.json"] = document([shape("cat", "polygon", corners(box))], f"{name}.png")
        content[f"{side}/{name}.png"] = photo(len(content))
        for by_product in ("img", "label", "label_viz"):
            content[f"{side}/{name}_json/{by_product}.png"] = photo(0)
        expected[f"{side}/{name}.png"] = painted((box, 1))
    return content, expected


EXPORTS: Exports = {"version 5": version_5, "version 3": version_3, "split": split}
