"""V7 Darwin: a JSON file for each image, of version 2 (``item`` with ``slots``) or version 1 (``image``).

Polygons and masks of raster layers are areas; later polygons lie over earlier ones, and over masks. Source:
v7labs/darwin-py ``darwin/utils/utils.py`` (``parse_darwin_json``) and the schema of version 2.0.
"""

from array import array
from collections.abc import Iterator
from functools import partial
from typing import Any

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import json_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, pixel_size
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Polygon, Runs

NAME = "darwin"

_LAYER = "raster_layer"


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be V7 Darwin's, or ""."""
    for look in json_files.looks(tree):
        is_second = look.has("item", "slots", "annotations")
        is_first = look.has("image", "annotations", "filename", "original_filename")
        if look.is_object and (is_second or is_first) and not look.has("categories"):
            return f"V7 Darwin's annotations in {look.path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all JSON files that are Darwin's."""
    found = Gathering(tree, skip_folders=json_files.mask_folders(tree))
    for member, path, content in json_files.parsed(tree, found, _is_ours):
        _read_file(found, member, path, content)
    found.assumptions.append("where polygons overlap, the later in the file is on top")
    return found.reading(NAME, *found.listed_names())


def _is_ours(content: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    is_ours = isinstance(content, dict) and isinstance(content.get("annotations"), list)
    return is_ours and any(isinstance(content.get(key), dict) for key in ("item", "image"))


def _read_file(found: Gathering, member: int, path: str, content: dict[str, Any]) -> None:
    """Gather one file's image with its areas."""
    folder, _, name = path.rpartition("/")
    about, home = _image(content)
    size = pixel_size(about.get("width"), about.get("height"))
    entries = list(json_files.dictionaries(found, member, content["annotations"], "an annotation"))
    titles = {json_files.name_in(entry, "id"): json_files.name_in(entry, "name") for entry in entries}
    areas = [
        area for entry in entries if _LAYER in entry for area in _masks(found, member, entry[_LAYER], titles, size)
    ]
    for entry in entries:
        areas += _polygons(found, member, entry)
    given = [json_files.name_in(about, "original_filename"), json_files.name_in(about, "filename", "file_name", "name")]
    references = [f"{home}{reference}" for reference in given if reference]
    image = found.find([*references, name.rpartition(".")[0] + ".x"], member, folder)
    if image is not None:
        found.add(image, member, areas, size=size)


def _image(content: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """Returns what a file says of its image, and the folder of the dataset in which it is."""
    item = content.get("item")
    if not isinstance(item, dict):
        return content["image"], ""
    slots = item.get("slots")
    slot = slots[0] if isinstance(slots, list) and slots and isinstance(slots[0], dict) else {}
    sources = slot.get("source_files")
    source = sources[0] if isinstance(sources, list) and sources and isinstance(sources[0], dict) else {}
    home = json_files.name_in(item, "path").strip("/")
    sides = {key: slot.get(key) for key in ("width", "height")}
    return {**sides, "name": item.get("name"), **source}, f"{home}/" if home else ""


def _polygons(found: Gathering, member: int, entry: dict[str, Any]) -> list[Area]:
    """Returns an annotation's polygon, with holes and further parts as the even-odd rule has them."""
    title, polygon = json_files.name_in(entry, "name"), entry.get("polygon")
    if isinstance(polygon, dict):
        return [(title, outline) for outline in _outlines(found, member, polygon)]
    if isinstance(entry.get("ellipse"), dict):
        outline = found.outline(member, partial(_ellipse, entry["ellipse"]))
        return _counted(found, "ellipse", title, outline)
    if "bounding_box" in entry:
        found.box(member)
    elif not {_LAYER, "mask"} & entry.keys():
        found.no_area(
            member, next((kind for kind in ("line", "keypoint", "tag", "skeleton") if kind in entry), "other")
        )
    return []


def _counted(found: Gathering, kind: str, title: str, outline: Polygon | None) -> list[Area]:
    if outline is None:
        return []
    found.counted(kind)
    return [(title, outline)]


def _outlines(found: Gathering, member: int, polygon: dict[str, Any]) -> list[Polygon]:
    """Returns the parts of a polygon; a ring inside another is a hole in it."""
    more = polygon.get("additional_paths")
    paths = polygon.get("paths") or [polygon.get("path"), *(more if isinstance(more, list) else ())]
    outlines: list[Polygon] = []
    for path in paths if isinstance(paths, list) else [None]:
        outline = found.outline(member, partial(_ring, path))
        if outline is None:
            continue
        inside = next((i for i, other in enumerate(outlines) if _is_inside(outline, other)), None)
        if inside is None:
            found.counted("polygon")
            outlines.append(outline)
        else:
            outlines[inside] = Polygon(0, (*outlines[inside].rings, *outline.rings))
    return outlines


def _is_inside(inner: Polygon, outer: Polygon) -> bool:
    """Whether all corners of a ring lie in the first ring of another polygon (even-odd rule)."""
    ring, xs, ys = outer.rings[0], inner.rings[0][0::2], inner.rings[0][1::2]
    return all(_holds(ring, x, y) for x, y in zip(xs, ys, strict=True))


def _holds(ring: "array[float]", x: float, y: float) -> bool:
    xs, ys = ring[0::2], ring[1::2]
    crossed = False
    for i in range(len(xs)):
        if (ys[i] > y) != (ys[i - 1] > y):
            crossed ^= x < (xs[i - 1] - xs[i]) * (y - ys[i]) / (ys[i - 1] - ys[i]) + xs[i]
    return crossed


def _ring(path: object) -> "array[float]":
    if not isinstance(path, list):
        raise TypeError("a polygon has no path")
    return shapes.ring([(point["x"], point["y"]) for point in path])


def _ellipse(ellipse: dict[str, Any]) -> "array[float]":
    centre, radius = ellipse["center"], ellipse["radius"]
    return shapes.ellipse(centre["x"], centre["y"], radius["x"], radius["y"], ellipse.get("angle", 0.0))


def _masks(
    found: Gathering, member: int, layer: object, titles: dict[str, str], size: tuple[int, int] | None
) -> Iterator[Area]:
    """Yields the masks of a raster layer: runs of values along rows, each value an annotation's."""
    code = layer.get("dense_rle") if isinstance(layer, dict) else None
    numbers = layer.get("mask_annotation_ids_mapping") if isinstance(layer, dict) else None
    try:
        if not isinstance(code, list) or not isinstance(numbers, dict) or size is None:
            raise ValueError("it has no dense_rle, no mapping or no size")  # noqa: TRY301  (one kind of refusal)
        for identity, number in numbers.items():
            lengths = _lengths(code, number, size[0] * size[1])
            found.counted("mask")
            yield titles.get(identity, ""), Runs(0, lengths, 0, 0, *size, by_columns=False)
    except (TypeError, ValueError, OverflowError) as error:
        found.invalid(member, f"a raster layer cannot be read ({error})")


def _lengths(code: list[Any], number: object, num_pixels: int) -> "array[int]":
    """Returns lengths off, on, off and so on of one value among (value, length) in turn."""
    lengths, is_on = array("I", [0]), False
    for value, length in zip(code[0::2], code[1::2], strict=True):
        if (value == number) != is_on:
            is_on = not is_on
            lengths.append(0)
        lengths[-1] += length
    if sum(lengths) != num_pixels:
        raise ValueError(f"its runs cover {sum(lengths)} pixels, the image has {num_pixels}")
    return lengths
