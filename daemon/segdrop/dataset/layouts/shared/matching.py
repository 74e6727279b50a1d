"""The image in the archive that an annotation means by a name, whatever folder, machine or spelling it comes from."""

import itertools
import unicodedata
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import unquote

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.samples import is_image, pairing_key

#: this many folders around an annotation file are tried, counted from inside, and as many from outside
_MOST_FOLDERS = 8
#: as many are shown where it is not clear which is meant
_MOST_NAMESAKES = 4
#: greater than all letters that are in use
_LAST = chr(0x10FFFF)


def _exactly(path: str) -> str:
    """Returns a path with slashes forward, in one Unicode form, without a dot or slash in front."""
    return unicodedata.normalize("NFC", path.replace("\\", "/")).lstrip("./")


def _spelling(path: str) -> str:
    return _exactly(path).casefold()


class ImageIndex:
    """The images of a tree by what annotation files call them."""

    def __init__(self, tree: Tree, skip_folders: frozenset[str] = frozenset()) -> None:
        """``skip_folders`` are lower-case names of folders whose images are no data (visualisations)."""
        self.members: dict[int, str] = {}  #: paths below the tree's folder
        self._paths: dict[str, int] = {}
        self._exact: dict[str, int] = {}  #: members by path, where paths differ in case only
        self._names: dict[str, list[int]] = {}
        self._stems: dict[str, list[int]] = {}
        self._namesakes: dict[tuple[bool, str], _Namesakes] = {}
        for member, path in tree:
            if is_image(path) and not (skip_folders and skip_folders.intersection(path.casefold().split("/")[:-1])):
                self.members[member] = path
                spelt = _spelling(path)
                if spelt in self._paths:
                    self._exact |= {_exactly(self.members[m]): m for m in (self._paths[spelt], member)}
                self._paths[spelt] = member
                name = spelt.rpartition("/")[2]
                self._names.setdefault(name, []).append(member)
                self._stems.setdefault(pairing_key(name), []).append(member)

    def find(self, reference: str, near: str = "") -> int | None:
        """Returns the one image that ``reference`` (a name, path or URL) can mean, seen from the folder ``near``.

        Tried in turn: the path itself, below ``near``, from ``near``'s parents; ever shorter ends of it; the bare name;
        the name with another extension. Returns None where there is none, or several fit equally.
        """
        exact = _exactly(unquote(reference.partition("?d=")[2] or reference.partition("?")[0]))
        home = "".join(f"{part}/" for part in _exactly(near).split("/") if part)
        wanted, folder = exact.casefold(), home.casefold()
        for paths, start, end in ((self._exact, home, exact), (self._paths, folder, wanted)):
            for parent in _parents(start) if paths else ():
                if (member := paths.get(parent + end)) is not None:
                    return member
        name = wanted.rpartition("/")[2]
        for is_stem, key, index in ((False, name, self._names), (True, pairing_key(name), self._stems)):
            if members := index.get(key):
                return members[0] if len(members) == 1 else self._closest(is_stem, key, members, wanted, folder)
        return None

    def namesakes(self, reference: str) -> list[int]:
        """Returns a few images of the same bare name, whatever their folder: what ``find`` could not tell apart."""
        name = _spelling(unquote(reference.partition("?d=")[2] or reference.partition("?")[0])).rpartition("/")[2]
        return self._names.get(name, [])[:_MOST_NAMESAKES]

    def _closest(self, is_stem: bool, key: str, members: list[int], wanted: str, folder: str) -> int | None:  # noqa: FBT001
        if (is_stem, key) not in self._namesakes:
            self._namesakes[is_stem, key] = _Namesakes({member: _spelling(self.members[member]) for member in members})
        return self._namesakes[is_stem, key].closest(wanted, folder)


def _parents(folder: str) -> Iterator[str]:
    """Yields a folder and those around it with their slashes, down to "", inmost first: the first and the last few."""
    ends = [place + 1 for place in range(len(folder) - 1, -1, -1) if folder[place] == "/"]
    for end in [*ends[:_MOST_FOLDERS], *ends[_MOST_FOLDERS:][-_MOST_FOLDERS:], 0]:
        yield folder[:end]


class _Namesakes:
    """Images of one name in many folders, sorted, so that one is found without a look at all of them."""

    def __init__(self, paths: Mapping[int, str]) -> None:
        """``paths`` are those of the images, spelt alike, by member."""
        self._forward = {member: path.rpartition("/")[0] + "/" for member, path in paths.items()}
        self._backward = {member: _backwards(path) for member, path in paths.items()}
        self._by_start = sorted(paths, key=self._forward.__getitem__)
        self._by_end = sorted(paths, key=self._backward.__getitem__)
        self._starts = [self._forward[member] for member in self._by_start]
        self._ends = [self._backward[member] for member in self._by_end]
        self._found: dict[tuple[str, str], int | None] = {}

    def closest(self, wanted: str, folder: str) -> int | None:
        """Returns the image that shares most with the end of the wanted path, or None.

        Where several share as much, it is the one in the folder, if there is just one.
        """
        end = _backwards(wanted)
        place = bisect_left(self._ends, end)
        end = max((_shared(end, other) for other in self._ends[max(0, place - 1) : place + 1]), key=len)
        if (end, folder) not in self._found:
            self._found[end, folder] = self._only(end, folder)
        return self._found[end, folder]

    def _only(self, end: str, folder: str) -> int | None:
        """Returns the only image whose path ends like that, or the only such one within the folder, or None."""
        alike, near = _within(self._ends, end), _within(self._starts, folder)
        if len(alike) == 1:
            return self._by_end[alike[0]]
        if len(alike) <= len(near):
            both = (m for m in (self._by_end[i] for i in alike) if self._forward[m].startswith(folder))
        else:
            both = (m for m in (self._by_start[i] for i in near) if self._backward[m].startswith(end))
        found = next(both, None)
        return found if next(both, None) is None else None


def _backwards(path: str) -> str:
    """Returns the folders of a path from the last to the first, each with a slash."""
    return "".join(f"{folder}/" for folder in reversed(path.split("/")[:-1]))


def _shared(one: str, other: str) -> str:
    """Returns the folders at their beginning that two rows of folders have in common, with their slashes."""
    shared = itertools.takewhile(lambda pair: pair[0] == pair[1], zip(one.split("/"), other.split("/"), strict=False))
    return "".join(f"{folder}/" for folder, _ in shared if folder)


def _within(texts: Sequence[str], beginning: str) -> range:
    """Returns the places of the texts, which are sorted, that begin so."""
    return range(bisect_left(texts, beginning), bisect_left(texts, beginning + _LAST))
