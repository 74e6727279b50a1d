"""Label Studio: its JSON and JSON-MIN exports, beside the images.

Polygons, ellipses, brush strokes and bitmasks are areas, painted in the order of the list; coordinates are percent of
the image. Where several people annotated an image, the annotation marked as ground truth counts, else the first that
was not skipped; predictions are no truth
(label-studio-converter, converter.py: ``annotation_result_from_task``, ``convert_to_json_min``).
"""

import base64
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segdrop.codes import Code
from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts import label_studio_tasks
from segdrop.dataset.layouts.label_studio_tasks import TaskImage
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Area, Gathering, members, pixel_size
from segdrop.dataset.layouts.shared.complaints import plain
from segdrop.dataset.samples import Reading
from segdrop.dataset.shapes import Bitmap, Brush, Shape
from segdrop.errors import DataError, Issue

if TYPE_CHECKING:
    from array import array

NAME = "label-studio"

_LOOKED_AT = 3
_TASKS = re.compile(r'"(annotations|completions)"\s*:\s*\[')
_MIN = re.compile(r'"(polygon|brush|rectangle|ellipse|keypoint)?labels"\s*:\s*\[')
_MIN_KEYS = frozenset({"annotation_id", "annotator", "lead_time"})
_CALL_ALIKE = (
    'Call the tags like the data in the labelling configuration (`<Image name="before" value="$before"/>`) and export '
    "again, or change `to_name` in the JSON so; or make each image a task of its own."
)
_DATA_URL = re.compile(r"data:image/\w+;base64,")
_PERCENT = 100
#: what regions in texts and sounds have
_OF_OTHER_DATA = frozenset({"start", "end", "startOffset"})


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be Label Studio's, or ""."""
    for member, path in members(tree, "json")[:_LOOKED_AT]:
        try:
            content = annotation_files.text(tree, member).lstrip()
        except DataError:
            continue
        is_task = _TASKS.search(content) and '"data"' in content and '"result"' in content
        is_min = content.startswith("[") and _MIN.search(content) and any(f'"{key}"' in content for key in _MIN_KEYS)
        if is_task or is_min:
            return f"Label Studio's tasks in {path}"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the annotated images of all JSON files that are Label Studio's.

    Raises DataError where nothing says which of several images of a task its results are for.
    """
    found = Gathering(tree)
    for member, path in members(tree, "json"):
        try:
            content = annotation_files.load_json(tree, member)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        tasks = content if isinstance(content, list) else [content]
        own = [
            task
            for task in tasks
            if isinstance(task, dict) and (label_studio_tasks.is_task(task) or not _MIN_KEYS.isdisjoint(task))
        ]
        if not own:
            continue  # another tool's file, left out as a stray
        found.use(member)
        if len(own) < len(tasks):
            found.invalid(member, "an entry is no task")
        _read_tasks(found, member, path.rpartition("/")[0], own)
    return found.reading(NAME, *found.listed_names())


@dataclass(frozen=True, slots=True)
class _Task:
    """The images of a task by their keys, and the results that count."""

    images: dict[str, list[TaskImage]]
    results: list[Any]


def _read_tasks(found: Gathering, member: int, folder: str, tasks: list[dict[str, Any]]) -> None:
    """Gather the images of the tasks in one file. Raises DataError where it is not clear which are meant."""
    known = _counting(found, member, tasks)
    keys = list(dict.fromkeys(key for task in known for key in task.images))
    names = set().union(*(label_studio_tasks.tags(task.results) for task in known))
    meant = label_studio_tasks.by_tag(sorted(names), keys) if len(keys) > 1 and names else None
    if meant is None and _are_unclear(found, folder, known, names):
        raise DataError([_unclear(found, member, keys, names)])
    for task in known:
        _read_task(found, member, folder, task, meant)


def _counting(found: Gathering, member: int, tasks: list[dict[str, Any]]) -> list[_Task]:
    """Returns the tasks with the results of the annotation that counts in each; those without any are left out."""
    kept: list[_Task] = []
    seen: set[str] = set()
    num_further = num_true = num_predicted = 0
    for task in tasks:
        chosen = label_studio_tasks.chosen(task)
        num_further += chosen.num_further
        num_true += chosen.is_ground_truth
        images = label_studio_tasks.of_task(task["data"] if label_studio_tasks.is_task(task) else task)
        first = next((image.references[0] for listed in images.values() for image in listed), "")
        if not first:
            found.invalid(member, "a task names no image file")
        elif chosen.results is None:
            num_predicted += bool(task.get("predictions"))
        elif label_studio_tasks.is_task(task) or first not in seen:
            kept.append(_Task(images, chosen.results))
        else:
            num_further += 1  # JSON-MIN has a record for each annotator
        seen.add(first)
    _say(found, num_further, num_true, num_predicted)
    if len(layers := label_studio_tasks.layers(result for task in kept for result in task.results)) > 1:
        shown = plain(", ".join(sorted(layers)))
        found.assumptions.append(f"areas of several control tags ({shown}) are one truth: a later one lies on top")
    return kept


def _say(found: Gathering, num_further: int, num_true: int, num_predicted: int) -> None:
    """Put on record which annotations count, where there are several."""
    if num_true:
        found.assumptions.append(f"of {num_true} images the annotation that is marked as ground truth counts")
    if num_further:
        rule = "the one marked as ground truth counts, else the first" if num_true else "the first counts"
        found.assumptions.append(f"{num_further} annotations of images that have several are left out: {rule}")
    if num_predicted:
        found.assumptions.append(
            f"{num_predicted} tasks have predictions alone, which are no truth until somebody accepts them"
        )


def _are_unclear(found: Gathering, folder: str, tasks: list[_Task], names: set[str]) -> bool:
    """Whether a task has several images in the ZIP, or results for several, and no name says which."""
    if len(names) > 1 and any(len(task.images) > 1 for task in tasks):
        return True
    several = [task for task in tasks if len(task.images) > 1 and any(map(label_studio_tasks.has_place, task.results))]
    for task in several:
        if any(len(listed) > 1 for listed in task.images.values()):
            return True
        hits = {found.seek(image.references, folder) for listed in task.images.values() for image in listed}
        if len(hits - {None}) > 1:
            return True
    return False


def _unclear(found: Gathering, member: int, keys: list[str], names: set[str]) -> Issue:
    """Returns the issue for results of which nothing says which image of their task they are for."""
    tags = ", ".join(plain(name) for name in sorted(names)) or "no tag"
    message = (
        f"tasks have several images ({plain(', '.join(keys))}), their results are for {tags}, and no export says which "
        "tag shows which image"
    )
    name = found.names[member]
    return Issue.of(Code.PAIR_AMBIGUOUS, message, files=[name], fix=_CALL_ALIKE)


def _read_task(found: Gathering, member: int, folder: str, task: _Task, meant: dict[str, str] | None) -> None:
    """Gather the images of one task, each with the results for it."""
    if meant is None:
        listed = [image for images in task.images.values() for image in images]
        if all(image.place is None for image in listed):
            # several keys that mean one file, or of which only one is in the ZIP
            references = [reference for image in listed for reference in image.references]
            _read_image(found, member, folder, references, task.results)
            return
    for tag, key in (meant or dict.fromkeys(task.images, "")).items():
        for image in task.images.get(key or tag, ()):
            own = [r for r in task.results if _is_for(r, tag if meant else "", image.place)]
            _read_image(found, member, folder, image.references, own)
    if any(image.place is not None for images in task.images.values() for image in images):
        _demand_places(found, member, task.results)


def _is_for(result: Any, tag: str, place: int | None) -> bool:  # noqa: ANN401  (whatever stands there)
    """Whether a result is for the image of a tag, and for this one of a list."""
    if not isinstance(result, dict):
        return place in (None, 0)  # so that it is on record once
    return (not tag or result.get("to_name") == tag) and (place is None or result.get("item_index") == place)


def _demand_places(found: Gathering, member: int, results: list[Any]) -> None:
    """Put on record the results that do not say which image of a list they are for."""
    for result in results:
        if label_studio_tasks.has_place(result) and not isinstance(result.get("item_index"), int):
            found.invalid(member, "a result does not say which of the several images of its task it is for")


def _regions(found: Gathering, member: int, results: list[Any]) -> list[dict[str, Any]]:
    """Returns values by region: where the tags of shape and label are apart, a region has two results with one id.

    Two shapes of one id are two regions, as where exports were merged.
    """
    regions: dict[object, dict[str, Any]] = {}
    for number, result in enumerate(results):
        if not isinstance(result, dict):
            found.invalid(member, "a result is no object")
            continue
        value, name = result.get("value"), result.get("id")
        if isinstance(value, dict):
            frame = {key: result.get(key) for key in ("original_width", "original_height", "image_rotation")}
            known = regions.get(name, {}) if isinstance(name, str) else {}
            is_same = not any(
                key in known and known[key] != value[key] for key in label_studio_tasks.PLACES & value.keys()
            )
            regions.setdefault(name if isinstance(name, str) and is_same else number, {}).update(frame | value)
    return list(regions.values())


def _read_image(found: Gathering, member: int, folder: str, references: list[str], results: list[Any]) -> None:
    """Gather one image with its areas."""
    image = found.find(references, member, folder)
    before = found.unread
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
        found.note_unread(image, before)


def _label(region: dict[str, Any]) -> str:
    """Returns the first label of a region, under a key such as ``polygonlabels``, or ""."""
    lists = (value for key, value in region.items() if key.endswith("labels") and isinstance(value, list))
    return next((label.strip() for labels in lists for label in labels if isinstance(label, str)), "")


def _shape(found: Gathering, member: int, region: dict[str, Any], size: tuple[int, int] | None) -> Shape | None:
    """Returns the area of a region, in pixels where the size is known, or None, with the reason on record."""
    across, down = (side / _PERCENT for side in size or (1, 1))
    if region.get("image_rotation"):
        found.invalid(member, "the image was rotated in Label Studio; rotate it in the file instead")
    elif "rle" in region or "imageDataURL" in region:
        return (_brush if "rle" in region else _bitmask)(found, member, region)
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
    else:
        _note_other(found, member, region)
    return None


def _note_other(found: Gathering, member: int, region: dict[str, Any]) -> None:
    """Put on record a region without a shape that is known; choices and parts of texts are no regions of an image."""
    kinds = sorted(key for key, value in region.items() if key.endswith("labels") and isinstance(value, list))
    if kinds and not _OF_OTHER_DATA.intersection(region):
        found.unknown(member, kinds[0])


def _ellipse(region: dict[str, Any], across: float, down: float) -> "array[float]":
    """Returns the ring of an ellipse around (x, y).

    It is turned in pixels, which only the size of the image makes of percents. Raises ValueError where that is not
    known.
    """
    numbers = [float(region.get(key, "nan")) for key in ("x", "y", "radiusX", "radiusY")]
    x, y, radius_x, radius_y = (number * unit for number, unit in zip(numbers, (across, down) * 2, strict=True))
    angle = math.radians(float(region.get("rotation") or 0))
    if angle and across == down == 1 / _PERCENT:
        raise ValueError("a turned ellipse without the size of its image")
    return shapes.ellipse(x, y, radius_x, radius_y, angle)


def _brush(found: Gathering, member: int, region: dict[str, Any]) -> Brush | None:
    """Returns a brush stroke, or None, with the reason on record."""
    size = pixel_size(region.get("original_width"), region.get("original_height"))
    try:
        code = bytes(region["rle"] if isinstance(region["rle"], list) else [-1])
    except (TypeError, ValueError):
        code = b""
    if size is None or not code:
        found.invalid(member, "a brush stroke has no code, or not the size of its image")
        return None
    return Brush(0, code, *size)


def _bitmask(found: Gathering, member: int, region: dict[str, Any]) -> Bitmap | None:
    """Returns a bitmask, which is a PNG as large as the image, or None, with the reason on record."""
    url = region["imageDataURL"]
    size = pixel_size(region.get("original_width"), region.get("original_height"))
    try:
        head, _, encoded = url.partition(",")
        content = base64.b64decode(encoded if _DATA_URL.fullmatch(f"{head},") else "?", validate=True)
    except (AttributeError, ValueError):
        found.invalid(member, "a bitmask is no image in base64")
        return None
    own = (int.from_bytes(content[16:20], "big"), int.from_bytes(content[20:24], "big"))
    if content.startswith(b"\x89PNG") and size not in (None, own):
        found.invalid(member, f"a bitmask has {own[0]}x{own[1]} pixels, and not the size of its image")
        return None
    return Bitmap(0, content, 0, 0)
