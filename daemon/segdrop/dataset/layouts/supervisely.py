"""Supervisely: ``meta.json`` with the classes, and for each dataset a folder with ``img/`` and ``ann/``.

``ann/x.jpg.json`` (in old projects ``ann/x.json``) belongs to ``img/x.jpg``. There are polygons with holes, bitmaps
(PNGs, packed by zlib or not, in base64) at their origin, and rectangles; later objects lie over earlier ones. A tag
``train``, ``val`` or ``test`` puts an image on its side of the split, as does the name of its dataset.
"""

import base64
import binascii
import zlib
from functools import partial
from typing import Any

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, pixel_size
from segdrop.dataset.layouts.shared.folders import SPLIT_FOLDERS
from segdrop.dataset.samples import Reading, Split, is_image, pairing_key
from segdrop.dataset.shapes import Bitmap, Polygon, Shape
from segdrop.errors import DataError

NAME = "supervisely"

_META = "meta.json"
_PROJECT_FILES = frozenset({_META, "key_id_map.json", "obj_class_to_machine_color.json"})
_LINES = frozenset({"point", "line", "polyline", "cuboid", "graph", "keypoints"})
_MOST_BITMAP_BYTES = 1 << 24
_LEAST_NUMBERS = 6  # a ring has at least three points, of two coordinates each


def signature(tree: Tree) -> str:
    """Returns by which files the tree is known to be Supervisely's, or ""."""
    paths = [path.casefold() for _, path in tree]
    if _META not in paths or not any(_is_annotation(path) for path in paths):
        return ""
    has_images = any(path.split("/")[-2:-1] == ["img"] and is_image(path) for path in paths)
    return "meta.json, ann/ with JSON files and img/" if has_images else ""


def _is_annotation(path: str) -> bool:
    *folders, name = path.casefold().split("/")
    return folders[-1:] == ["ann"] and name.endswith(".json")


def read(tree: Tree) -> Reading:
    """Returns the annotated images."""
    gathering = Gathering(tree)
    titles, source = _titles(tree, gathering)
    exact = {_spelling(path): member for member, path in tree if is_image(path)}
    stems = {pairing_key(path): member for path, member in exact.items()}
    for member, path in sorted(tree, key=lambda entry: entry[1]):
        if not _is_annotation(path):
            continue
        gathering.use(member)
        folder, _, name = path.rpartition("/")
        wanted = f"{folder[: -len('ann')]}img/{name[: -len('.json')]}"
        image = exact.get(_spelling(wanted), stems.get(_spelling(wanted)))
        if image is None:
            gathering.missing(member, wanted)
            continue
        try:
            content = annotation_files.load_json(tree, member)
        except DataError as error:
            gathering.broken(error)
            continue
        _add(gathering, image, member, content)
    return gathering.reading(NAME, titles, source)


def _spelling(path: str) -> str:
    """Returns a path in one form for all its spellings; its ending stays."""
    return pairing_key(path + ".x")


def _titles(tree: Tree, gathering: Gathering) -> tuple[list[str], str]:
    """Returns class names in the order of ``meta.json``, and where they stand."""
    by_path = {path.casefold(): member for member, path in tree}
    for name in _PROJECT_FILES & by_path.keys():
        gathering.use(by_path[name])
    if (member := by_path.get(_META)) is None:
        return [], "the annotations"
    try:
        content = annotation_files.load_json(tree, member)
    except DataError as error:
        gathering.broken(error)
        return [], tree.names[member]
    classes = content.get("classes") if isinstance(content, dict) else None
    if not isinstance(classes, list):
        gathering.invalid(member, "it has no list of classes")
        return [], tree.names[member]
    titles = [entry.get("title") if isinstance(entry, dict) else None for entry in classes]
    named = [title.strip() for title in titles if isinstance(title, str) and title.strip()]
    if len(named) < len(classes):
        gathering.invalid(member, "a class has no title")
    return named, tree.names[member]


