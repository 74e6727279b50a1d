"""Hasty: one JSON for the project, with its classes and, for each image, polygons.

The higher ``z_index`` lies over the lower. Images of a dataset of the project lie in a folder of its name, or all
together. Source: hasty-ai docs, "Hasty JSON v1.1".
"""

from functools import partial
from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, pixel_size
from segdrop.dataset.samples import Reading

NAME = "hasty"


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be Hasty's, or ""."""
    for look in json_files.looks(tree):
        if look.is_object and look.has("label_classes", "images", "export_format_version"):
            return f"Hasty's label_classes and images in {look.path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all JSON files that are Hasty's."""
    found = Gathering(tree, skip_folders=json_files.mask_folders(tree))
    titles: dict[str, None] = {}
    for member, path, content in json_files.parsed(tree, found, _is_ours):
        classes = json_files.dictionaries(found, member, content["label_classes"], "a class")
        titles |= dict.fromkeys(name for entry in classes if (name := json_files.name_in(entry, "class_name", "name")))
        for entry in json_files.dictionaries(found, member, content["images"], "an image"):
            _read_image(found, member, path, entry)
    found.assumptions.append("where polygons overlap, the one with the higher z_index is on top")
    return found.reading(NAME, titles, "label_classes")


def _is_ours(content: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    return isinstance(content, dict) and "label_classes" in content and "images" in content


def _read_image(found: Gathering, member: int, path: str, entry: dict[str, Any]) -> None:
    """Gather one image with its areas."""
    layered: list[tuple[int, Area]] = []
    for label in json_files.dictionaries(found, member, entry.get("labels"), "a label"):
        points, height = label.get("polygon"), label.get("z_index")
        if points:
            outline = found.outline(member, partial(json_files.outline, points))
            if outline is not None:
                found.counted("polygon")
                title = json_files.name_in(label, "class_name")
                layered.append((height if isinstance(height, int) else 0, (title, outline)))
        elif label.get("mask"):
            found.invalid(member, "a label is a Hasty mask, which is not read: export COCO with masks as polygons")
        else:
            found.box(member)
    name, home = json_files.name_in(entry, "image_name"), json_files.name_in(entry, "dataset_name")
    image = found.find([f"{home}/{name}"] if home else [name], member, path.rpartition("/")[0])
    if image is not None:
        areas = [area for _, area in sorted(layered, key=lambda entry: entry[0])]
        found.add(image, member, areas, size=pixel_size(entry.get("width"), entry.get("height")))
