"""The safe files of an archive as a tree of paths: what a layout looks at."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from segdrop.dataset.samples import is_image


def _no_content(member: int) -> bytes:
    raise LookupError(f"a tree of names alone has no content for member {member}")


@dataclass(frozen=True, slots=True)
class Tree:
    """Files by position (``member``), seen from one folder: the root, or one that wraps all data."""

    names: Sequence[str]  #: whole paths, by member
    prefix: str = ""  #: the folder, with its slash, or nothing
    read: Callable[[int], bytes] = _no_content  #: a member's bytes; may raise ``source.MemberError``

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Members with their paths below the folder; files that lie loose around it, by their bare name."""
        skip = len(self.prefix)
        for member, name in enumerate(self.names):
            yield member, name[skip:] if name.startswith(self.prefix) else name.rpartition("/")[2]

    def unwrapped(self) -> "Tree | None":
        """The same files seen from the one folder in this one, or ``None`` if there is none or several.

        Loose files beside that folder (a README, the request) are no obstacle, images are.
        """
        folders = set()
        for _, path in self:
            first, slash, _ = path.partition("/")
            if slash:
                folders.add(first)
            elif is_image(path):
                return None
            if len(folders) > 1:
                return None
        return Tree(self.names, f"{self.prefix}{folders.pop()}/", self.read) if folders else None

    def views(self) -> Iterator["Tree"]:
        """This tree, and the views from inside its wrapper folders, outermost first."""
        view: Tree | None = self
        while view is not None:
            yield view
            view = view.unwrapped()

    def find(self, wanted: str) -> int | None:
        """The member with this path (lower case), whatever its case, from outside in."""
        for view in self.views():
            for member, path in view:
                if path.casefold() == wanted:
                    return member
        return None
