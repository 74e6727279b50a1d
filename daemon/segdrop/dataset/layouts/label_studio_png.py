"""Label Studio's brush masks: a PNG for each label of a task (``task-1-annotation-2-by-3-tag-Car-0.png``).

They name tasks, not images: images have to be named after the tasks (``1.jpg``, ``task-1.jpg``). With the JSON export
of the project beside them, that is read instead. Source: label-studio-converter, brush.py.
"""

import re
from collections.abc import Iterator

from segdrop.codes import Severity
from segdrop.dataset import names as class_names
from segdrop.dataset.layouts.annotated import members, split_of
from segdrop.dataset.matching import ImageIndex
from segdrop.dataset.samples import MaskUnion, Reading, Sample, pairing_key
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

NAME = "label-studio-png"

_MASK = re.compile(r"task-(\d{1,18})-annotation-(\d{1,18}|None)-by-([^-/]*)-([^-/]+)-([^/]+)-(\d{1,9})\.png$")
_FIX = "Name every image after its task (1.jpg), or add the JSON export of the project, which names the images."


def signature(tree: Tree) -> str:
    if any(True for _ in _masks(tree)) and not members(tree, "json"):
        return "Label Studio's brush masks (task-…-annotation-….png)"
    return ""


def _masks(tree: Tree) -> Iterator[tuple[int, re.Match[str]]]:
    for member, path in tree:
        if match := _MASK.search(path):
            yield member, match


def read(tree: Tree) -> Reading:
    index = ImageIndex(tree)
    found = sorted(_masks(tree), key=lambda entry: tree.names[entry[0]])
    if not found:
        raise DataError([Issue.of("layout.no_masks", "there are no brush masks of Label Studio (task-….png)")])
    for member, _ in found:
        del index.members[member]
    values = class_names.numbers(sorted({match[5] for _, match in found}))
    samples, lost, used = [], [], set()
    for task in sorted({match[1] for _, match in found}, key=int):
        parts = [(member, match) for member, match in found if match[1] == task]
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
        issues.append(Issue.of("annotation.missing_image", message, files=lost, severity=severity, fix=_FIX))
    lonely = sorted(tree.names[image] for image in index.members if image not in used)
    if lonely and samples:
        severity = Severity.WARNING if len(lonely) <= len(samples) else Severity.FAULT
        message = f"{len(lonely)} images have no mask"
        issues.append(Issue.of("pair.missing_mask", message, files=lonely, severity=severity))
    samples.sort(key=lambda sample: sample.key)
    names = class_names.drawn(values, "the names of the masks")
    return Reading(NAME, samples, names, issues, ["of several annotators the one with the lowest number counts"])


def _sample(path: str, image: int, parts: list[tuple[int, re.Match[str]]], values: dict[str, int]) -> Sample:
    first = min((match[2] for _, match in parts), key=lambda number: int(number) if number.isdecimal() else -1)
    chosen = [(member, values[match[5]]) for member, match in parts if match[2] == first]
    split = split_of(path)
    key = pairing_key(path)
    return Sample(f"{split}/{key}" if split else key, image, MaskUnion(tuple(chosen)), split)
