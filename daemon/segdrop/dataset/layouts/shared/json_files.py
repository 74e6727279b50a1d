"""The JSON files of tools that write one for each image or for the project: known by their keys, read one by one."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segdrop.dataset import shapes
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files, folders
from segdrop.dataset.layouts.shared.annotated import Gathering, members
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.samples import is_image, pairing_key
from segdrop.errors import DataError

if TYPE_CHECKING:
    from array import array

_LOOKED_AT = 3
#: keys are looked for at the beginning and the end of a file
_HEAD_CHARACTERS, _TAIL_CHARACTERS = 1 << 20, 1 << 16
_KEY = re.compile(r'"([A-Za-z_][\w-]{0,40})"\s*:')


@dataclass(frozen=True, slots=True)
class Look:
    """Tells what a look at a JSON file shows: its path, whether it is an object or a list, and the keys in it."""

    path: str
    is_object: bool
    keys: frozenset[str]

    def has(self, *keys: str) -> bool:
        """Whether all of these keys occur."""
        return self.keys.issuperset(keys)


def looks(tree: Tree) -> list[Look]:
    """Returns what the first few JSON files are like. They are read once for all layouts that ask."""
    memo = tree.memo
    if ("JSON looks", tree.prefix) not in memo:
        memo["JSON looks", tree.prefix] = [
            look for member, path in members(tree, "json")[:_LOOKED_AT] if (look := _look(tree, member, path))
        ]
    found: list[Look] = memo["JSON looks", tree.prefix]
    return found


def _look(tree: Tree, member: int, path: str) -> Look | None:
    try:
        text = annotation_files.text(tree, member)
    except DataError:
        return None
    part = text if len(text) <= _HEAD_CHARACTERS else text[:_HEAD_CHARACTERS] + text[-_TAIL_CHARACTERS:]
    return Look(path, part.lstrip()[:1] == "{", frozenset(_KEY.findall(part)))


def keys_of(tree: Tree, member: int) -> frozenset[str]:
    """Returns the keys in a JSON file, or none where it is no text."""
    look = _look(tree, member, "")
    return look.keys if look else frozenset()


def parsed(tree: Tree, found: Gathering, is_ours: Callable[[Any], bool]) -> Iterator[tuple[int, str, Any]]:
    """Yields the member, the path and the content of each JSON file that is the tool's.

    What cannot be read is put on record; another tool's file is left out as a stray.
    """
    for member, path in members(tree, "json"):
        try:
            content = annotation_files.load_json(tree, member)
        except DataError as error:
            found.use(member)
            found.broken(error)
            continue
        if is_ours(content):
            found.use(member)
            yield member, path, content


def mask_folders(tree: Tree) -> frozenset[str]:
    """Returns the names of folders for masks whose pictures all have the names of images elsewhere: no annotation
    means those.
    """
    stems: dict[str, set[str]] = defaultdict(set)
    others: set[str] = set()
    for _, path in tree:
        if is_image(path):
            folder, _, name = path.casefold().rpartition("/")
            parts = [part for part in folder.split("/") if folders.meaning(part).role is Role.MASK]
            for part in parts:
                stems[part].add(pairing_key(name))
            if not parts:
                others.add(pairing_key(name))
    return frozenset(part for part, names in stems.items() if names <= others)


def dictionaries(found: Gathering, member: int, entries: object, what: str) -> Iterator[dict[str, Any]]:
    """Yields the objects of a list; what is none of them is on record as an invalid ``what`` ("a shape")."""
    if not isinstance(entries, list):
        found.invalid(member, f"{what} is not in a list")
        return
    for entry in entries:
        if isinstance(entry, dict):
            yield entry
        else:
            found.invalid(member, f"{what} is no object")


def name_in(entry: dict[str, Any], *keys: str) -> str:
    """Returns the text at the first of the keys that has one, or ""."""
    return next((value.strip() for key in keys if isinstance(value := entry.get(key), str) and value.strip()), "")


def outline(points: object) -> "array[float]":
    """Returns a list of [x, y] as a ring. Raises TypeError or ValueError for anything else."""
    if not isinstance(points, list):
        raise TypeError("a polygon has no list of points")
    return shapes.ring(points)


def pairs(numbers: object) -> list[tuple[Any, Any]]:
    """Returns x and y in turn as pairs. Raises ValueError for what is no such list."""
    if not isinstance(numbers, list) or len(numbers) % 2:
        raise ValueError("a polygon is no list of x and y in turn")
    return list(zip(numbers[0::2], numbers[1::2], strict=True))
