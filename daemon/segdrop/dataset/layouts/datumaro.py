"""Datumaro's own JSON: ``annotations/<side>.json`` with categories and items, and ``images/<side>/`` or ``images/``.

CVAT exports it as "Datumaro 1.0". Polygons, ellipses and masks (COCO's run lengths) are areas; the order is that of
``z_order``, then that of the list. Source: open-edge-platform/datumaro ``plugins/data_formats/datumaro/``.
"""

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING, Any

from segdrop.codes import Code
from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, pixel_size
from segdrop.dataset.layouts.shared.folders import SPLIT_FOLDERS
from segdrop.dataset.masks import rle
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Shape
from segdrop.errors import Issue

if TYPE_CHECKING:
    from array import array

NAME = "datumaro"


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be Datumaro's, or ""."""
    for look in json_files.looks(tree):
        if look.is_object and look.has("categories", "items") and not look.has("images"):
            return f"Datumaro's categories and items in {look.path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all JSON files that are Datumaro's."""
    found = Gathering(tree, skip_folders=json_files.mask_folders(tree))
    without, titles, num_areas = Counter[str](), dict[str, None](), 0
    for member, path, content in json_files.parsed(tree, found, _is_ours):
        names = _titles(found, member, content["categories"])
        titles |= dict.fromkeys(names)
        for item in json_files.dictionaries(found, member, content["items"], "an item"):
            num_areas += _read_item(found, member, path, item, names, without)
    if without and not num_areas:
        found.issues.append(_no_areas(without))
    found.assumptions.append(
        "what no annotation covers is background; where areas overlap, the higher or later is on top"
    )
    return found.reading(NAME, titles, "the categories of the annotations")


def _is_ours(content: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    return isinstance(content, dict) and isinstance(content.get("categories"), dict) and "items" in content


def _no_areas(kinds: Counter[str]) -> Issue:
    shown = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    message = f"the Datumaro files have no polygon, ellipse or mask ({shown}): nothing says which pixels are what"
    return Issue.of(Code.LAYOUT_NO_MASKS, message, count=kinds.total(), fix="Draw polygons or masks, and export again.")


def _titles(found: Gathering, member: int, categories: dict[str, Any]) -> list[str]:
    """Returns class names by label id."""
    listed = categories.get("label")
    entries = listed.get("labels") if isinstance(listed, dict) else None
    names = [json_files.name_in(entry, "name") for entry in json_files.dictionaries(found, member, entries, "a label")]
    if not all(names):
        found.invalid(member, "a label of Datumaro's categories has no name")
        return []
    return names


def _read_item(
    found: Gathering, member: int, path: str, item: dict[str, Any], names: list[str], without: Counter[str]
) -> int:
    """Gather one image with its areas, and return how many they are."""
    layered: list[tuple[int, Area]] = []
    for entry in json_files.dictionaries(found, member, item.get("annotations"), "an annotation"):
        number, height = entry.get("label_id"), entry.get("z_order")
        title = names[number] if type(number) is int and 0 <= number < len(names) else ""
        shape = _shape(found, member, entry, without)
        if shape is not None:
            layered.append((height if isinstance(height, int) else 0, (title, shape)))
    folder, _, name = path.rpartition("/")
    stem = name.rpartition(".")[0]
    media = next((value for key in ("image", "media") if isinstance(value := item.get(key), dict)), {})
    references = _references(stem, json_files.name_in(media, "path"), json_files.name_in(item, "id"))
    image = found.find(references, member, f"{folder}/{stem}")
    if image is not None:
        size = media.get("size")
        declared = pixel_size(size[1], size[0]) if isinstance(size, list) and len(size) == 2 else None  # noqa: PLR2004
        areas = [area for _, area in sorted(layered, key=lambda entry: entry[0])]
        found.add(image, member, areas, size=declared, split=SPLIT_FOLDERS.get(stem.casefold()))
    return len(layered)


def _references(stem: str, path: str, identity: str) -> list[str]:
    """Returns where an item's image can be, the likeliest first: paths may begin with the side, ids have no ending."""
    names = [name.replace("\\", "/") for name in (path, f"{identity}.x") if name != ".x" and name]
    homes = ["images" if name.startswith(f"{stem}/") else f"images/{stem}" for name in names]
    return [*(f"{home}/{name}" for home, name in zip(homes, names, strict=True)), *names] or [stem]


def _shape(found: Gathering, member: int, entry: dict[str, Any], without: Counter[str]) -> Shape | None:
    """Returns the area of an annotation, or None, with the reason on record."""
    kind = json_files.name_in(entry, "type") or "annotation"
    if kind == "mask":
        return _mask(found, member, entry.get("rle"))
    if kind in ("polygon", "ellipse"):
        outline = found.outline(member, partial(_RINGS[kind], entry.get("points")))
        if outline is not None:
            found.counted(kind)
        return outline
    without[kind] += 1
    if kind == "bbox":
        found.box(member)
    else:
        found.no_area(member, kind[:20])
    return None


def _mask(found: Gathering, member: int, code: object) -> Shape | None:
    try:
        if not isinstance(code, dict):
            raise ValueError("there are no run lengths")  # noqa: TRY004, TRY301  (one kind of refusal)
        shape = rle.runs(0, code.get("size"), code.get("counts"))
    except ValueError as error:
        found.invalid(member, f"a mask of the Datumaro file cannot be read ({error})")
        return None
    found.counted("mask")
    return shape


def _polygon(points: object) -> "array[float]":
    return shapes.ring(json_files.pairs(points))


def _ellipse(points: object) -> "array[float]":
    """Returns the ellipse within a box, which two opposite corners say."""
    (x0, y0), (x1, y1) = json_files.pairs(points)
    return shapes.ellipse((x0 + x1) / 2, (y0 + y1) / 2, abs(x1 - x0) / 2, abs(y1 - y0) / 2)


_RINGS = {"polygon": _polygon, "ellipse": _ellipse}
