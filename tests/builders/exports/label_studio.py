"""Label Studio's exports, as it writes them, with the masks that they mean.

Sources: HumanSignal/label-studio-converter ``label_studio_converter/converter.py`` (``convert_to_json_min``) and
``brush.py`` (``encode_rle``: the code of brushes; ``save_brush_images_from_annotation``: names of the PNG files);
Label Studio's documentation, "Label Studio JSON format of annotated tasks".
"""

import base64
import json
from itertools import groupby
from typing import Any

import numpy as np

from builders.archives import encoded
from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo

#: bits of a run's length, by the number in front of it
_WIDTHS = (3, 4, 8, 16)


def brush_code(covered: np.ndarray, *, colour: tuple[int, int, int] = (0, 0, 0), literal: bool = False) -> list[int]:
    """Bytes for an RGBA image that is ``colour`` where it is covered.

    Runs of one repeated value, as the converter writes them; ``literal``: runs of different values, as the browser
    does where they change.
    """
    pixels = np.zeros((*covered.shape, 4), np.uint8)
    pixels[covered] = (*colour, 255)
    values = pixels.ravel().tolist()
    bits = [f"{len(values):032b}{7:05b}", *(f"{width - 1:04b}" for width in _WIDTHS)]
    if literal:
        for start in range(0, len(values), 1 << 16):
            part = values[start : start + (1 << 16)]
            bits.append(f"011{len(part) - 1:016b}" + "".join(f"{value:08b}" for value in part))
    for value, run in [] if literal else groupby(values):
        length = len(list(run))
        while length:
            part = min(length, 1 << 16)
            choice = next(i for i, width in enumerate(_WIDTHS) if part <= 1 << width)
            bits.append(f"1{choice:02b}{part - 1:0{_WIDTHS[choice]}b}{value:08b}")
            length -= part
    text = "".join(bits)
    text += "0" * (8 - len(text) % 8)
    return [int(text[start : start + 8], 2) for start in range(0, len(text), 8)]


def percent(box: Box) -> list[list[float]]:
    height, width = SIZE
    return [[100 * x / width, 100 * y / height] for x, y in corners(box)]


def result(number: int, kind: str, value: dict[str, Any], **more: Any) -> dict[str, Any]:
    height, width = SIZE
    return {
        "original_width": width, "original_height": height, "image_rotation": 0, "value": value, "id": f"r{number}",
        "from_name": "tag", "to_name": "image", "type": kind, "origin": "manual", **more,
    }  # fmt: skip


def polygon(number: int, label: str, box: Box, **more: Any) -> dict[str, Any]:
    value = {"points": percent(box), "closed": True, "polygonlabels": [label]}
    return result(number, "polygonlabels", value, **more)


def brush(number: int, label: str, covered: np.ndarray, *, literal: bool = False) -> dict[str, Any]:
    code = brush_code(covered, colour=(80, 3, 200) if literal else (0, 0, 0), literal=literal)
    return result(number, "brushlabels", {"format": "rle", "rle": code, "brushlabels": [label]})


def bitmask(number: int, label: str, covered: np.ndarray, mode: str = "RGBA") -> dict[str, Any]:
    """A PNG of the whole image: transparent where nothing is drawn, or black (``opaque``, grey, 1 bit), or "rle"."""
    value: dict[str, Any] = {"bitmasklabels": [label]}
    if mode == "rle":
        value |= {"format": "rle", "rle": brush_code(covered)}
    else:
        pixels = np.zeros((*covered.shape, 4), np.uint8)
        pixels[covered] = (255, 60, 0, 255)
        if mode == "opaque":
            pixels[..., 3] = 255
        grey = (255 * covered).astype(np.uint8) if mode == "L" else covered
        content = encoded(grey if mode in ("L", "1") else pixels)
        value["imageDataURL"] = f"data:image/png;base64,{base64.b64encode(content).decode()}"
    return result(number, "bitmasklabels", value)


def annotation(number: int, results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": number, "completed_by": 1, "result": results, "was_cancelled": False, "ground_truth": False,
        "created_at": "2024-05-17T10:00:00.000000Z", "lead_time": 12.3, "prediction": {}, "result_count": 0, **more,
    }  # fmt: skip


def task(number: int, image: str, annotations: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "id": number, "annotations": annotations, "file_upload": image.rpartition("/")[2], "drafts": [],
        "predictions": [], "data": {"image": image}, "meta": {}, "project": 1, "updated_by": 1, **more,
    }  # fmt: skip


CAR, ROAD, SKY = (4, 4, 8, 8), (2, 2, 20, 12), (22, 0, 28, 5)


