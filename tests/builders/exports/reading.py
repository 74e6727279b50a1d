"""Exports read back: what the product makes of them at full size, pixel by pixel; and of damaged ones."""

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from builders.archives import write_zip
from builders.specs import check
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.cache import CacheReader
from segdrop.dataset.layouts import Layout
from segdrop.dataset.report import CheckReport
from segdrop.dataset.samples import Reading
from segdrop.errors import DataError

#: in place of any value in JSON
WRONG: tuple[Any, ...] = (
    *(None, True, 0, -1, 1.5, 10**400, float("nan"), float("inf"), "", "x", "\ud800", [], {}, [[]], [None], {"a": []}),
    *([1, 2, 3], [[1, 2], [3]], [["a", "b"] * 4], [[1e300] * 6], [[float("nan")] * 6], [[10**400] * 6], "9" * 5000),
)


def read_back(
    content: Mapping[str, bytes], folder: Path, size: tuple[int, int], request: dict[str, Any] | None = None
) -> tuple[CheckReport, dict[str, np.ndarray], dict[str, str]]:
    """The report; class ids (height, width) and the side of the split by the image's name.

    ``size``: (height, width) of all images, so that nothing is resized.
    """
    report = check(write_zip(folder / "data.zip", content), {"image_size": list(size), **(request or {})})
    if report.dataset is None:
        return report, {}, {}
    with CacheReader(folder / "cache") as reader:
        index = reader.index
        ids = dict(zip(index.names, reader.masks(range(index.count)), strict=True))
        sides = {"train": index.train, "val": index.val, "test": index.test}
        return report, ids, {index.names[i]: side for side, positions in sides.items() for i in positions}


def same(found: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> bool:
    return found.keys() == expected.keys() and all(np.array_equal(found[name], expected[name]) for name in expected)


def tree_of(content: Mapping[str, bytes]) -> Tree:
    blobs = list(content.values())
    return Tree(list(content), read=blobs.__getitem__)


def codes(reading: Reading) -> dict[str, str]:
    """Codes of issues with their severities."""
    return {issue.code: issue.severity.value for issue in reading.issues}


def survives(layout: Layout, content: Mapping[str, bytes]) -> bool:
    """Whether reading ends well, or in an answer: anything else is raised."""
    tree = tree_of(content)
    layout.signature(tree)
    try:
        return bool(layout.read(tree).layout)
    except DataError:
        return False


def damaged_json(content: bytes) -> Iterator[bytes]:
    """The file with each of its values replaced, one at a time; with each left out; cut off; and no JSON at all."""
    yield from (b"", b"null", b"[]", b"{}", b"[" * 100_000, b"\xff\xfe", b"\x00" * 9, content[: len(content) // 2])
    whole = json.loads(content)
    for path in _paths(whole):
        for value in WRONG:
            yield _with(whole, path, value)
        if path:
            yield _with(whole, path)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Of all values; of a list, of the first two members only."""
    yield path
    inner: Sequence[tuple[Any, Any]] = ()
    if isinstance(value, dict):
        inner = list(value.items())
    elif isinstance(value, list):
        inner = list(enumerate(value))[:2]
    for key, member in inner:
        yield from _paths(member, (*path, key))


def _with(whole: Any, path: tuple[Any, ...], *value: Any) -> bytes:
    if not path:
        return json.dumps(value[0]).encode()
    changed = copy.deepcopy(whole)
    place = changed
    for key in path[:-1]:
        place = place[key]
    if value:
        place[path[-1]] = value[0]
    else:
        del place[path[-1]]
    return json.dumps(changed).encode()
