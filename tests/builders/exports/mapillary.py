"""Mapillary Vistas as downloaded: mapillary/mapillary_vistas README, ``config_v1.2.json``, ``demo.py``."""

import json

from builders.exports.scenes import VOID, Export, areas, class_ids, grey, indexed, photo

#: name in the hierarchy, name for people, whether it is evaluated
FIRST = (
    ("animal--bird", "Bird", True),
    ("construction--flat--road", "Road", True),
    ("void--unlabeled", "Unlabeled", False),
)
SECOND = (
    ("animal--bird", "Bird", True), ("construction--barrier--ambiguous", "Ambiguous Barrier", False),
    ("construction--flat--road", "Road", True), ("nature--sand", "Sand", True),
)  # fmt: skip
_SIDES = ("training", "training", "validation")


def config(labels: tuple[tuple[str, str, bool], ...]) -> bytes:
    listed = [
        {"color": [number, 2, 3], "instances": True, "readable": readable, "name": name, "evaluate": evaluate}
        for number, (name, readable, evaluate) in enumerate(labels)
    ]
    return json.dumps({"labels": listed, "version": "1.1", "mapping": "public", "folder_structure": "{split}"}).encode()


def release(*versions: str) -> Export:
    """Images with the masks of these versions; the truth is that of the last of them."""
    content = {"LICENSE": b"...", "README": b"...", "testing/images/t.jpg": photo(9)}
    expected = {}
    for version in versions:
        folder = f"{version}/" if version else ""
        labels = SECOND if version == "v2.0" else FIRST
        content[f"config_{version}.json" if version else "config.json"] = config(labels)
        for number, side in enumerate(_SIDES):
            values = areas(number + len(labels), range(len(labels)))
            content[f"{side}/images/{number}.jpg"] = photo(number)
            content[f"{side}/{folder}labels/{number}.png"] = indexed(values)
            content[f"{side}/{folder}instances/{number}.png"] = grey(values * 256 + 1, "uint16")
            kept = [number for number, (*_, evaluate) in enumerate(labels) if evaluate]
            table = {value: kept.index(value) if value in kept else VOID for value in range(len(labels))}
            expected[f"{side}/images/{number}.jpg"] = class_ids(values, table)
    return content, expected
