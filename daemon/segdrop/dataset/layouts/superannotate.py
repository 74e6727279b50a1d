"""SuperAnnotate: pixel projects (``x.jpg___pixel.json`` with ``x.jpg___save.png``), and vector projects
(``x.jpg___objects.json``, later ``x.jpg.json``).

In a pixel project, a colour of the ``save`` picture is a part of an object, whose class the JSON names; ``fuse``
pictures are for people. In a vector project, polygons and ellipses are drawn in the order of the list. Class order is
that of ``classes/classes.json``. Source: superannotateai/superannotate-python-sdk, ``input_converters/``.
"""

import math
from functools import partial
from typing import Any

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files, json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.layouts.shared.segment_masks import SegmentGathering, number_of
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Polygon
from segdrop.errors import DataError

NAME = "superannotate"

_PIXEL, _VECTOR, _NEWER = "___pixel.json", "___objects.json", ".json"
_PICTURES = ("___save.png", "___fuse.png")
_CLASSES = "classes.json"


def signature(tree: Tree) -> str:
    """Returns by which file the tree is known to be SuperAnnotate's, or ""."""
    paths = [path for _, path in tree if path.casefold().endswith((_PIXEL, _VECTOR))]
    if paths:
        return f"SuperAnnotate's {min(paths)}"
    for look in json_files.looks(tree):
        if look.is_object and look.has("metadata", "instances", "className", "points"):
            return f"SuperAnnotate's metadata and instances in {look.path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of a pixel or a vector project."""
    pictures = {path.casefold(): member for member, path in tree if path.casefold().endswith(_PICTURES)}
    found = SegmentGathering(tree, list(pictures.values()))
    titles = _titles(tree, found)
    source = _CLASSES if titles else "the annotations"
    files = [entry for entry in members(tree, "json") if entry[1].casefold().rpartition("/")[2] != _CLASSES]
    named = ([entry for entry in files if entry[1].casefold().endswith(ending)] for ending in (_PIXEL, _VECTOR))
    pixel, vector = named
    for member, path in pixel or vector or files:
        found.use(member)
        try:
            content = annotation_files.load_json(tree, member)
        except DataError as error:
            found.broken(error)
            continue
        _read_file(found, member, path, content, titles, pictures if pixel else None)
    if pixel:
        return found.reading_of_masks(NAME, list(titles.values()), source)
    found.assumptions.append("where objects overlap, the later in the file is on top")
    return found.reading(NAME, titles.values(), source)


def _titles(tree: Tree, found: Gathering) -> dict[int, str]:
    """Returns class names by their ids, in the order of ``classes/classes.json``."""
    listed: dict[int, str] = {}
    for member, path in members(tree, "json"):
        if path.casefold().rpartition("/")[2] != _CLASSES:
            continue
        found.use(member)
        try:
            content = annotation_files.load_json(tree, member)
        except DataError as error:
            found.broken(error)
            continue
        for position, entry in enumerate(json_files.dictionaries(found, member, content, "a class")):
            number, name = entry.get("id"), json_files.name_in(entry, "name")
            if name:
                listed[number if isinstance(number, int) else -1 - position] = name
    return listed


def _read_file(
    found: SegmentGathering,
    member: int,
    path: str,
    content: object,
    titles: dict[int, str],
    pictures: dict[str, int] | None,
) -> None:
    """Gather one image. ``pictures`` are those of a pixel project by their paths in lower case."""
    metadata = content.get("metadata") if isinstance(content, dict) else None
    instances = content.get("instances") if isinstance(content, dict) else content
    folder, _, name = path.rpartition("/")
    ending = next(ending for ending in (_PIXEL, _VECTOR, _NEWER) if name.casefold().endswith(ending))
    own = name[: -len(ending)]
    image = found.find([own, f"{own}.x"], member, folder)
    known = metadata if isinstance(metadata, dict) else {}
    size = pixel_size(known.get("width"), known.get("height"))
    entries = list(json_files.dictionaries(found, member, instances, "an instance"))
    if pictures is None:
        areas = [area for entry in entries for area in _areas(found, member, entry, titles)]
        if image is not None:
            found.add(image, member, areas, size=size)
        return
    mask = pictures.get(f"{path[: -len(_PIXEL)]}{_PICTURES[0]}".casefold())
    if mask is None:
        found.invalid(member, f"there is no picture {own}{_PICTURES[0]} beside it")
    elif image is not None:
        parts = _parts(found, member, entries, titles)
        found.add_segments(image, member, mask, parts, size=size)


def _title(entry: dict[str, Any], titles: dict[int, str]) -> str:
    number = entry.get("classId")
    return json_files.name_in(entry, "className") or (titles.get(number, "") if isinstance(number, int) else "")


def _parts(found: Gathering, member: int, entries: list[dict[str, Any]], titles: dict[int, str]) -> dict[int, str]:
    """Returns the class of each number that is a colour of a part."""
    parts: dict[int, str] = {}
    for entry in entries:
        title = _title(entry, titles)
        for part in json_files.dictionaries(found, member, entry.get("parts"), "a part"):
            number = number_of(json_files.name_in(part, "color"))
            if number is None or not title or parts.setdefault(number, title) != title:
                found.invalid(member, "a part has no colour of its own, or no class")
    return parts


def _areas(found: Gathering, member: int, entry: dict[str, Any], titles: dict[int, str]) -> list[Area]:
    """Returns the area of an object of a vector project, or none, with the reason on record."""
    kind = json_files.name_in(entry, "type")
    outline = None
    if kind == "polygon":
        outline = found.outline(member, lambda: shapes.ring(json_files.pairs(entry.get("points"))))
    elif kind == "ellipse":
        outline = found.outline(member, partial(_ellipse, entry))
    elif kind == "bbox":
        found.box(member)
    else:
        found.no_area(member, kind[:20] or "object")
    if outline is None:
        return []
    found.counted(kind)
    holes = entry.get("exclude")
    for hole in holes if isinstance(holes, list) else ():
        ring = found.outline(member, lambda hole=hole: shapes.ring(json_files.pairs(hole)))  # type: ignore[misc]
        if ring is not None:
            outline = Polygon(0, (*outline.rings, *ring.rings))
    return [(_title(entry, titles), outline)]


def _ellipse(entry: dict[str, Any]) -> Any:  # noqa: ANN401  (an array, whose items have no type before Python 3.12)
    x, y, radius_x, radius_y, angle = (float(entry[key]) for key in ("cx", "cy", "rx", "ry", "angle"))
    return shapes.ellipse(x, y, radius_x, radius_y, math.radians(angle))
