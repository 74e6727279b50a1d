"""The files around YOLO's label files: class names, and which images are on which side of the split.

Names come from ``data.yaml`` (Ultralytics, Roboflow, CVAT), ``classes.txt`` and ``notes.json`` (Label Studio),
``obj.names`` and ``_darknet.labels`` (Darknet); sides from lists of images (``train.txt``), else from names of folders,
else from what the YAML says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files
from segdrop.dataset.layouts.shared.annotated import Gathering, members, split_of
from segdrop.dataset.layouts.shared.folders import SPLIT_FOLDERS
from segdrop.dataset.layouts.shared.matching import ImageIndex
from segdrop.dataset.samples import Split
from segdrop.errors import DataError

NAME_LISTS = ("classes.txt", "obj.names", "_darknet.labels", "labels.txt", "class_names.txt")
_NUMBER = re.compile(r"[0-9]{1,6}")
_MOST_FILES = 20
_MOST_YAML_BYTES = 1 << 18  #: the limit for all files together; PyYAML reads about 100 000 bytes in a second
#: the limits for folders and lists that a YAML names, each of which is looked for in all paths
_MOST_ENTRIES, _MOST_PARTS = 32, 16


@dataclass(slots=True)
class Project:
    """The class names by number, from ``source``, and the images in lists, with the list and its side."""

    titles: dict[int, str] = field(default_factory=dict)
    source: str = "the annotations"
    is_pose: bool = False  #: the numbers are boxes with key points
    listed: dict[int, tuple[int, Split]] = field(default_factory=dict)
    folders: dict[str, set[Split]] = field(default_factory=dict)  #: ends of folders, as the YAML has them
    _sides: dict[str, Split | None] = field(default_factory=dict)  #: the side by folder of images

    def side(self, image: int, path: str) -> Split | None:
        """Returns the side of the split that an image is on, or None where nothing says it."""
        if image in self.listed:
            return self.listed[image][1]
        folder = f"/{path.rpartition('/')[0]}/"
        if folder not in self._sides:
            named = set().union(*(splits for end, splits in self.folders.items() if f"/{end}/" in folder))
            # one folder for several sides says nothing
            self._sides[folder] = split_of(path) or (named.pop() if len(named) == 1 else None)
        return self._sides[folder]


def read(tree: Tree, index: ImageIndex, gathering: Gathering) -> Project:
    """Returns what the project's files say. Files that cannot be read are put on record."""
    project = Project()
    lists: dict[int, Split] = {}
    left_bytes = _MOST_YAML_BYTES
    for member, path in members(tree, "yaml", "yml")[:_MOST_FILES]:
        gathering.use(member)
        if left_bytes < 0:
            continue
        left_bytes -= tree.size_bytes(member)
        try:
            content = annotation_files.load_yaml(tree, member)
        except DataError as error:
            gathering.broken(error)
            continue
        if isinstance(content, dict) and not project.titles and "names" in content:
            project.titles, project.source = _titles(content["names"]), tree.names[member]
            project.is_pose = "kpt_shape" in content
            _read_sides(content, project, lists, tree)
        elif path.rpartition("/")[2].casefold() in ("data.yaml", "dataset.yaml"):
            gathering.invalid(member, "it has no `names`")
    for member, path in members(tree, "txt"):
        stem = path.rpartition("/")[2].casefold().removesuffix(".txt").rstrip("0123456789")
        if stem in SPLIT_FOLDERS:
            lists.setdefault(member, SPLIT_FOLDERS[stem])
    for member, split in lists.items():
        _read_list(tree, member, split, index, project, gathering)
    if not project.titles:
        _read_names(tree, project, gathering)
    return project


def _titles(names: object) -> dict[int, str]:
    """Returns class names by number from a YAML's ``names``: a list, or a mapping from numbers."""
    pairs: list[tuple[Any, Any]] = []
    if isinstance(names, list):
        pairs = list(enumerate(names))
    elif isinstance(names, dict):
        pairs = [(int(number), name) for number, name in names.items() if _NUMBER.fullmatch(str(number))]
    return {number: name.strip() for number, name in sorted(pairs) if isinstance(name, str) and name.strip()}


def _read_sides(content: dict[str, Any], project: Project, lists: dict[int, Split], tree: Tree) -> None:
    """Read the YAML's ``train``, ``val`` and ``test``: folders or lists, from wherever the training was to run."""
    # one text, in which a folder is found at once
    folders = "\n".join({f"/{path.rpartition('/')[0]}/" for _, path in tree})
    texts = {path: member for member, path in tree if path.casefold().endswith(".txt")}
    for split, entry in _entries(content):
        parts = [part for part in entry.replace("\\", "/").split("/") if part not in ("", ".", "..")][-_MOST_PARTS:]
        ends = ["/".join(parts[start:]) for start in range(len(parts))]
        if parts and parts[-1].casefold().endswith(".txt"):
            lists.update({texts[end]: split for end in ends if end in texts})
        elif end := next((end for end in ends if f"/{end}/" in folders), None):
            project.folders.setdefault(end, set()).add(split)


def _entries(content: dict[str, Any]) -> Iterator[tuple[Split, str]]:
    """Yields the sides that the YAML names, with what it says of each; never the text of a list within a list."""
    for key, split in SPLIT_FOLDERS.items():
        entries = content.get(key)
        for entry in (entries if isinstance(entries, list) else [entries])[:_MOST_ENTRIES]:
            if isinstance(entry, str):
                yield split, entry


def _read_list(
    tree: Tree, member: int, split: Split, index: ImageIndex, project: Project, gathering: Gathering
) -> None:
    """Read a list of images, one a line; a file that names none is no list."""
    try:
        lines = [line.strip() for line in annotation_files.text(tree, member).splitlines() if line.strip()]
    except DataError as error:
        gathering.broken(error)
        return
    found = [(line, index.find(line, tree.names[member].rpartition("/")[0])) for line in lines]
    if not any(image is not None for _, image in found):
        return
    gathering.use(member)
    for line, image in found:
        if image is None:
            gathering.lost([line], member)
        elif project.listed.setdefault(image, (member, split))[1] is not split:
            gathering.clash(member, project.listed[image][0])


def _read_names(tree: Tree, project: Project, gathering: Gathering) -> None:
    """Read names from the first list that there is."""
    by_name = {path.rpartition("/")[2].casefold(): member for member, path in tree}
    for name in (*NAME_LISTS, "notes.json"):
        if (member := by_name.get(name)) is None:
            continue
        gathering.use(member)
        if project.titles:
            continue
        try:
            if name == "notes.json":
                project.titles = _noted(annotation_files.load_json(tree, member))
            else:
                lines = [line.strip() for line in annotation_files.text(tree, member).splitlines()]
                project.titles = dict(enumerate(line for line in lines if line))
        except DataError as error:
            gathering.broken(error)
        if project.titles:
            project.source = tree.names[member]


def _noted(content: object) -> dict[int, str]:
    """Returns class names by number from Label Studio's ``notes.json``."""
    found = content.get("categories") if isinstance(content, dict) else None
    entries = [entry for entry in found if isinstance(entry, dict)] if isinstance(found, list) else []
    pairs = [(entry.get("id"), entry.get("name")) for entry in entries]
    return {number: name for number, name in pairs if isinstance(number, int) and isinstance(name, str) and name}
