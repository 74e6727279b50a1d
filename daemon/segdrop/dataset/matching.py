"""Which image of the archive an annotation means by a name: whatever folder, machine or spelling it comes from."""

import unicodedata
from urllib.parse import unquote

from segdrop.dataset.samples import is_image, pairing_key
from segdrop.dataset.tree import Tree


def _spelling(path: str) -> str:
    return unicodedata.normalize("NFC", path.replace("\\", "/")).casefold().lstrip("./")


class ImageIndex:
    """The images of a tree by what annotation files call them."""

    def __init__(self, tree: Tree, skip_folders: frozenset[str] = frozenset()) -> None:
        """``skip_folders``: lower-case names of folders whose images are no data (visualisations)."""
        self.members: dict[int, str] = {}  #: paths below the tree's folder
        self._paths: dict[str, int] = {}
        self._names: dict[str, list[int]] = {}
        self._stems: dict[str, list[int]] = {}
        for member, path in tree:
            folders = path.casefold().split("/")[:-1]
            if is_image(path) and not skip_folders.intersection(folders):
                self.members[member] = path
                spelt = _spelling(path)
                self._paths[spelt] = member
                self._names.setdefault(spelt.rpartition("/")[2], []).append(member)
                self._stems.setdefault(pairing_key(spelt.rpartition("/")[2]), []).append(member)

    def find(self, reference: str, near: str = "") -> int | None:
        """The one image that ``reference`` (a name, path or URL) can mean, seen from the folder ``near``.

        Tried in turn: the path itself, below ``near``, from ``near``'s parents; ever shorter ends of it; the bare name;
        the name with another extension. ``None`` where there is none, or several fit equally.
        """
        wanted = _spelling(unquote(reference.partition("?d=")[2] or reference.partition("?")[0]))
        folders = [part for part in _spelling(near).split("/") if part]
        for depth in range(len(folders), -1, -1):
            member = self._paths.get("/".join([*folders[:depth], wanted]))
            if member is not None:
                return member
        name = wanted.rpartition("/")[2]
        for found in (self._names.get(name, []), self._stems.get(pairing_key(name), [])):
            if chosen := self._closest(found, wanted, folders):
                return chosen[0] if len(chosen) == 1 else None
        return None

    def _closest(self, found: list[int], wanted: str, folders: list[str]) -> list[int]:
        """Of several images with this name, those that share most with the wanted path, then with the folder."""
        if len(found) < 2:  # noqa: PLR2004  (nothing to choose)
            return found
        parents = wanted.split("/")[:-1]

        def likeness(member: int) -> tuple[int, int]:
            own = _spelling(self.members[member]).split("/")[:-1]
            shared = 0
            while shared < min(len(own), len(parents)) and own[-1 - shared] == parents[-1 - shared]:
                shared += 1
            return shared, int(own[: len(folders)] == folders)

        best = max(map(likeness, found))
        return [member for member in found if likeness(member) == best]