def results(shift: int) -> list[dict[str, Any]]:
    x0, y0, x1, y1 = SKY
    sky = np.zeros(SIZE, bool)
    sky[y0 : y1 + 1, x0 : x1 + 1] = True
    return [
        polygon(0, "Road", (ROAD[0], ROAD[1], ROAD[2] + shift, ROAD[3])),
        polygon(1, "Car", CAR),
        brush(2, "Sky", sky, literal=shift == 1),
        result(
            3, "rectanglelabels", {"x": 1, "y": 1, "width": 9, "height": 9, "rotation": 0, "rectanglelabels": ["Car"]}
        ),
        result(4, "choices", {"choices": ["sunny"]}),
    ]


def _expected(shift: int) -> np.ndarray:
    """By name: Car 1, Road 2, Sky 3."""
    return painted(((ROAD[0], ROAD[1], ROAD[2] + shift, ROAD[3]), 2), (CAR, 1), (SKY, 3))


def full() -> Export:
    """JSON: uploads with their marks, a second annotator, a skipped first one, predictions, a task nobody labelled."""
    wrong = [polygon(0, "Car", (0, 0, 29, 19))]
    tasks = [
        task(1, "/data/upload/1/8a7c2f1d-0.png", [annotation(1, results(0)), annotation(2, wrong)]),
        task(2, "/data/upload/1/11111111-1.png", [annotation(3, wrong, was_cancelled=True), annotation(4, results(1))]),
        task(3, "/data/local-files/?d=shots/2.png", [annotation(5, results(2))], predictions=[{"result": wrong}]),
        task(4, "/data/upload/1/22222222-3.png", [], predictions=[{"result": wrong}]),
    ]
    content = {"project-1-at-2024-05-17-10-00-5e0b3a9c.json": json.dumps(tasks).encode()}
    content |= {f"images/{i}.png": photo(i) for i in (0, 2)}
    content |= {"images/11111111-1.png": photo(1), "images/3.png": photo(3)}
    return content, {f"images/{name}.png": _expected(i) for i, name in enumerate(("0", "11111111-1", "2"))}


def minimal() -> Export:
    """JSON-MIN: a record for each annotator, with values only."""
    records = []
    for number in range(3):
        for shift in (number, 0):
            values = [
                {**{key: entry[key] for key in ("original_width", "original_height")}, **entry["value"]}
                for entry in results(shift)
                if entry["type"] != "choices"
            ]
            records.append({
                "image": f"s3://bucket/shots/{number}.png", "id": number, "tag": values, "weather": "sunny",
                "annotator": 1, "annotation_id": len(records), "created_at": "2024-05-17T10:00:00.000000Z",
                "updated_at": "2024-05-17T10:00:00.000000Z", "lead_time": 1.5,
            })  # fmt: skip
    content = {"result.json": json.dumps(records, indent=2).encode()} | {f"{i}.png": photo(i) for i in range(3)}
    return content, {f"{i}.png": _expected(i) for i in range(3)}


def completions() -> Export:
    """Of the first versions: a file for each task, ``completions``, no sizes; shape and label in two results."""
    content, expected = {}, {}
    for number in range(3):
        box = (1, 1, 9 + number, 9)
        shape = {"id": "a", "type": "polygon", "value": {"points": percent(box)}, "from_name": "p", "to_name": "i"}
        name = shape | {"type": "labels", "value": {"points": percent(box), "labels": ["Hello"]}}
        whole = {
            "id": number, "data": {"image": f"https://example.com/files/{number}.png?token=a.b"},
            "completions": [{"id": 1, "result": [shape, name]}], "predictions": [],
        }  # fmt: skip
        content[f"completions/{number}.json"] = json.dumps(whole, indent=2).encode()
        content[f"{number}.png"] = photo(number)
        expected[f"{number}.png"] = painted((box, 1))
    return content, expected


EXPORTS: Exports = {"json": full, "json-min": minimal, "completions": completions}


def masks() -> Export:
    """Brush labels to PNG, with images named after their tasks: one file a label, an annotator more for task 1."""
    content, expected = {}, {}
    for number in (1, 2, 10):
        image = f"task-{number}.png" if number == 2 else f"{number}.png"
        content[f"images/{image}"] = photo(number)
        for annotator, label, box in ((7, "Road", ROAD), (7, "dark-Car", CAR), (9, "Road", (0, 0, 29, 19))):
            name = f"task-{number}-annotation-{annotator}-by-{annotator}@x.org-tag-{label}-0.png"
            content[name] = encoded(painted((box, 255)))
        # sorted by name: Road 1, dark-Car 2; and painted by the names of the files
        expected[f"images/{image}"] = painted((ROAD, 1), (CAR, 2))
    return content, expected


MASK_EXPORTS: Exports = {"png": masks}
