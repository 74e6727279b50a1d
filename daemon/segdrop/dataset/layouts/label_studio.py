"""Label Studio: its JSON and JSON-MIN exports, beside the images.

Polygons, ellipses and brush strokes are areas, painted in the order of the list; coordinates are percent of the image.
Of several annotators the first counts who did not skip; predictions are no truth
(label-studio-converter, converter.py: ``annotation_result_from_task``, ``convert_to_json_min``).
"""

import math
import re
from typing import TYPE_CHECKING, Any

from segdrop.dataset import annotations, shapes
from segdrop.dataset.layouts.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.samples import Reading, is_image
from segdrop.dataset.shapes import Brush, Shape
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError

if TYPE_CHECKING:
    from array import array

NAME = "label-studio"

_LOOKED_AT = 3
_TASKS = re.compile(r'"(annotations|completions)"\s*:\s*\[')
_MIN = re.compile(r'"(polygon|brush|rectangle|ellipse|keypoint)?labels"\s*:\s*\[')
_MIN_KEYS = frozenset({"annotation_id", "annotator", "lead_time"})
#: what an upload puts in front of a file's name
_UPLOAD_MARK = re.compile(r"^[0-9a-f]{8}-")
_PERCENT = 100


def signature(tree: Tree) -> str:
    for member, path in members(tree, "json")[:_LOOKED_AT]:
        try:
            content = annotations.text(tree, member).lstrip()
        except DataError:
            continue
        is_task = _TASKS.search(content) and '"data"' in content and '"result"' in content
        is_min = content.startswith("[") and _MIN.search(content) and any(f'"{key}"' in content for key in _MIN_KEYS)
        if is_task or is_min:
            return f"Label Studio's tasks in {path}"
    return ""


def read(tree: Tree) -> Reading:
    found = Gathering(tree)
    for member, path in members(tree, "json"):
        try:
            content = annotations.load_json(tree, member)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        tasks = content if isinstance(content, list) else [content]
        own = [task for task in tasks if isinstance(task, dict) and (_is_task(task) or not _MIN_KEYS.isdisjoint(task))]
        if not own:
            continue  # another tool's file, left out as a stray
        found.use(member)
        if len(own) < len(tasks):
            found.invalid(member, "an entry is no task")
        _read_tasks(found, member, path.rpartition("/")[0], own)
    return found.reading(NAME, *found.listed_names())


def _is_task(task: dict[str, Any]) -> bool:
    return isinstance(task.get("data"), dict) and ("annotations" in task or "completions" in task)


def _read_tasks(found: Gathering, member: int, folder: str, tasks: list[dict[str, Any]]) -> None:
    seen = set()
    num_further = 0
    for task in tasks:
        results, further = _results(task) if _is_task(task) else (_min_results(task), 0)
        num_further += further
        references = _references(task["data"] if _is_task(task) else task)
        if not references:
            found.invalid(member, "a task names no image file")
        elif results is not None:
            # JSON-MIN has a record for each annotator
            num_further += references[0] in seen
            if references[0] not in seen:
                seen.add(references[0])
                _read_image(found, member, folder, references, results)
    if num_further:
        found.assumptions.append(
            f"{num_further} annotations of images that have several are left out: the first counts"
        )


def _references(data: dict[str, Any]) -> list[str]:
    """What may name the image: the values that are paths or URLs of image files, then without the mark of an upload."""
    named = [
        value
        for value in data.values()
        if isinstance(value, str) and is_image(value.partition("?d=")[2] or value.partition("?")[0])
    ]
    names = [re.split(r"[/\\=]", value.partition("?d=")[2] or value.partition("?")[0])[-1] for value in named]
    return [*named, *(_UPLOAD_MARK.sub("", name) for name in names if _UPLOAD_MARK.match(name))]


def _results(task: dict[str, Any]) -> tuple[list[Any] | None, int]:
    """The results of the first annotation that was not skipped, ``None`` if there is none; and how many others."""
    given = task.get("annotations", task.get("completions"))
    kept = [
        entry["result"]
        for entry in (given if isinstance(given, list) else [])
        if isinstance(entry, dict)
        and isinstance(entry.get("result"), list)
        and not (entry.get("was_cancelled") or entry.get("skipped"))
    ]
    return (kept[0], len(kept) - 1) if kept else (None, 0)


