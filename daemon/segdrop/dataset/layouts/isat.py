"""ISAT (ISAT_with_segment_anything): a JSON file for each image, with polygons in layers.

The higher layer lies over the lower, in the order of the list; "__background__" cuts out of what is below it. Source:
yatengLG/ISAT_with_segment_anything ``annotation.py`` and ``scripts/isat.py`` (``to_coco``, ``to_voc``).
"""

from functools import partial
from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, pixel_size
from segdrop.dataset.samples import Reading

NAME = "isat"


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be ISAT's, or ""."""
    for look in json_files.looks(tree):
        if look.is_object and look.has("info", "objects", "category", "segmentation", "layer"):
            return f"ISAT's info and objects with layers in {look.path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all JSON files that are ISAT's."""
    found = Gathering(tree, skip_folders=json_files.mask_folders(tree))
    for member, path, content in json_files.parsed(tree, found, _is_ours):
        _read_file(found, member, path, content)
    found.assumptions.append("where objects overlap, the one in the higher layer is on top")
    return found.reading(NAME, *found.listed_names())


def _is_ours(content: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    return isinstance(content, dict) and isinstance(content.get("info"), dict) and "objects" in content


def _read_file(found: Gathering, member: int, path: str, content: dict[str, Any]) -> None:
    """Gather one file's image with its areas."""
    info = content["info"]
    folder, _, name = path.rpartition("/")
    references = [json_files.name_in(info, "name"), name.rpartition(".")[0] + ".x"]
    layered: list[tuple[float, Area]] = []
    for entry in json_files.dictionaries(found, member, content["objects"], "an object"):
        points, layer = entry.get("segmentation"), entry.get("layer")
        outline = found.outline(member, partial(json_files.outline, points))
        if outline is not None:
            found.counted("polygon")
            height = float(layer) if isinstance(layer, int | float) and abs(layer) < 1e9 else 0.0  # noqa: PLR2004
            layered.append((height, (json_files.name_in(entry, "category"), outline)))
    image = found.find([reference for reference in references if reference], member, folder)
    if image is not None:
        areas = [area for _, area in sorted(layered, key=lambda entry: entry[0])]
        found.add(image, member, areas, size=pixel_size(info.get("width"), info.get("height")))
