"""Images and masks by split and key, paired and accounted for, for all layouts with a mask for each image."""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field

from segdrop.codes import Code, Severity
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import affixes, folders
from segdrop.dataset.layouts.shared.complaints import plain
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.samples import (
    HEIC_EXTENSIONS,
    Coding,
    LabelledSample,
    MaskFile,
    Split,
    extension,
    is_image,
    pairing_key,
)
from segdrop.errors import DataError, Issue
from segdrop.request import EMBEDDED_NAME

_ROOT_FILES = {EMBEDDED_NAME, "readme.txt"}
_SHOWN_KINDS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file stands: its role, its split, and its path without its folders' roles."""

    role: Role
    split: Split | None
    path: str


def sample_key(split: Split | None, path: str) -> str:
    """Returns the key of a path, with its split in front."""
    return f"{split}/{pairing_key(path)}" if split else pairing_key(path)


def bare_key(path: str) -> str:
    """Returns the key of a file's name alone, whatever its folder."""
    return pairing_key(path.rpartition("/")[2])


@dataclass(slots=True)
class FilesByKey:
    """All images, or all masks, by key; the split is in front of the key."""

    members: dict[str, int] = field(default_factory=dict)
    splits: dict[str, Split | None] = field(default_factory=dict)
    clashes: dict[str, list[int]] = field(default_factory=dict)  #: all members that have the key
    originals: dict[str, int] = field(default_factory=dict)  #: HEIC photographs, which may be there as JPEG too

    def add(self, split: Split | None, path: str, member: int) -> None:
        """Add a file; one that has the key of another is kept as a clash, unless it is a HEIC photograph's copy."""
        key = sample_key(split, path)
        if extension(path) in HEIC_EXTENSIONS:
            self.originals.setdefault(key, member)
            if key in self.members:
                return
        elif self.members.get(key, -1) == self.originals.get(key):
            del self.members[key]
        if key in self.members:
            self.clashes.setdefault(key, [self.members[key]]).append(member)
        else:
            self.members[key], self.splits[key] = member, split

    def tell_apart(self, names: Sequence[str]) -> None:
        """Give files whose names differ in case only (``A.png``, ``a.png``) keys in their own spelling."""
        for key, members in [*self.clashes.items()]:
            folder, slash, _ = key.rpartition("/")
            stems = {names[member].rpartition("/")[2].rpartition(".")[0]: member for member in members}
            if len(stems) == len(members):
                del self.clashes[key], self.members[key]
                split = self.splits.pop(key)
                self.members |= {folder + slash + stem: member for stem, member in stems.items()}
                self.splits |= dict.fromkeys((folder + slash + stem for stem in stems), split)

    @property
    def has_sides(self) -> bool:
        """Whether any file stands on a side of the split."""
        return any(split is not None for split in self.splits.values())

    def without_sides(self) -> "FilesByKey":
        """Returns the same files by keys without their side, which clash where two sides have one name."""
        found = FilesByKey()
        for key, member in self.members.items():
            split = self.splits[key]
            bare = key.removeprefix(f"{split}/") if split else key
            for each in self.clashes.get(key, [member]):
                if bare in found.members:
                    found.clashes.setdefault(bare, [found.members[bare]]).append(each)
                else:
                    found.members[bare], found.splits[bare] = each, split
        return found


@dataclass(slots=True)
class Pairs:
    """Samples in the order of their keys, and everything that is to be said about the other files."""

    samples: list[LabelledSample]
    issues: list[Issue]
    assumptions: list[str]


