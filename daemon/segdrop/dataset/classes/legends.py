"""Files that name classes, with or without their colours or values, as tools write them beside masks.

``labels.txt`` and its like (a name a line, with values or colours before or after it), ``labelmap.txt`` (CVAT),
``class_dict.csv`` and other tables, ``codes.txt`` (fastai: line 1 is value 0), and JSON: ``id2label.json``,
``dataset_meta.json`` (Datumaro), ``classes.json``, ``config.json``, nnU-Net's ``dataset.json``.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from segdrop.codes import Code, Severity
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames, decoded
from segdrop.dataset.classes.lists import agreement, lines, objects, tables
from segdrop.dataset.classes.lists.entries import names_of
from segdrop.errors import DataError, Issue

#: lower-case names of files that hold nothing but a list, the surest first: those with colours or values say more
FILE_NAMES = (
    "labelmap.txt",
    "label_colors.txt",
    "label_colours.txt",
    "class_dict.csv",
    "class_dict_seg.csv",
    "label_class_dict.csv",
    "_classes.csv",
    "labels.txt",
    "classes.txt",
    "class_names.txt",
    "label_names.txt",
)
#: names of files that may hold a list: what is none is left alone. They are read beside masks only
MAYBE_NAMES = (
    *("id2label.json", "dataset_meta.json", "classes.json", "class_names.json", "labels.json", "label_map.json"),
    *("labelmap.json", "class_dict.json", "label_names.json", "labelmap.csv", "label_map.csv", "labels.csv"),
    *("classes.csv", "class_names.csv", "label_colors.csv", "color_map.csv", "colormap.csv"),
    *("codes.txt", "label_map.txt", "class_dict.txt", "colormap.txt", "color_map.txt", "label.txt", "class.txt"),
    *("names.txt", "label2id.json", "colormap.json", "color_map.json", "categories.json", "config.json"),
    *("dataset.json", "class.json", "data.yaml", "data.yml", "dataset.yaml", "labels.yaml", "classes.yaml"),
)
#: these hold settings, of which a list of classes may be one
_SETTINGS = frozenset({"config.json", "dataset.json", "data.yaml", "data.yml", "dataset.yaml"})
_FROM_ZERO = "codes.txt"  #: fastai: the number of the line, from 0, is the value
_MAX_BYTES = 1 << 20
_MOST_MAYBE_BYTES = 1 << 17
_MOST_LISTS = 8
_MOST_ROWS = 1 << 12
#: what Hugging Face writes where nobody named the classes
_PLACEHOLDER = re.compile(r"LABEL_\d+")
#: begins a line that is no comment
_HEX_FIRST = re.compile(r"#[0-9a-fA-F]{6}\b")


@dataclass(frozen=True, slots=True)
class Gathered:
    """Tells what all lists of classes in a tree say together: names, or None where none can be read; the members that
    hold them; and the issues and assumptions on the way.
    """

    names: ClassNames | None
    members: Sequence[int]
    issues: list[Issue]
    assumptions: list[str]


def rank(path: str) -> tuple[int, int] | None:
    """Returns how much a file with this path is wanted to name the classes, less being more, or None for not at all."""
    folder, _, name = path.casefold().rpartition("/")
    return (FILE_NAMES.index(name), folder.count("/") + bool(folder)) if name in FILE_NAMES else None


def find(tree: Tree) -> list[int]:
    """Returns the members that name classes, the most wanted first."""
    ranked = ((found, path, member) for member, path in tree if (found := rank(path)) is not None)
    return [member for *_, member in sorted(ranked)]


def read(tree: Tree, member: int) -> tuple[ClassNames | None, list[Issue]]:
    """Returns the names in a file, or the issue that says why they cannot be used."""
    source = tree.names[member]
    try:
        if (size := tree.size_bytes(member)) > _MAX_BYTES:
            message = f"{source} has {size} bytes, more than any list of names"
            return None, [Issue.of(Code.CLASSES_INVALID, message, files=[source])]
        return parse(tree.read(member), source), []
    except MemberError as error:
        return None, [Issue.of(Code.ARCHIVE_CORRUPT, f"{source}: {error}", files=[source])]
    except DataError as error:
        return None, error.issues


def gather(tree: Tree) -> Gathered:
    """Returns what the lists of classes in a tree say together. Of many lists, the first few are read."""
    lists, members, issues = [], [], []
    for member in find(tree)[:_MOST_LISTS]:
        names, found = read(tree, member)
        members.append(member)
        issues += found
        lists += [names] if names is not None else []
    for member in _perhaps(tree)[: _MOST_LISTS - len(members)]:
        names = _read_perhaps(tree, member)
        if names is not None:
            members.append(member)
            lists.append(names)
    if not lists:
        return Gathered(None, members, issues, [])
    if issues and lists:
        issues = [replace(issue, severity=Severity.WARNING) for issue in issues]
    names, found = agreement.combined(lists)
    others = [other.source for other in lists if other.source != names.source]
    said = (
        [f"{names.source} and {', '.join(others)} are read together: they do not contradict each other"]
        if others and not found
        else []
    )
    return Gathered(names, members, [*issues, *found], said)


def _perhaps(tree: Tree) -> list[int]:
    """Returns the members that may be lists by their names, the likelier first."""
    found = []
    for member, path in tree:
        folder, _, name = path.casefold().rpartition("/")
        if name in MAYBE_NAMES and tree.size_bytes(member) <= _MOST_MAYBE_BYTES:
            found.append((MAYBE_NAMES.index(name), folder.count("/") + bool(folder), path, member))
    return [member for *_, member in sorted(found)]


def _read_perhaps(tree: Tree, member: int) -> ClassNames | None:
    """Returns the names in a file that may be a list, or None where it is none."""
    try:
        return parse(tree.read(member), tree.names[member])
    except (MemberError, DataError):
        return None


def parse(content: bytes, source: str) -> ClassNames:
    """Returns the names in a file that is called like a list of classes. Raises DataError where there are none."""
    name = source.casefold().rpartition("/")[2]
    text = decoded(content, source)
    if name.endswith((".json", ".yaml", ".yml")):
        return _from_document(text, source, is_json=name.endswith(".json"))
    rows = [line.strip() for line in re.split(r"\r\n|\r|\n", text)]
    rows = [line for line in rows if line and not (line.startswith("#") and not _HEX_FIRST.match(line))]
    if not rows:
        return names_of([], source)
    if len(rows) > _MOST_ROWS:
        message = f"{source} has {len(rows)} lines, more than there can be classes"
        raise DataError([Issue.of(Code.CLASSES_INVALID, message, files=[source])])
    names = names_of(tables.parse(rows, source) if name.endswith(".csv") else lines.parse(rows), source)
    if name == _FROM_ZERO and names.ordered:
        return replace(names, ordered=(), numbered=tuple(enumerate(names.ordered)), is_from_file=False)
    return names


def _from_document(text: str, source: str, *, is_json: bool) -> ClassNames:
    """Returns the names in a JSON or YAML document. Raises DataError where it is no list of classes."""
    try:
        document = json.loads(text) if is_json else _yaml(text)
        entries = objects.parse(document, only_by_key=source.casefold().rpartition("/")[2] in _SETTINGS)
    except (ValueError, RecursionError) as error:
        message = f"{source} cannot be read ({' '.join(str(error).split())[:200]})"
        raise DataError([Issue.of(Code.CLASSES_INVALID, message, files=[source])]) from None
    if not entries or all(_PLACEHOLDER.fullmatch(entry.name) for entry in entries):
        raise DataError([Issue.of(Code.CLASSES_INVALID, f"{source} holds no list of classes", files=[source])])
    if not is_json:
        # detection tools number the classes without a background, so that a number says no more than the order
        entries = [replace(entry, number=None) for entry in sorted(entries, key=lambda entry: entry.number or 0)]
    return names_of(entries, source)


def _yaml(text: str) -> Any:  # noqa: ANN401  (whatever stands there)
    """Returns the document as lists, mappings and texts. Raises ValueError where it is no YAML."""
    import yaml  # noqa: PLC0415  (few datasets have any)

    try:
        return yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506  (this loader makes no objects)
    except yaml.YAMLError as error:
        raise ValueError(str(error)) from None