def _min_results(record: dict[str, Any]) -> list[Any]:
    """JSON-MIN has values without their frames: lists of them under the name of the tag."""
    values = [value for entries in record.values() if isinstance(entries, list) for value in entries]
    return [
        {"value": value, **{key: value.get(key) for key in ("original_width", "original_height")}}
        for value in values
        if isinstance(value, dict)
    ]


def _regions(found: Gathering, member: int, results: list[Any]) -> list[dict[str, Any]]:
    """Values by region: where the tags of shape and label are apart, a region has two results with one id."""
    regions: dict[object, dict[str, Any]] = {}
    for number, result in enumerate(results):
        if not isinstance(result, dict):
            found.invalid(member, "a result is no object")
            continue
        value, name = result.get("value"), result.get("id")
        if isinstance(value, dict):
            frame = {key: result.get(key) for key in ("original_width", "original_height", "image_rotation")}
            regions.setdefault(name if isinstance(name, str) else number, {}).update(frame | value)
    return list(regions.values())


def _read_image(found: Gathering, member: int, folder: str, references: list[str], results: list[Any]) -> None:
    image = found.find(references, member, folder)
    regions = _regions(found, member, results)
    sizes = (pixel_size(region.get("original_width"), region.get("original_height")) for region in regions)
    size = next((size for size in sizes if size is not None), None)
    areas: list[Area] = []
    for region in regions:
        shape = _shape(found, member, region, size)
        if shape is not None:
            found.counted("area")
            areas.append((_label(region), shape))
    if image is not None:
        found.add(image, member, areas, size=size, is_relative=size is None)


def _label(region: dict[str, Any]) -> str:
    """The first label of a region, under a key such as ``polygonlabels``."""
    lists = (value for key, value in region.items() if key.endswith("labels") and isinstance(value, list))
    return next((label.strip() for labels in lists for label in labels if isinstance(label, str)), "")


def _shape(found: Gathering, member: int, region: dict[str, Any], size: tuple[int, int] | None) -> Shape | None:
    """The area of a region, or ``None``, with the reason on record; in pixels where the size is known."""
    across, down = (side / _PERCENT for side in size or (1, 1))
    if region.get("image_rotation"):
        found.invalid(member, "the image was rotated in Label Studio; rotate it in the file instead")
    elif "rle" in region:
        return _brush(found, member, region)
    elif "points" in region or "vertices" in region:
        if "points" in region and region.get("closed", True):
            return found.outline(member, lambda: shapes.ring([(x * across, y * down) for x, y in region["points"]]))
        found.no_area(member, "open outline")
    elif "radiusX" in region:
        return found.outline(member, lambda: _ellipse(region, across, down))
    elif "width" in region and "height" in region:
        found.box(member)
    elif "x" in region and _label(region):
        found.no_area(member, "point")
    return None  # the rest, such as choices, are no regions


def _ellipse(region: dict[str, Any], across: float, down: float) -> "array[float]":
    """Around (x, y); turned in pixels, which only the size of the image makes of percents."""
    numbers = [float(region.get(key, "nan")) for key in ("x", "y", "radiusX", "radiusY")]
    x, y, radius_x, radius_y = (number * unit for number, unit in zip(numbers, (across, down) * 2, strict=True))
    angle = math.radians(float(region.get("rotation") or 0))
    if angle and across == down == 1 / _PERCENT:
        raise ValueError("a turned ellipse without the size of its image")
    return shapes.ellipse(x, y, radius_x, radius_y, angle)


def _brush(found: Gathering, member: int, region: dict[str, Any]) -> Brush | None:
    size = pixel_size(region.get("original_width"), region.get("original_height"))
    try:
        code = bytes(region["rle"] if isinstance(region["rle"], list) else [-1])
    except (TypeError, ValueError):
        code = b""
    if size is None or not code:
        found.invalid(member, "a brush stroke has no code, or not the size of its image")
        return None
    return Brush(0, code, *size)
