"""EISeg (PaddleSeg's interactive tool): ``label/x.json`` for each image, a list of polygons with their labels.

Later polygons lie over earlier ones. Source: PaddleCV-SIG/EISeg ``eiseg/app.py`` (``saveLabel``).
"""

from functools import partial
from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.samples import Reading

NAME = "eiseg"

#: the folder for all that it saves
_SAVED = frozenset({"label"})


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be EISeg's, or ""."""
    for look in json_files.looks(tree):
        if not look.is_object and look.has("labelIdx", "points"):
            return f"EISeg's list of polygons with labelIdx in {look.path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all JSON files that are EISeg's."""
    # it saves masks beside the JSON files, under the names of the images
    found = Gathering(tree, lambda path: not _SAVED.intersection(path.casefold().split("/")))
    index = ImageIndex(tree, _SAVED)
    numbers: dict[str, int] = {}
    for member, path, content in json_files.parsed(tree, found, _is_ours):
        folder, _, name = path.rpartition("/")
        areas = _areas(found, member, content, numbers)
        image = index.find(name.rpartition(".")[0] + ".x", folder)
        if image is None:
            found.missing(member, name.rpartition(".")[0])
        else:
            found.add(image, member, areas)
    found.assumptions.append("where polygons overlap, the later in the file is on top")
    return found.reading(NAME, sorted(numbers, key=lambda name: (numbers[name], name)), "labelIdx in the annotations")


def _is_ours(content: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    return isinstance(content, list) and all(isinstance(entry, dict) and "points" in entry for entry in content)


def _areas(found: Gathering, member: int, content: list[dict[str, Any]], numbers: dict[str, int]) -> list[Area]:
    """Returns a file's areas, and notes the number of each class in ``numbers``."""
    areas: list[Area] = []
    for entry in content:
        points, name, number = entry["points"], json_files.name_in(entry, "name"), entry.get("labelIdx")
        outline = found.outline(member, partial(json_files.outline, points))
        if outline is not None:
            found.counted("polygon")
            areas.append((name, outline))
        if name and isinstance(number, int) and abs(number) < 1 << 16:
            numbers.setdefault(name, number)
    return areas
