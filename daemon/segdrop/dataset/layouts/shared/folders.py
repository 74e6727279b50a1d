"""The meaning of a folder's name: images or masks, and a side of the split; in any case, singular or plural."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import words
from segdrop.dataset.samples import Split, is_image


class Role(Enum):
    """Tells what a folder holds."""

    IMAGE = "image"
    MASK = "mask"


SPLIT_FOLDERS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "trn": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "dev": Split.VAL,
    "eval": Split.VAL,
    "evaluation": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
    "tst": Split.TEST,
    "holdout": Split.TEST,
}
_SIDES = SPLIT_FOLDERS | {words.folded(word): Split(side) for side, named in words.SIDES.items() for word in named}
_IMAGES, _MASKS = (tuple(map(words.folded, named)) for named in (words.IMAGES, words.MASKS))
_PREFERENCE = {word: number for number, word in enumerate((*_IMAGES, *_MASKS))}
#: between the words of a name that is written in camelCase
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder's name as it was read.

    ``word`` is what is left of it without a side of the split, the same for singular and plural.
    """

    word: str
    role: Role | None
    split: Split | None

    @property
    def is_side(self) -> bool:
        """Whether the name says a side of the split and nothing else."""
        return self.split is not None and not self.word


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a file stands by the names of its folders. ``path`` lacks those of a role and a split."""

    word: str
    role: Role | None
    split: Split | None
    path: str


def preference(word: str) -> int:
    """Returns the place of a folder of images or masks among those of its role; the smallest is taken. Words
    that are read loosely come last.
    """
    return _PREFERENCE.get(word, len(_PREFERENCE))


@lru_cache(maxsize=4096)
def meaning(name: str) -> Folder:
    """Read a folder's name: ``train_images``, ``trainannot``, ``labels-val``, ``trainImages``, ``マスク``."""
    tokens = _tokens(name)
    split = next((_SIDES[token] for token in tokens if token in _SIDES), None)
    left = [token for token in tokens if token not in _SIDES]
    if split is not None and "set" in left and all(len(word) == 1 for word in left if word != "set"):
        left = []  # IDRiD's "a. Training Set"
    rest = _singular("".join(left))
    if split is None and _role(rest) is None:
        for side in sorted(_SIDES, key=len, reverse=True):
            for cut in (rest.removeprefix(side), rest.removesuffix(side)):
                if cut != rest and _role(_singular(cut)):
                    return Folder(_singular(cut), _role(_singular(cut)), _SIDES[side])
    return Folder(rest, _role(rest) or _role_of_compound(rest), split)


@lru_cache(maxsize=4096)
def loosely(name: str) -> Folder:
    """Read a folder's name, where one word of a longer one is enough: ``ISIC2018_Task1_Training_GroundTruth``."""
    strict = meaning(name)
    tokens = [_singular(token) for token in _tokens(name) if len(token) > 1]
    for role, named in ((Role.MASK, _MASKS), (Role.IMAGE, _IMAGES)):
        if strict.role is None and strict.word not in words.DRAWINGS and any(token in named for token in tokens):
            return replace(strict, role=role)
    return strict


def _tokens(name: str) -> list[str]:
    """Returns the words of a name, folded: between signs, and between the humps of camelCase."""
    return re.findall(r"[^\W_]+", words.folded(_CAMEL.sub(" ", name)))


def spot(path: str, read: Callable[[str], Folder] = meaning) -> Spot:
    """Returns where a file stands: the outermost folder of a role counts, and a side of the split around or right below
    it.
    """
    folder, _, name = path.rpartition("/")
    found = _spot_of_folder(folder, read)
    return replace(found, path=f"{found.path}/{name}" if found.path else name)


@lru_cache(maxsize=4096)
def _spot_of_folder(folder: str, read: Callable[[str], Folder]) -> Spot:
    """Returns where the files of a folder stand, which may be thousands."""
    word, role, split, kept = "", None, None, []
    is_below_role = False
    for part in folder.split("/") if folder else ():
        found = read(part)
        if role is None and found.role is not None:
            word, role, split = found.word, found.role, split or found.split
            is_below_role = True
            continue
        if found.is_side and split is None and (role is None or is_below_role):
            split = found.split
        else:
            kept.append(part)
        is_below_role = False
    return Spot(word, role, split, "/".join(kept))


def is_drawing(path: str) -> bool:
    """Whether a folder in the path is named for pictures of masks."""
    return _is_drawing_folder(path.rpartition("/")[0])


@lru_cache(maxsize=4096)
def _is_drawing_folder(folder: str) -> bool:
    return any(meaning(part).word in words.DRAWINGS for part in folder.split("/"))


def root(tree: Tree) -> Tree:
    """Returns the tree from inside folders that only wrap the data, so that names are the same
    however they are packed.
    """
    inner = tree
    for name in tree.wrappers:
        wrapped, found = inner.inside([name]), meaning(name)
        # layouts know of folders around both that have the usual words (``seg/images``), and look for them
        is_usual = found.word in _PREFERENCE and name.isascii()
        if found.is_side or (found.role is not None and (is_usual or not _has_both(wrapped))):
            break
        inner = wrapped
    return inner


def _has_both(tree: Tree) -> bool:
    """Whether there are folders of images and of masks below: then the one around both means neither."""
    roles = {spot(path).role for _, path in tree if is_image(path)}
    return {Role.IMAGE, Role.MASK} <= roles


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _role(word: str) -> Role | None:
    if word in _IMAGES:
        return Role.IMAGE
    return Role.MASK if word in _MASKS else None


def _role_of_compound(word: str) -> Role | None:
    """Returns the role of a word that is written together with others: ``Originalbilder``, ``マスク画像``.

    The last of them is the head: ``图像分割数据集`` is a dataset.
    """
    if word.endswith(words.MASK_ENDINGS):
        return Role.MASK
    if not word.endswith(words.IMAGE_ENDINGS):
        return None
    if any(part in word for part in words.MASK_PARTS):
        return Role.MASK
    return None if word.endswith(words.CHARTS) else Role.IMAGE
