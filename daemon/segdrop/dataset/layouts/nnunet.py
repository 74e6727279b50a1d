"""nnU-Net's raw datasets of ordinary pictures: ``imagesTr/x_0000.png``, ``labelsTr/x.png`` and ``dataset.json``.

``_0000`` is the number of a channel; a file of it may hold red, green and blue. ``imagesTs/`` has no labels, as a rule.
``labels`` in the JSON are names with their values (in version 1 the other way round); one called ``ignore`` is left
out. Source: MIC-DKFZ/nnUNet, ``documentation/dataset_format.md``, ``ignore_label.md``, ``region_based_training.md``.
"""

import re
from collections import Counter
from typing import Any

from segdrop.codes import Code
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames, checked
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.complaints import plain
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Place
from segdrop.dataset.samples import Reading, Split, is_image
from segdrop.errors import DataError, Issue

NAME = "nnunet"

_DESCRIPTION = "dataset.json"
_FILE = re.compile(r"(?:.*/)?(?P<kind>images|labels)(?P<side>tr|ts)/(?P<name>[^/]+)\.(?P<extension>[^./]+)")
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_MOST_VALUE = 65_535
_IGNORE = "ignore"
_REGIONS_FIX = "Give each value one name of its own in `labels` of dataset.json, and pack the dataset again."


def signature(tree: Tree) -> str:
    """Returns by which folders the tree is known to be nnU-Net's, or ""."""
    kinds = set()
    for _, path in tree:
        found = _FILE.fullmatch(path.casefold()) if is_image(path) else None
        if found and found["side"] == "tr" and (found["kind"] == "labels" or found["name"].endswith("_0000")):
            kinds.add(found["kind"])
    return "imagesTr/ with channel numbers and labelsTr/" if len(kinds) == len(Role) else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images (their first channel file) and labels, with the names in dataset.json."""
    described = next((m for m, path in tree if path.casefold().rpartition("/")[2] == _DESCRIPTION), None)
    has_test = any((found := _FILE.fullmatch(path.casefold())) and _is(found, "labels", "ts") for _, path in tree)
    files, channels, num_unlabelled = ImagesAndMasks(tree), Counter[str](), 0
    for member, path in tree:
        found = _FILE.fullmatch(path.casefold()) if is_image(path) else None
        place, is_used = None, member == described
        if found is not None and found["kind"] == "images" and found["side"] == "ts" and not has_test:
            num_unlabelled, is_used = num_unlabelled + 1, True
        elif found is not None:
            channel = _CHANNEL.fullmatch(found["name"]) if found["kind"] == "images" else None
            channels.update([channel[2]] if channel else [])
            is_used = channel is not None and channel[2] != "0000"
            place = None if is_used else _place(found, has_test=has_test)
        files.add(member, path, place, is_used=is_used)
    files.demand_both()
    pairs = files.pair()
    names, issues = _names(tree, described)
    issues += _more_channels(channels)
    said = [f"imagesTs/ has no labels: its {num_unlabelled} files are not used"] if num_unlabelled else []
    return Reading(NAME, pairs.samples, names, [*issues, *pairs.issues], [*said, *pairs.assumptions])


def _is(found: "re.Match[str]", kind: str, side: str) -> bool:
    return found["kind"] == kind and found["side"] == side


def _place(found: "re.Match[str]", *, has_test: bool) -> Place:
    """Returns where a file stands; sides are given only where there are labels for both."""
    name, split = found["name"], None
    if found["kind"] == "images" and (channel := _CHANNEL.fullmatch(name)):
        name = channel[1]
    if has_test:
        split = Split.TEST if found["side"] == "ts" else Split.TRAIN
    return Place(Role.IMAGE if found["kind"] == "images" else Role.MASK, split, f"{name}.{found['extension']}")


def _more_channels(channels: Counter[str]) -> list[Issue]:
    """Returns a warning where images have more channel files than the one that is read."""
    others = sorted(channels.keys() - {"0000"})
    if not others:
        return []
    shown = ", ".join(f"_{number}" for number in others[:4]) + (", …" if len(others) > 4 else "")  # noqa: PLR2004
    message = (
        f"images have {len(others) + 1} channel files; _0000 is read as the image, and {shown} are not used: "
        "one picture of at most three channels is learned from"
    )
    fix = "Merge up to three channels into one RGB picture named …_0000, if the others matter."
    return [Issue.of(Code.LAYOUT_ASSUMED, message, count=sum(channels[number] for number in others), fix=fix)]


def _names(tree: Tree, member: int | None) -> tuple[ClassNames | None, list[Issue]]:
    """Returns the names in dataset.json, or the issue that says why they cannot be used."""
    if member is None:
        return None, []
    try:
        document = annotation_files.load_json(tree, member)
        labels = document.get("labels") if isinstance(document, dict) else None
        if not isinstance(labels, dict) or not labels:
            raise annotation_files.invalid(tree, member, "it has no `labels`")
        return _from_labels(tree, member, labels), []
    except DataError as error:
        return None, error.issues


def _from_labels(tree: Tree, member: int, labels: dict[str, Any]) -> ClassNames:
    """Returns names by value. Raises DataError for regions, which overlap, and for what is no value."""
    if regions := [name for name, value in labels.items() if isinstance(value, list)]:
        name = tree.names[member]
        message = (
            f"{name} defines regions, which share values ('{plain(regions[0])}' is {plain(str(labels[regions[0]]))}): "
            "a pixel has one class here"
        )
        raise DataError([Issue.of(Code.LAYOUT_UNSUPPORTED, message, files=[name], fix=_REGIONS_FIX)])
    numbered: list[tuple[int, str]] = []
    ignored = set()
    for key, value in labels.items():
        name, number = (value, key) if isinstance(value, str) and key.isdecimal() else (key, value)
        if not str(number).isdecimal() or len(str(number)) > len(str(_MOST_VALUE)):
            raise annotation_files.invalid(tree, member, f"label '{plain(str(name))}' has no whole number as its value")
        if name.strip().casefold() == _IGNORE:
            ignored.add(int(number))
        else:
            numbered.append((int(number), name.strip()))
    return checked(ClassNames(tree.names[member], numbered=tuple(sorted(numbered)), ignored=frozenset(ignored)))