class ImagesAndMasks:
    """Collects images, masks and strays, then pairs them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.images, self.masks = FilesByKey(), FilesByKey()
        self.strays: list[int] = []

    def add(self, member: int, path: str, place: Place | None, *, is_used: bool = False) -> None:
        """Add a file by its place. A file without one is a stray, unless it is used otherwise."""
        if place is not None:
            side = self.images if place.role is Role.IMAGE else self.masks
            side.add(place.split, place.path, member)
        elif path.casefold() not in _ROOT_FILES and not is_used:
            self.strays.append(member)

    def demand_both(self) -> None:
        """Raises DataError where there are no images or no masks at all."""
        missing = [
            Issue.of(code, f"there are no {what} where this layout has them")
            for side, code, what in (
                (self.images, Code.LAYOUT_NO_IMAGES, "images"),
                (self.masks, Code.LAYOUT_NO_MASKS, "masks"),
            )
            if not side.members
        ]
        if missing:
            raise DataError(missing)

    def pair(self, coding: Coding = Coding.STORED, *, by_affixes: bool = False) -> Pairs:
        """Pair what has equal keys; with ``by_affixes``, also names that differ by a prefix or an ending."""
        for side in (self.images, self.masks):
            side.tell_apart(self._tree.names)
        said = self._share_sides() if by_affixes else []
        images, masks = self.images.members, self.masks.members
        if by_affixes:
            found = affixes.match(images, masks)
        else:
            found = affixes.Matching({key: key for key in images if key in masks})
        samples = [
            LabelledSample(
                key, images[key], self.images.splits[key] or self.masks.splits[mask], MaskFile(masks[mask], coding)
            )
            for key, mask in sorted(found.masks.items())
        ]
        issues = [*self._ambiguous(found.rival_masks), *self._unpaired(found), *stray(self._tree, self.strays)]
        return Pairs(samples, issues, [*said, *found.assumptions])

    def _share_sides(self) -> list[str]:
        """Give the sides of images to their masks, or the other way, where only one of them has folders of sides."""
        if self.images.has_sides == self.masks.has_sides:
            return []
        if self.masks.has_sides:
            self.masks = self.masks.without_sides()
            return ["only the masks are in folders of sides: their images are on the same sides"]
        self.images = self.images.without_sides()
        return ["only the images are in folders of sides: their masks are on the same sides"]

    def _ambiguous(self, rivals: Collection[str]) -> Iterator[Issue]:
        """Yields issues for files that compete for one key."""
        rivalling = [self.masks.members[key] for key in sorted(rivals)]
        clashing = ([m for members in side.clashes.values() for m in members] for side in (self.images, self.masks))
        for kind, members, others in zip(("image", "mask"), clashing, ([], rivalling), strict=True):
            if members or others:
                files = list(dict.fromkeys(self._tree.names[member] for member in (*members, *others)))
                yield Issue.of(Code.PAIR_AMBIGUOUS, f"{len(files)} files compete to be the same {kind}", files=files)

    def _unpaired(self, found: affixes.Matching) -> Iterator[Issue]:
        """Yields issues for files without a counterpart: warnings while at least half of the files pair up, else
        faults.
        """
        images, masks = self.images.members, self.masks.members
        withheld = self._withheld
        expected = [key for key in images if withheld is None or self.images.splits[key] is not withheld]
        enough = 4 * len(found.masks) >= len(expected) + len(masks)
        for code, what, other, side, paired in (
            (Code.PAIR_MISSING_MASK, "images have", "mask", images, {*found.masks, *found.rival_images}),
            (Code.PAIR_MISSING_IMAGE, "masks have", "image", masks, {*found.masks.values(), *found.rival_masks}),
        ):
            lonely = sorted(self._tree.names[member] for key, member in side.items() if key not in paired)
            if lonely:
                message = f"{len(lonely)} of {len(side)} {what} no {other} {self._namesakes(lonely, other)}"
                message += "; they are left out" if enough else ""
                severity = Severity.WARNING if enough else Severity.FAULT
                yield Issue.of(code, message, files=lonely, severity=severity)

    def _namesakes(self, lonely: Sequence[str], other: str) -> str:
        """Returns "of the same name", or where files of these names are, and why they do not count."""
        names = self._tree.names
        others = self.masks if other == "mask" else self.images
        elsewhere = {bare_key(names[member]): names[member] for member in others.members.values()}
        unread = {bare_key(names[member]): names[member] for member in self.strays if not is_image(names[member])}
        said = []
        if hits := [elsewhere[key] for name in lonely if (key := bare_key(name)) in elsewhere]:
            said.append(f"{len(hits)} have one of that name in another folder or on another side ({plain(min(hits))})")
        if hits := [unread[key] for name in lonely if (key := bare_key(name)) in unread and key not in elsewhere]:
            said.append(f"{len(hits)} have a file of that name which is no image that is read ({plain(min(hits))})")
        return f"at the same place: {', '.join(said)}" if said else "of the same name"

    @property
    def _withheld(self) -> Split | None:
        """The test split where no image of it has a mask: benchmarks keep that truth to themselves."""
        return None if Split.TEST in self.masks.splits.values() else Split.TEST


class Pattern:
    """A pattern of paths in lower case, from their beginning to the last folder of a kind, and from there on.

    It is two expressions: a single one would try what is below from every folder that fits, which costs the square of a
    path's length where such folders are nested on purpose.
    """

    def __init__(self, folder: str, below: str = ".+", *, in_root: str = "") -> None:
        """``folder`` matches one folder or several in a row, without the last slash; empty, it matches whatever the
        folders are.

        ``below`` matches the rest of the path. ``in_root`` matches a folder in the root that is preferred to ``folder``
        where the file lies in it.
        """
        above = f"(?P<site>(?:.*/)?){folder}/" if folder else "(?P<site>(?:.*/)?)"
        self._folder = re.compile(f"{in_root}/(?=[^/]+$)|{above}" if in_root else above)
        self._below = re.compile(below)

    def groups(self, path: str) -> dict[str, str | None] | None:
        """Returns the groups of both, and ``site``, the folders above, or None where the path does not fit."""
        above = self._folder.match(path)
        below = self._below.fullmatch(path, above.end()) if above else None
        return above.groupdict() | below.groupdict() if above and below else None


@dataclass(frozen=True, slots=True)
class Scheme:
    """Where a dataset keeps its images and masks.

    The patterns have the groups ``name``, by which images and masks are paired, and ``split``, a folder that is part of
    the name where it is no side. ``others`` are files that are known and not needed. With ``is_by_site``, only files
    below the same folders are paired.
    """

    images: Pattern
    masks: Pattern
    others: tuple[Pattern, ...]
    is_by_site: bool = False

    def place(self, path: str) -> Place | None:
        """Returns where a file stands, or None where it is no image or mask of the scheme."""
        if not is_image(path):
            return None
        folded = path.casefold()
        for role, pattern in ((Role.MASK, self.masks), (Role.IMAGE, self.images)):
            if (groups := pattern.groups(folded)) is not None:
                folder = groups.get("split") or ""
                split = folders.meaning(folder).split
                kept = f"{folder}/" if folder and split is None else ""
                # an extension again, so that no dot within the name is taken for one
                site = groups["site"] or "" if self.is_by_site else ""
                return Place(role, split, f"{site}{kept}{groups['name']}.{extension(path)}")
        return None

    def knows(self, path: str) -> bool:
        """Whether the file is one of the layout's that are not needed."""
        folded = path.casefold()
        return any(pattern.groups(folded) is not None for pattern in self.others)

    def fits(self, tree: Tree) -> bool:
        """Whether there are both images and masks."""
        found: set[Role] = set()
        for _, path in tree:
            if (place := self.place(path)) is not None:
                found.add(place.role)
                if len(found) == len(Role):
                    return True
        return False

    def collect(self, tree: Tree, used: Collection[int] = ()) -> ImagesAndMasks:
        """Collect all files of the tree; ``used`` are read otherwise.

        Raises DataError where there are no images or no masks.
        """
        files = ImagesAndMasks(tree)
        for member, path in folders.root(tree):
            files.add(member, path, self.place(path), is_used=member in used or self.knows(path))
        files.demand_both()
        return files


def stray(tree: Tree, members: list[int]) -> list[Issue]:
    """Returns a note about files that belong to nothing."""
    if not members:
        return []
    names = sorted(tree.names[member] for member in members)
    kinds = ", ".join(sorted({extension(name) or "no extension" for name in names})[:_SHOWN_KINDS])
    return [Issue.of(Code.LAYOUT_STRAY_FILE, f"{len(names)} files were left out ({kinds})", files=names)]
