"""Lists of names that divide pairs into sides: ``train.txt``, ``val.txt`` and ``test.txt``, in any folder.

A line names an image or its mask, with or without folders and an extension; what follows it in the line (the mask
beside it, a number) does not matter. Folders of sides say more than lists, and are kept where there are both.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from segdrop.codes import Code
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import annotation_files, folders
from segdrop.dataset.samples import IMAGE_EXTENSIONS, LabelledSample, Split, extension, pairing_key
from segdrop.errors import DataError, Issue

#: words in the name of a list beside its side
_FILLERS = frozenset("list lists file files filenames set split ids id names name images image data paths".split())  # noqa: SIM905
_MAX_BYTES = 1 << 24
_SHOWN = 3
_FIRST_WORD = re.compile(r"[^\s,;|]+")


@dataclass(frozen=True, slots=True)
class SplitList:
    """A file that lists the names of one side."""

    member: int
    name: str
    split: Split


@dataclass(slots=True)
class Division:
    """Samples on the sides that lists put them on, and what is to be said about the lists."""

    samples: list[LabelledSample]
    issues: list[Issue] = field(default_factory=list)
    assumptions: list[str] = field(default_factory=list)


def find(tree: Tree) -> list[SplitList]:
    """Returns the lists of the folder that has the most sides; VOC's ``Segmentation/`` before others, then the
    outermost.
    """
    by_folder: dict[str, list[SplitList]] = defaultdict(list)
    for member, path in tree:
        if extension(path) == "txt" and (split := _side(path.rpartition("/")[2][: -len(".txt")])) is not None:
            by_folder[path.rpartition("/")[0]].append(SplitList(member, tree.names[member], split))
    return max(by_folder.items(), key=_preference, default=("", []))[1]


def _preference(entry: tuple[str, list[SplitList]]) -> tuple[int, bool, int, str]:
    folder, lists = entry
    return len({found.split for found in lists}), "segmentation" in folder.casefold(), -folder.count("/"), folder


def _side(stem: str) -> Split | None:
    """Returns the side that the name of a list says, or None where it says none, two (trainval) or more than a side."""
    tokens = re.findall(r"[^\W_]+", stem.casefold().removesuffix("list"))
    sides = [folders.SPLIT_FOLDERS[token] for token in tokens if token in folders.SPLIT_FOLDERS]
    rest = [token for token in tokens if token not in folders.SPLIT_FOLDERS]
    return sides[0] if len(sides) == 1 and _FILLERS.issuperset(rest) else None


def divided(tree: Tree, samples: Sequence[LabelledSample], lists: Sequence[SplitList]) -> Division:
    """Returns the samples as the lists divide them, unless folders do; with warnings for what does not fit."""
    listed, issues = _read(tree, lists)
    if not listed or not samples:
        return Division([*samples], issues)
    index = _Index(tree, samples)
    sides: dict[int, set[Split]] = defaultdict(set)
    missing: dict[str, list[str]] = {}
    for found, names in listed:
        for name in names:
            if (position := index.position(name)) is None:
                missing.setdefault(found.name, []).append(name)
            else:
                sides[position].add(found.split)
    result = _Follower(samples, [found for found, _ in listed], sides).division()
    result.issues = [*issues, *_missing(listed, missing), *result.issues]
    return result


def _read(tree: Tree, lists: Sequence[SplitList]) -> tuple[list[tuple[SplitList, list[str]]], list[Issue]]:
    """Returns the lines of each list, and issues for lists that cannot be read."""
    listed, issues = [], []
    for found in lists:
        if tree.size_bytes(found.member) > _MAX_BYTES:
            continue
        try:
            lines = annotation_files.text(tree, found.member).splitlines()
        except DataError as error:
            issues += error.issues
        else:
            listed.append((found, [line.strip(" \t\"'") for line in lines if line.strip(" \t\"'")]))
    return listed, issues


class _Index:
    """Finds samples by what a list calls them."""

    def __init__(self, tree: Tree, samples: Sequence[LabelledSample]) -> None:
        self._keys: list[set[str]] = []
        self._by_stem: dict[str, set[int]] = defaultdict(set)
        for position, sample in enumerate(samples):
            keys = {pairing_key(tree.names[member]) for member in (sample.image, sample.truth.member)}
            self._keys.append(keys)
            for key in keys:
                self._by_stem[key.rpartition("/")[2]].add(position)

    def position(self, line: str) -> int | None:
        """Returns the sample that a line names: the whole line, or its first word."""
        word = _FIRST_WORD.match(line)
        for name in dict.fromkeys((line, word[0] if word else line)):
            for key in _keys(name):
                if (found := self._unique(key)) is not None:
                    return found
        return None

    def _unique(self, key: str) -> int | None:
        found = self._by_stem.get(key.rpartition("/")[2], set())
        if len(found) > 1:
            found = {p for p in found if any(f"/{known}".endswith(f"/{key}") for known in self._keys[p])}
        return next(iter(found)) if len(found) == 1 else None


def _keys(name: str) -> Iterator[str]:
    """Yields the keys that a name may mean: with its ending, which may be no extension, and without."""
    path = name.replace("\\", "/").removeprefix("./").strip("/")
    if extension(path) in IMAGE_EXTENSIONS:
        yield pairing_key(path)
    yield pairing_key(f"{path}.x")


def _missing(listed: Sequence[tuple[SplitList, list[str]]], missing: Mapping[str, list[str]]) -> list[Issue]:
    """Returns a warning about names without a pair."""
    if not missing:
        return []
    total, count = sum(len(names) for _, names in listed), sum(map(len, missing.values()))
    shown = "; ".join(f"{', '.join(names[:_SHOWN])} in {name}" for name, names in missing.items())
    message = f"{count} of {total} names in the split lists belong to no pair: {shown}"
    return [Issue.of(Code.SPLIT_LIST, message, files=sorted(missing), count=count)]


class _Follower:
    """Decides what is done with the sides that lists give to samples."""

    def __init__(
        self, samples: Sequence[LabelledSample], lists: Sequence[SplitList], sides: Mapping[int, set[Split]]
    ) -> None:
        self._samples, self._sides = samples, sides
        self._names = " and ".join(sorted(found.name for found in lists))
        self._files = sorted(found.name for found in lists)
        self._given = {found.split for found in lists}

    def division(self) -> Division:
        """Returns the samples on their sides, or as they were where the lists are not followed."""
        if any(sample.split is not None for sample in self._samples):
            return Division([*self._samples], self._contradiction())
        if 2 * len(self._sides) < len(self._samples) and Split.TRAIN in self._given:
            message = f"{self._names} name only {len(self._sides)} of {len(self._samples)} pairs: they are not followed"
            return Division([*self._samples], [self._issue(message)])
        if not self._given & {Split.VAL, Split.TEST}:
            return Division([*self._samples], [], [f"{self._names} lists training alone, which divides nothing"])
        return self._followed()

    def _followed(self) -> Division:
        """Returns the samples with their sides: a name in two lists is on the side that is measured on."""
        kept, unlisted, twice = [], [], 0
        for position, sample in enumerate(self._samples):
            sides = self._sides.get(position, set())
            twice += len(sides) > 1
            if sides:
                kept.append(replace(sample, split=next(s for s in (Split.TEST, Split.VAL, Split.TRAIN) if s in sides)))
            else:
                unlisted.append(sample)
        result = Division(kept, [], [f"the split is that of {self._names}"])
        if unlisted and Split.TRAIN in self._given:
            message = f"{len(unlisted)} of {len(self._samples)} pairs are in none of {self._names}: they are left out"
            result.issues.append(self._issue(message, count=len(unlisted)))
        elif unlisted:
            result.samples = self._in_order(kept, [replace(sample, split=Split.TRAIN) for sample in unlisted])
            result.assumptions.append(f"the {len(unlisted)} pairs in no list are for training")
        if twice:
            message = f"{twice} names are in more than one of {self._names}: they are not trained on"
            result.issues.append(self._issue(message, count=twice))
        return result

    @staticmethod
    def _in_order(*parts: list[LabelledSample]) -> list[LabelledSample]:
        return sorted((sample for part in parts for sample in part), key=lambda sample: sample.key)

    def _contradiction(self) -> list[Issue]:
        """Returns a warning where folders put pairs on other sides than lists do."""
        count = sum(
            (split := self._samples[position].split) is not None and split not in sides
            for position, sides in self._sides.items()
        )
        if not count:
            return []
        message = f"{count} pairs are on other sides in {self._names} than in their folders, which are followed"
        return [self._issue(message, count=count)]

    def _issue(self, message: str, count: int = 1) -> Issue:
        return Issue.of(Code.SPLIT_LIST, message, files=self._files, count=count)
