"""Hasty's JSON of a project, version 1.1: hasty.ai docs, "Hasty JSON"."""

import json
from typing import Any

from builders.exports.boxes import SIZE, Box, Export, Exports, corners, painted, photo


def label(name: str, box: Box, z_index: int) -> dict[str, Any]:
    return {"id": "a", "class_name": name, "bbox": list(box), "polygon": corners(box), "mask": None, "z_index": z_index}


def project() -> Export:
    """Two datasets with images of the same names; z_index against the order of the list."""
    content, images, expected = {}, [], {}
    for number, dataset in enumerate(("north", "south")):
        for name in ("a.png", "b.png"):
            low, high = (1, 1, 20, 20), (10, 5, 30 + number, 28)
            content[f"{dataset}/{name}"] = photo(len(content))
            labels = [label("roof", high, 2), label("yard", low, 1)]
            images.append(
                {"image_id": "x", "image_name": name, "dataset_name": dataset, "width": SIZE[1], "height": SIZE[0],
                 "image_status": "DONE", "labels": labels}
            )  # fmt: skip
            expected[f"{dataset}/{name}"] = painted((low, 1), (high, 2))
    classes = [{"class_id": "i", "class_name": name, "color": "#ff0000", "norder": 1.0} for name in ("yard", "roof")]
    whole = {"project_name": "p", "export_format_version": "1.1", "label_classes": classes, "images": images}
    return {**content, "p.json": json.dumps(whole).encode()}, expected


EXPORTS: Exports = {"project": project}
