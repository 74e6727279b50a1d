"""Mapillary Vistas: one set of images, and masks of one or both of its versions (v1.2, v2.0).

``labels`` have the number of the class, in a palette; ``config_v1.2.json`` (in the older form ``config.json``) names
the classes in the order of their numbers. Source: mapillary/mapillary_vistas, ``README`` and ``demo.py``.
"""

import re
from dataclasses import dataclass

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import MAX_CLASSES, ClassNames, checked
from segdrop.dataset.layouts.shared import annotation_files, json_files
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Pattern, Scheme
from segdrop.dataset.samples import Reading, Split
from segdrop.errors import DataError, Issue

_SIDE = r"(?P<split>training|validation|testing|train|val|valid|test)"
_IMAGES = Pattern(f"{_SIDE}/images", r"(?P<name>[^/]+)\.[^./]+")
_SHOWN = 8
_FLAT_CONFIG = "config.json"


@dataclass(frozen=True, slots=True)
class Version:
    """A version of the classes: its layout, its folder, and its file of names; ``has_flat`` says that masks of it are
    also without a folder of the version.
    """

    layout: str
    folder: str
    config: str
    has_flat: bool

    @property
    def scheme(self) -> Scheme:
        """Where the images and the masks of this version are, in folders of versions."""
        return _scheme(rf"/{re.escape(self.folder)}")


def _scheme(version: str) -> Scheme:
    others = (
        Pattern(rf"{_SIDE}(?:/v\d\.\d)?/(?:instances|panoptic|polygons|labels)", r"[^/]+\.(?:png|json)"),
        Pattern("", r"(?:config(?:_v\d\.\d)?\.json|demo\.py|license|readme|requirements\.txt)"),
    )
    return Scheme(_IMAGES, Pattern(rf"{_SIDE}{version}/labels", r"(?P<name>[^/]+)\.png"), others)


def signature(tree: Tree, version: Version) -> str:
    """Returns by what the tree is known to have this version of Mapillary Vistas, or ""."""
    labels = f"{version.folder}/labels/"
    if any(labels in path.casefold() for _, path in tree) and version.scheme.fits(tree):
        return f"images/ and {version.folder}/labels/"
    config = _member(tree, _FLAT_CONFIG) if version.has_flat else None
    if config is None or not _scheme("").fits(tree):
        return ""
    look = json_files.keys_of(tree, config)
    return "images/, labels/ and Mapillary's config.json" if {"labels", "readable", "evaluate"} <= look else ""


def read(tree: Tree, version: Version) -> Reading:
    """Returns the pairs of images and masks of a version. Raises DataError where there are none."""
    is_flat = version.has_flat and not version.scheme.fits(tree)
    scheme = _scheme("") if is_flat else version.scheme
    config = _member(tree, version.config)
    if config is None and is_flat:
        config = _member(tree, _FLAT_CONFIG)
    files = scheme.collect(tree, [] if config is None else [config])
    withheld = _leave_out_tests(files)
    pairs = files.pair()
    names, issues, said = _names(tree, config) if config is not None else (None, [], [])
    if not is_flat:
        said = [f"the masks in {version.folder}/labels/ are read, no other version", *said]
    if withheld:
        said.append(f"{withheld} images of the test side have no masks, as published, and are left out")
    return Reading(version.layout, pairs.samples, names, [*issues, *pairs.issues], [*said, *pairs.assumptions])


def _leave_out_tests(files: ImagesAndMasks) -> int:
    """Leave out images of the test side if none of them has a mask: returns how many."""
    if Split.TEST in files.masks.splits.values():
        return 0
    tests = [key for key, split in files.images.splits.items() if split is Split.TEST]
    for key in tests:
        del files.images.members[key], files.images.splits[key]
        files.images.clashes.pop(key, None)
    return len(tests)


def _member(tree: Tree, name: str) -> int | None:
    return next((member for member, path in tree if path.casefold().rpartition("/")[2] == name), None)


def _names(tree: Tree, config: int) -> tuple[ClassNames | None, list[Issue], list[str]]:
    """Returns class names by number; those that are not evaluated are ignored, as in the benchmark."""
    try:
        content = annotation_files.load_json(tree, config)
        labels = content.get("labels") if isinstance(content, dict) else None
        if not isinstance(labels, list) or not all(isinstance(label, dict) for label in labels):
            raise annotation_files.invalid(tree, config, "it has no list of labels")
        titles = _titles(labels)
        void = [number for number, label in enumerate(labels) if label.get("evaluate") is False]
        kept = [(number, title) for number, title in enumerate(titles) if number not in void]
        names = checked(
            ClassNames(tree.names[config], numbered=tuple(kept[: MAX_CLASSES + 2]), ignored=frozenset(void))
        )
    except DataError as error:
        return None, error.issues, []
    shown = ", ".join(titles[number] for number in void[:_SHOWN]) + (", …" if len(void) > _SHOWN else "")
    said = [f"{len(void)} classes that {names.source} does not evaluate are ignored: {shown}"] if void else []
    return names, [], said


def _titles(labels: list[dict[str, object]]) -> list[str]:
    """Returns the classes' names for people, where each has its own, else those of the hierarchy."""
    readable = [json_files.name_in(label, "readable") for label in labels]
    if all(readable) and len(set(readable)) == len(readable):
        return readable
    return [json_files.name_in(label, "name", "readable") for label in labels]
