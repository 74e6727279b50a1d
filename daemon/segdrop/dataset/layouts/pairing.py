"""Images and masks by split and key, paired and accounted for: what all layouts with a mask for each image share."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from segdrop.codes import Severity
from segdrop.dataset.layouts import affixes, folders
from segdrop.dataset.layouts.folders import Role
from segdrop.dataset.samples import Coding, MaskFile, Sample, Split, extension, is_image, pairing_key
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue

_ROOT_FILES = {"segdrop.json", "readme.txt"}
_SHOWN_KINDS = 8


@dataclass(frozen=True, slots=True)
class Place:
    """Where a file stands: on which side, in which split, under which path without its folders' roles."""

    role: Role
    split: Split | None
    path: str


def sample_key(split: Split | None, path: str) -> str:
    return f"{split}/{pairing_key(path)}" if split else pairing_key(path)


@dataclass(slots=True)
class Side:
    """All images, or all masks, by key; the split is in front of the key."""

    members: dict[str, int] = field(default_factory=dict)
    splits: dict[str, Split | None] = field(default_factory=dict)
    clashes: list[int] = field(default_factory=list)

    def add(self, split: Split | None, path: str, member: int) -> None:
        key = sample_key(split, path)
        if key in self.members:
            self.clashes += [self.members[key], member]
        else:
            self.members[key], self.splits[key] = member, split


@dataclass(slots=True)
class Pairs:
    """Samples in the order of their keys, and everything that is to be said about the other files."""

    samples: list[Sample]
    issues: list[Issue]
    assumptions: list[str]


class Sides:
    """Collects images, masks and strays, then pairs them."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self.images, self.masks = Side(), Side()
        self.strays: list[int] = []

    def add(self, member: int, path: str, place: Place | None, *, is_used: bool = False) -> None:
        if place is not None:
            side = self.images if place.role is Role.IMAGE else self.masks
            side.add(place.split, place.path, member)
        elif path.casefold() not in _ROOT_FILES and not is_used:
            self.strays.append(member)

    def demand_both(self) -> None:
        """``DataError`` where there are no images or no masks at all."""
        missing = [
            Issue.of(code, f"there are no {what} where this layout has them")
            for side, code, what in (
                (self.images, "layout.no_images", "images"),
                (self.masks, "layout.no_masks", "masks"),
            )
            if not side.members
        ]
        if missing:
            raise DataError(missing)

    def pair(self, coding: Coding = Coding.STORED, *, by_affixes: bool = False) -> Pairs:
        """Equal keys are pairs; with ``by_affixes`` also names that differ by a prefix or an ending."""
        images, masks = self.images.members, self.masks.members
        if by_affixes:
            found = affixes.match(images, masks)
        else:
            found = affixes.Matching({key: key for key in images if key in masks})
        samples = [
            Sample(key, images[key], MaskFile(masks[mask], coding), self.images.splits[key])
            for key, mask in sorted(found.masks.items())
        ]
        issues = [*self._ambiguous(found.rival_masks), *self._unpaired(found), *stray(self._tree, self.strays)]
        return Pairs(samples, issues, found.assumptions)

    def _ambiguous(self, rivals: Collection[str]) -> Iterator[Issue]:
        rivalling = [self.masks.members[key] for key in sorted(rivals)]
        for kind, members in (("image", self.images.clashes), ("mask", [*self.masks.clashes, *rivalling])):
            if members:
                files = list(dict.fromkeys(self._tree.names[member] for member in members))
                yield Issue.of("pair.ambiguous", f"{len(files)} files compete to be the same {kind}", files=files)

    def _unpaired(self, found: affixes.Matching) -> Iterator[Issue]:
        """Left out with a warning while at least half of the files pair up, else a fault."""
        images, masks = self.images.members, self.masks.members
        withheld = self._withheld
        expected = [key for key in images if withheld is None or self.images.splits[key] is not withheld]
        enough = 4 * len(found.masks) >= len(expected) + len(masks)
        for code, what, other, side, paired in (
            ("pair.missing_mask", "images have", "mask", images, {*found.masks, *found.rival_images}),
            ("pair.missing_image", "masks have", "image", masks, {*found.masks.values(), *found.rival_masks}),
        ):
            lonely = sorted(self._tree.names[member] for key, member in side.items() if key not in paired)
            if lonely:
                message = f"{len(lonely)} of {len(side)} {what} no {other} of the same name"
                message += "; they are left out" if enough else ""
                severity = Severity.WARNING if enough else Severity.FAULT
                yield Issue.of(code, message, files=lonely, severity=severity)

    @property
    def _withheld(self) -> Split | None:
        """The test split where no image of it has a mask: benchmarks keep that truth to themselves."""
        return None if Split.TEST in self.masks.splits.values() else Split.TEST


@dataclass(frozen=True, slots=True)
class Scheme:
    """Where a dataset keeps its images and masks: patterns for whole paths in lower case.

    Groups: ``name``, by which images and masks are paired, with ``site`` in front, if there is one; ``split``, a
    folder that is part of the name where it is no side. ``others`` are files that are known and not needed.
    """

    images: re.Pattern[str]
    masks: re.Pattern[str]
    others: re.Pattern[str]

    def place(self, path: str) -> Place | None:
        if not is_image(path):
            return None
        folded = path.casefold()
        for role, pattern in ((Role.MASK, self.masks), (Role.IMAGE, self.images)):
            if (match := pattern.fullmatch(folded)) is not None:
                groups = match.groupdict()
                folder = groups.get("split") or ""
                split = folders.meaning(folder).split
                kept = f"{folder}/" if folder and split is None else ""
                # an extension again, so that no dot within the name is taken for one
                return Place(role, split, f"{groups.get('site') or ''}{kept}{groups['name']}.{extension(path)}")
        return None

    def knows(self, path: str) -> bool:
        """Whether the file is one of the layout's that are not needed."""
        return self.others.fullmatch(path.casefold()) is not None

    def fits(self, tree: Tree) -> bool:
        """Whether there are both images and masks."""
        found: set[Role] = set()
        for _, path in tree:
            if (place := self.place(path)) is not None:
                found.add(place.role)
                if len(found) == len(Role):
                    return True
        return False

    def sides(self, tree: Tree, used: Collection[int] = ()) -> Sides:
        """All files of the tree; ``used`` are read otherwise. ``DataError`` where there are no images or no masks."""
        sides = Sides(tree)
        for member, path in folders.root(tree):
            sides.add(member, path, self.place(path), is_used=member in used or self.knows(path))
        sides.demand_both()
        return sides


def stray(tree: Tree, members: list[int]) -> list[Issue]:
    """A note about files that belong to nothing."""
    if not members:
        return []
    names = sorted(tree.names[member] for member in members)
    kinds = ", ".join(sorted({extension(name) or "no extension" for name in names})[:_SHOWN_KINDS])
    return [Issue.of("layout.stray_file", f"{len(names)} files were left out ({kinds})", files=names)]
