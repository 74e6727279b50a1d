"""Segments.ai: the JSON of a release, and for each image a bitmap of segments (``x_label_ground-truth.png``).

The release names the class of each segment's number. Its SDK writes the images and the bitmaps beside each other.
Source: segments-ai/segments-ai ``src/segments/dataset.py`` and ``export.py``.
"""

from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import json_files
from segdrop.dataset.layouts.shared.folders import SPLIT_FOLDERS
from segdrop.dataset.layouts.shared.segment_masks import SegmentGathering
from segdrop.dataset.samples import Reading, Split, extension

NAME = "segments-ai"

_MARK = "_label_"


def signature(tree: Tree) -> str:
    """Returns by which JSON file the tree is known to be a release of Segments.ai, or ""."""
    if not any(_MARK in path and extension(path) == "png" for _, path in tree):
        return ""
    for look in json_files.looks(tree):
        if look.is_object and look.has("dataset", "samples", "task_attributes"):
            return f"Segments.ai's samples in {look.path}, and bitmaps of labels"
    return ""


def read(tree: Tree) -> Reading:
    """Returns the images with their bitmaps for truth."""
    bitmaps = {
        path.casefold().rpartition("/")[2].rpartition(".")[0]: member
        for member, path in tree
        if _MARK in path and extension(path) == "png"
    }
    found = SegmentGathering(tree, list(bitmaps.values()))
    titles: dict[str, str] = {}
    for member, path, content in json_files.parsed(tree, found, _is_ours):
        found_titles = _titles(found, member, content["dataset"])
        titles |= found_titles
        for sample in json_files.dictionaries(found, member, content["dataset"]["samples"], "a sample"):
            _read_sample(found, member, path, sample, found_titles, bitmaps)
    return found.reading_of_masks(NAME, list(titles.values()), "the categories of the release")


def _is_ours(content: Any) -> bool:  # noqa: ANN401  (whatever stands there)
    dataset = content.get("dataset") if isinstance(content, dict) else None
    return isinstance(dataset, dict) and "samples" in dataset


def _titles(found: SegmentGathering, member: int, dataset: dict[str, Any]) -> dict[str, str]:
    """Returns class names by category id."""
    attributes = dataset.get("task_attributes")
    entries = attributes.get("categories") if isinstance(attributes, dict) else None
    named = {}
    for entry in json_files.dictionaries(found, member, entries, "a category"):
        name = json_files.name_in(entry, "name")
        if isinstance(entry.get("id"), int) and name:
            named[str(entry["id"])] = name
        else:
            found.invalid(member, "a category has no id or no name")
    return named


def _read_sample(
    found: SegmentGathering,
    member: int,
    path: str,
    sample: dict[str, Any],
    titles: dict[str, str],
    bitmaps: dict[str, int],
) -> None:
    """Gather one image with its bitmap; one without a label is not labelled."""
    name, labels = json_files.name_in(sample, "name"), sample.get("labels")
    stem = name.replace("\\", "/").rpartition("/")[2].rpartition(".")[0] or name
    for labelset, label in labels.items() if isinstance(labels, dict) else ():
        if not isinstance(label, dict):
            continue
        attributes = label.get("attributes")
        entries = attributes.get("annotations") if isinstance(attributes, dict) else None
        mask = bitmaps.get(f"{stem}{_MARK}{labelset}".casefold())
        image = found.find([name, f"{stem}.x"], member, path.rpartition("/")[0])
        if mask is None:
            found.invalid(member, f"the bitmap {stem}{_MARK}{labelset}.png is not in the ZIP")
        elif image is not None:
            segments = {}
            for entry in json_files.dictionaries(found, member, entries, "a segment"):
                title, number = titles.get(str(entry.get("category_id"))), entry.get("id")
                if title is None or not isinstance(number, int):
                    found.invalid(member, "a segment has no id, or a category that is not listed")
                else:
                    segments[number] = title
            found.add_segments(image, member, mask, segments, split=_side(sample))


def _side(sample: dict[str, Any]) -> Split | None:
    return SPLIT_FOLDERS.get(json_files.name_in(sample, "split").casefold())
