"""Label Studio's brush masks: a PNG for each label of a task (``task-1-annotation-2-by-3-tag-Car-0.png``).

They name tasks, not images: images have to be named after the tasks (``1.jpg``, ``task-1.jpg``). With the JSON export
of the project beside them, that is read instead. Source: label-studio-converter, brush.py.
"""

import re
from collections.abc import Iterator

from segdrop.codes import Code, Severity
from segdrop.dataset import class_names
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared.annotated import members, split_of
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.samples import LabelledSample, MaskUnion, Reading, pairing_key
from segdrop.errors import DataError, Issue

NAME = "label-studio-png"

_MASK = re.compile(r"task-(\d{1,18})-annotation-(\d{1,18}|None)-by-([^-/]*)-([^-/]+)-([^/]+)-(\d{1,9})\.png$")
_FIX = "Name every image after its task (1.jpg), or add the JSON export of the project, which names the images."


def signature(tree: Tree) -> str:
    """Returns by which names of files the tree is known to have Label Studio's brush masks, or ""."""
    if any(True for _ in _masks(tree)) and not members(tree, "json"):
        return "Label Studio's brush masks (task-…-annotation-….png)"
    return ""


def _masks(tree: Tree) -> Iterator[tuple[int, re.Match[str]]]:
    """Yields the members that are brush masks, with the parts of their names."""
    for member, path in tree:
        if match := _MASK.search(path):
            yield member, match


def read(tree: Tree) -> Reading:
    """Returns the images that are named after tasks, with their masks.

    Raises DataError where there are no brush masks.
    """
    index = ImageIndex(tree)
    found = sorted(_masks(tree), key=lambda entry: tree.names[entry[0]])
    if not found:
        raise DataError([Issue.of(Code.LAYOUT_NO_MASKS, "there are no brush masks of Label Studio (task-….png)")])
    for member, _ in found:
        del index.members[member]
    values = class_names.numbers(sorted({match[5] for _, match in found}))
    by_task: dict[str, list[tuple[int, re.Match[str]]]] = {}
    for member, match in found:
        by_task.setdefault(match[1], []).append((member, match))
    samples, lost, used = [], [], set()
    for task, parts in sorted(by_task.items(), key=lambda entry: int(entry[0])):
        image = next((hit for name in (task, f"task-{task}") if (hit := index.find(name)) in index.members), None)
        if image is None:
            lost += [tree.names[member] for member, _ in parts]
            continue
        used.add(image)
        samples.append(_sample(index.members[image], image, parts, values))
    issues = []
    if lost:
        message = f"{len(lost)} masks are of tasks, and no image is named after these"
        severity = Severity.WARNING if len(lost) < len(found) else Severity.FAULT
        issues.append(Issue.of(Code.ANNOTATION_MISSING_IMAGE, message, files=lost, severity=severity, fix=_FIX))
    lonely = sorted(tree.names[image] for image in index.members if image not in used)
    if lonely and samples:
        severity = Severity.WARNING if len(lonely) <= len(samples) else Severity.FAULT
        message = f"{len(lonely)} images have no mask"
        issues.append(Issue.of(Code.PAIR_MISSING_MASK, message, files=lonely, severity=severity))
    samples.sort(key=lambda sample: sample.key)
    names = class_names.drawn(values, "the names of the masks")
    return Reading(NAME, samples, names, issues, ["of several annotators the one with the lowest number counts"])


def _sample(path: str, image: int, parts: list[tuple[int, re.Match[str]]], values: dict[str, int]) -> LabelledSample:
    """Returns one image with the masks of the annotation with the lowest number."""
    first = min((match[2] for _, match in parts), key=lambda number: int(number) if number.isdecimal() else -1)
    chosen = [(member, values[match[5]]) for member, match in parts if match[2] == first]
    split = split_of(path)
    key = pairing_key(path)
    return LabelledSample(f"{split}/{key}" if split else key, image, split, MaskUnion(tuple(chosen)))
