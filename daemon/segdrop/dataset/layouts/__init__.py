"""Layouts: one module each. ``signature`` says whether a tree looks like it, ``read`` makes samples of it.

To add one: write the module, put it into ``LAYOUTS``, specific before generic (the first signature that
matches wins), and its name into ``request.AVAILABLE["format"]``.
"""

from collections import Counter
from typing import Protocol

from segdrop.dataset.layouts import paired
from segdrop.dataset.samples import Reading, extension
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

_SHOWN = 8


class Layout(Protocol):
    """What a layout's module offers."""

    NAME: str

    def signature(self, tree: Tree) -> bool:
        """Whether the tree, seen from its root, is laid out like this."""

    def read(self, tree: Tree) -> Reading:
        """The samples in it; also where the signature does not match, for a request that names the layout."""


LAYOUTS: tuple[Layout, ...] = (paired,)


def read(tree: Tree, wanted: str = "auto") -> Reading:
    """Recognise the layout, or take the one the request names; ``DataError`` if there is none."""
    candidates = [layout for layout in LAYOUTS if wanted in ("auto", layout.NAME)]
    for layout in candidates:
        for view in tree.views():
            if layout.signature(view):
                return layout.read(view)
    issues = paired.explain(tree) or [_unknown(tree)]
    raise DataError(issues)


def _unknown(tree: Tree) -> Issue:
    """What was seen instead: top folders and kinds of files."""
    *_, inner = tree.views()
    folders = Counter(path.partition("/")[0] + "/" for _, path in inner if "/" in path)
    kinds = Counter(extension(path) or "without extension" for _, path in inner)
    seen = ", ".join(sorted(folders)[:_SHOWN]) or "none"
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(_SHOWN))
    return Issue.of(
        "layout.unknown",
        f"no known layout; folders at the top: {seen}; files: {counts}",
        count=sum(kinds.values()),
    )