def _add(gathering: Gathering, image: int, member: int, content: object) -> None:
    """Gather one annotation file."""
    objects = content.get("objects") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(objects, list):
        gathering.invalid(member, "it has no list of objects")
        return
    size = content.get("size")
    areas: list[Area] = []
    before = gathering.unread
    for entry in objects:
        if not isinstance(entry, dict):
            gathering.invalid(member, "an object is none")
        elif (shape := _shape(gathering, member, entry)) is not None:
            title = entry.get("classTitle")
            areas.append((title.strip() if isinstance(title, str) else "", shape))
    declared = pixel_size(size.get("width"), size.get("height")) if isinstance(size, dict) else None
    gathering.add(image, member, areas, size=declared, split=_tagged(content.get("tags")))
    gathering.note_unread(image, before)


def _tagged(tags: object) -> Split | None:
    """Returns the side that an image's tags say, or None where they say two."""
    names = [tag.get("name") if isinstance(tag, dict) else tag for tag in (tags if isinstance(tags, list) else ())]
    words = {name.strip().casefold() for name in names if isinstance(name, str)}
    sides = {SPLIT_FOLDERS[word] for word in words if word in SPLIT_FOLDERS}
    return sides.pop() if len(sides) == 1 else None


def _shape(gathering: Gathering, member: int, entry: dict[str, Any]) -> Shape | None:
    """Returns an object's area, or None where it has none, or where it is on record why."""
    points, bitmap = entry.get("points"), entry.get("bitmap")
    # old projects say no geometry, and have an empty one of the other kind
    kind = entry.get("geometryType") or ("bitmap" if isinstance(bitmap, dict) else "polygon")
    if kind in ("bitmap", "alpha_mask"):
        return _bitmap(gathering, member, bitmap)
    if kind not in ("polygon", "rectangle"):
        (gathering.no_area if str(kind) in _LINES else gathering.unknown)(member, str(kind))
        return None
    exterior = points.get("exterior") if isinstance(points, dict) else None
    if not isinstance(points, dict) or not isinstance(exterior, list):
        gathering.invalid(member, f"a {kind} has no points")
        return None
    if kind == "rectangle":
        outline = gathering.outline(member, partial(_rectangle, exterior))
    else:
        outline = gathering.outline(member, partial(shapes.ring, exterior))
    if outline is None:
        return None
    gathering.counted(str(kind))
    return _with_holes(gathering, member, outline, points.get("interior"))


def _rectangle(exterior: list[Any]) -> Any:  # noqa: ANN401  (an array, whose items have no type before Python 3.12)
    """Returns a rectangle by two opposite corners."""
    (x0, y0), (x1, y1) = exterior
    return shapes.rectangle(x0, y0, x1, y1)


def _with_holes(gathering: Gathering, member: int, outline: Polygon, interior: object) -> Polygon:
    """Returns an outline with the holes that have proper coordinates."""
    rings = [*outline.rings]
    for hole in interior if isinstance(interior, list) else ():
        try:
            ring = shapes.ring(hole)
        except (TypeError, ValueError) as error:
            gathering.invalid(member, f"a hole has no proper coordinates ({error})")
            continue
        if len(ring) >= _LEAST_NUMBERS:
            rings.append(ring)
    return Polygon(outline.value, tuple(rings))


def _bitmap(gathering: Gathering, member: int, bitmap: object) -> Bitmap | None:
    """Returns a bitmap at its origin, or None, with the reason on record."""
    data = bitmap.get("data") if isinstance(bitmap, dict) else None
    origin = bitmap.get("origin") if isinstance(bitmap, dict) else None
    try:
        left, top = map(int, shapes.ring([origin]))  # type: ignore[list-item]  # refused below, whatever it is
        content = _unpacked(data)
    except (TypeError, ValueError) as error:
        gathering.invalid(member, f"a bitmap cannot be unpacked ({error})")
        return None
    gathering.counted("bitmap")
    return Bitmap(0, content, left, top)


def _unpacked(data: object) -> bytes:
    """Returns the bytes of a PNG from its text. Raises ValueError if it is none."""
    if not isinstance(data, str):
        raise ValueError("its data are no text")  # noqa: TRY004  (one kind of refusal)
    try:
        packed = base64.b64decode(data, validate=True)
    except binascii.Error as error:
        raise ValueError(str(error)) from None
    if packed.startswith(b"\x89PNG"):
        return packed
    try:
        inflater = zlib.decompressobj()
        content = inflater.decompress(packed, _MOST_BITMAP_BYTES)
    except zlib.error as error:
        raise ValueError(str(error)) from None
    if not inflater.eof:
        raise ValueError("its data end too early, or are too large")
    return content
