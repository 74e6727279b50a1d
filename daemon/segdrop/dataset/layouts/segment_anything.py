"""Segment Anything (SA-1B): a JSON file for each image, with a run-length mask for each segment and no classes.

Source: facebookresearch/segment-anything README ("Dataset").
"""

from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, pixel_size
from segdrop.dataset.masks import rle
from segdrop.dataset.samples import Reading

NAME = "segment-anything"


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be Segment Anything's, or ""."""
    for look in json_files.looks(tree):
        is_one_image = look.is_object and look.has("image", "annotations", "segmentation", "counts")
        if is_one_image and not look.keys & {"categories", "images", "items", "category_id"}:
            return f"Segment Anything's image and annotations without classes in {look.path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the images with all their segments as one class: no file names any other."""
    found = Gathering(tree, skip_folders=json_files.mask_folders(tree))
    for member, path, content in json_files.parsed(tree, found, _is_ours):
        _read_file(found, member, path, content)
    found.assumptions.append("Segment Anything names no classes: whatever lies in any segment is of one class")
    return found.reading(NAME)


def _is_ours(content: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    return isinstance(content, dict) and isinstance(content.get("image"), dict) and "annotations" in content


def _read_file(found: Gathering, member: int, path: str, content: dict[str, Any]) -> None:
    """Gather one file's image with its segments."""
    folder, _, name = path.rpartition("/")
    areas: list[Area] = []
    for entry in json_files.dictionaries(found, member, content["annotations"], "an annotation"):
        segmentation = entry.get("segmentation")
        if not isinstance(segmentation, dict):
            found.invalid(member, "an annotation has no run lengths")
            continue
        try:
            areas.append(("", rle.runs(0, segmentation.get("size"), segmentation.get("counts"))))
        except ValueError as error:
            found.invalid(member, str(error))
        else:
            found.counted("mask")
    references = [json_files.name_in(content["image"], "file_name"), name.rpartition(".")[0] + ".x"]
    image = found.find([reference for reference in references if reference], member, folder)
    if image is not None:
        size = pixel_size(content["image"].get("width"), content["image"].get("height"))
        found.add(image, member, areas, size=size)
