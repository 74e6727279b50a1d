"""Supervisely projects, as its SDK writes them, with the masks that they mean.

Sources: supervisely/supervisely ``project/project.py`` (``meta.json``, ``img/`` and ``ann/`` in each dataset),
``annotation/annotation.py`` and ``label.py`` (keys), ``geometry/bitmap.py`` (``data_2_base64``: a PNG with a palette of
black and white, black transparent, packed by zlib), ``geometry/polygon.py`` (holes), ``rectangle.py`` (corners).
"""

import base64
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from builders.archives import encoded
from builders.exports.coco import SIZE, photo

Export = tuple[dict[str, bytes], dict[str, np.ndarray]]


def corners(x0: int, y0: int, x1: int, y1: int) -> list[list[int]]:
    return [[x0, y0], [x1, y0], [x1, y1], [x0, y1]]


def figure(kind: str, title: str, **more: Any) -> dict[str, Any]:
    """An object, in the order of its keys."""
    return {
        "id": 497521359, "classId": 1661571, "objectId": None, "description": "", "geometryType": kind,
        "labelerLogin": "alexxx", "createdAt": "2020-08-07T11:09:51.054Z", "updatedAt": "2020-08-07T11:09:51.054Z",
        "tags": [], "classTitle": title, **more,
    }  # fmt: skip


def polygon(title: str, exterior: Sequence[Any], *interior: Sequence[Any]) -> dict[str, Any]:
    return figure("polygon", title, points={"exterior": list(exterior), "interior": list(interior)})


def rectangle(title: str, x0: int, y0: int, x1: int, y1: int) -> dict[str, Any]:
    return figure("rectangle", title, points={"exterior": [[x0, y0], [x1, y1]], "interior": []})


def bitmap(title: str, left: int, top: int, covered: np.ndarray, *, is_packed: bool = True) -> dict[str, Any]:
    image = Image.fromarray(covered.astype(np.uint8))
    image.putpalette([0, 0, 0, 255, 255, 255])
    png = encoded(image, transparency=0, optimize=0)
    data = base64.b64encode(zlib.compress(png) if is_packed else png).decode()
    return figure("bitmap", title, bitmap={"data": data, "origin": [left, top]})


def annotation(*objects: dict[str, Any], tags: Sequence[str] = ()) -> bytes:
    height, width = SIZE
    named = [{"id": 86458971, "tagId": 283, "name": tag, "value": None, "labelerLogin": "alexxx"} for tag in tags]
    whole = {"description": "", "tags": named, "size": {"height": height, "width": width}, "objects": list(objects)}
    return json.dumps(whole).encode()


def meta(*titles: str, shape: str = "any") -> bytes:
    classes = [
        {"id": i, "title": title, "shape": shape, "color": "#A30D83", "hotkey": ""} for i, title in enumerate(titles)
    ]
    tags = [{"id": 283, "name": "train", "value_type": "none", "color": "#FF0000"}]
    return json.dumps({"classes": classes, "tags": tags, "projectType": "images"}).encode()


#: as wide as high, with a notch: rows and columns cannot be exchanged
BLOT = np.pad(np.ones((4, 6), bool), ((0, 2), (0, 0)))
BLOT[0, 0] = False


def project() -> Export:
    """Two datasets with an image of the same name; a hole, a bitmap over a polygon, a rectangle, and nothing at all."""
    content = {"project/meta.json": meta("kiwi", "lemon", "unused"), "project/key_id_map.json": b"{}"}
    expected = {}
    for number, dataset in enumerate(("ds1", "ds2")):
        for name in ("a.b.png", "empty.png"):
            content[f"project/{dataset}/img/{name}"] = photo(number)
        hole = corners(8, 8, 12, 12)
        objects = [
            polygon("lemon", corners(2, 2, 20, 20), hole),
            bitmap("kiwi", 15 + number, 3, BLOT, is_packed=not number),
            rectangle("kiwi", 40, 1, 50, 9),
        ]
        content[f"project/{dataset}/ann/a.b.png.json"] = annotation(*objects)
        content[f"project/{dataset}/ann/empty.png.json"] = annotation()
        mask = np.zeros(SIZE, np.uint8)
        mask[2:21, 2:21] = 2
        mask[8:13, 8:13] = 0
        mask[3:9, 15 + number : 21 + number][BLOT] = 1
        mask[1:10, 40:51] = 1
        expected |= {
            f"project/{dataset}/img/a.b.png": mask,
            f"project/{dataset}/img/empty.png": np.zeros(SIZE, np.uint8),
        }
    return content, expected


def tagged() -> Export:
    """An old project: no geometry in the objects, but an empty one of the other kind; tags for the split."""
    content = {"meta.json": meta("neutral", "road")}
    expected = {}
    for number, side in enumerate(("train", "train", "val", "test")):
        drawn = polygon("road", corners(1, 1, 9, 9)) | {"bitmap": None}
        blot = bitmap("road", 30, 5, BLOT) | {"points": {"exterior": [], "interior": []}}
        for entry in (drawn, blot):
            del entry["geometryType"]
        content[f"set/ann/{number}.json"] = annotation(drawn, blot, tags=(side, "checked"))
        content[f"set/img/{number}.png"] = photo(number)
        mask = np.zeros(SIZE, np.uint8)
        mask[1:10, 1:10] = 2
        mask[5:11, 30:36][BLOT] = 2
        expected[f"set/img/{number}.png"] = mask
    return content, expected


EXPORTS: dict[str, Callable[[], Export]] = {"project": project, "tagged": tagged}
