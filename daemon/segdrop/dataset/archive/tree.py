"""The safe files of an archive as a tree of paths, which layouts look at.

Everything here is linear in the length of all names together, however deep they are nested.
"""

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from segdrop.dataset.samples import is_image

#: this many wrapper folders are looked into from outside, and as many from inside: data are not wrapped more often
_MOST_WRAPPERS = 4
#: what hidden files have behind their names
HIDDEN = ".hidden"


def _no_content(member: int) -> bytes:
    raise LookupError(f"a tree of names alone has no content for member {member}")


class Tree:
    """Files by position (``member``), seen from one folder: the root, or one that wraps all data.

    ``prefix`` is that folder with its slash, or "". ``memo`` keeps what was found out about these files, the same for
    all views.
    """

    def __init__(
        self,
        names: Sequence[str],
        read: Callable[[int], bytes] = _no_content,
        size_bytes: Callable[[int], int] | None = None,
    ) -> None:
        """Take whole paths by member, as names alone or with the way to their content.

        ``read`` returns a member's bytes and may raise ``source.MemberError``; ``size_bytes`` tells how many they are,
        without reading them.
        """
        self.names = names
        self.prefix = ""
        self.read = read
        self.size_bytes = size_bytes or (lambda member: len(read(member)))
        self.memo: dict[tuple[str, str], Any] = {}
        self._innermost = _innermost_wrapper(names)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Yields members with their paths below the folder; files that lie loose around it, by their bare name."""
        if not self.prefix:
            yield from enumerate(self.names)
            return
        skip = len(self.prefix)
        for member, name in enumerate(self.names):
            yield member, name[skip:] if name.startswith(self.prefix) else name.rpartition("/")[2]

    @property
    def wrappers(self) -> list[str]:
        """Names of the folders in this one that wrap all data, outermost first.

        Loose files beside such a folder (a README, the request) are no obstacle, images are.
        """
        return self._innermost[len(self.prefix) :].split("/")[:-1]

    def inside(self, wrappers: Iterable[str]) -> "Tree":
        """Returns the same files seen from within so many of the :attr:`wrappers`, which are given by name."""
        prefix = self.prefix + "".join(f"{folder}/" for folder in wrappers)
        return self._at(prefix) if prefix != self.prefix else self

    def _at(self, prefix: str) -> "Tree":
        view = copy.copy(self)
        view.prefix = prefix
        return view

    def hiding(self, members: Iterable[int]) -> "Tree":
        """Returns the same tree, in which these files are no images by their names, see ``HIDDEN``."""
        hidden = set(members)
        view = copy.copy(self)
        view.names = [name + HIDDEN if member in hidden else name for member, name in enumerate(self.names)]
        view.memo = {}
        return view

    def views(self) -> Iterator["Tree"]:
        """Yields this tree, and the views from inside its wrapper folders, outermost first."""
        yield self
        ends = [
            place + 1 for place, letter in enumerate(self._innermost) if letter == "/" and place >= len(self.prefix)
        ]
        for end in [*ends[:_MOST_WRAPPERS], *ends[_MOST_WRAPPERS:][-_MOST_WRAPPERS:]]:
            yield self._at(self._innermost[:end])

    def find(self, wanted: str) -> int | None:
        """Returns the member with this bare name (lower case) in the root or a wrapper, in any case, the outermost
        first.
        """
        depth = self._innermost.count("/")
        found = [
            (name.count("/"), name.rpartition("/")[2] != wanted, member)
            for member, name in enumerate(self.names)
            if name.rpartition("/")[2].casefold() == wanted
        ]
        return min((entry for entry in found if entry[0] <= depth), default=(0, False, None))[2]


def _innermost_wrapper(names: Sequence[str]) -> str:
    """Returns the innermost folder that holds all data, with its slash, or "" if data begin in the root.

    All folders lie in it or around it, and no image lies around it.
    """
    folders = {name.rpartition("/")[0] for name in names} - {""}
    wrapper = max(folders, key=lambda folder: folder.count("/"), default="")
    for folder in folders:
        if not (f"{wrapper}/".startswith(f"{folder}/") or f"{folder}/".startswith(f"{wrapper}/")):
            wrapper = _shared(wrapper, folder)
            if not wrapper:
                return ""
    depth = min((name.count("/") for name in names if is_image(name)), default=None)
    kept = wrapper.split("/")[:depth]
    return "/".join([*kept, ""]) if wrapper and kept else ""


def _shared(one: str, other: str) -> str:
    """Returns the folders at their beginning that two paths have in common."""
    shared = []
    for part, its in zip(one.split("/"), other.split("/"), strict=False):
        if part != its:
            break
        shared.append(part)
    return "/".join(shared)
