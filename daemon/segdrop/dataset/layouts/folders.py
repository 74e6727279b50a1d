"""What the name of a folder means: images or masks, and a side of the split; in any case, singular or plural."""

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache

from segdrop.dataset.samples import Split
from segdrop.dataset.tree import Tree


class Role(Enum):
    IMAGE = "image"
    MASK = "mask"


SPLIT_FOLDERS = {
    "train": Split.TRAIN,
    "training": Split.TRAIN,
    "val": Split.VAL,
    "valid": Split.VAL,
    "validation": Split.VAL,
    "test": Split.TEST,
    "testing": Split.TEST,
}
#: without a plural's s and by preference, where an archive has several; the last are CamVid's own
_IMAGES = (
    *("image", "img", "jpegimage", "pngimage", "rgb", "photo", "picture", "pic", "input", "x", "frame"),
    "701stillsrawfull",
)
_MASKS = (
    *("mask", "label", "labelspng", "annotation", "annot", "ann", "gt", "groundtruth", "segmentationclass"),
    *("segmentation", "segmentationmask", "segmask", "seg", "segmap", "target", "truth", "output", "y"),
    "labeledapprovedfull",
)
#: pictures of masks, which are neither; without a plural's s, too
_DRAWINGS = frozenset(
    {
        *("segmentationobject", "visualization", "segmentationclassvisualization", "vi", "viz", "overlay", "preview"),
        *("color", "colour", "colormap", "colormask", "maskcolor", "instance", "prediction", "pred"),
    }
)
_PREFERENCE = {word: number for number, word in enumerate((*_IMAGES, *_MASKS))}


@dataclass(frozen=True, slots=True)
class Folder:
    """``word``: what is left of the name without a side of the split, the same for singular and plural."""

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
    """The place of a folder of images or masks among those of its role; the smallest is taken."""
    return _PREFERENCE[word]


@lru_cache(maxsize=4096)
def meaning(name: str) -> Folder:
    """Read a folder's name: ``train_images``, ``trainannot``, ``Masks``, ``labels-val``, ``test``."""
    tokens = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", name).casefold())
    split = next((SPLIT_FOLDERS[token] for token in tokens if token in SPLIT_FOLDERS), None)
    rest = _singular("".join(token for token in tokens if token not in SPLIT_FOLDERS))
    if split is None and _role(rest) is None:
        for side in sorted(SPLIT_FOLDERS, key=len, reverse=True):
            for cut in (rest.removeprefix(side), rest.removesuffix(side)):
                if cut != rest and _role(_singular(cut)):
                    return Folder(_singular(cut), _role(_singular(cut)), SPLIT_FOLDERS[side])
    return Folder(rest, _role(rest), split)


def loosely(name: str) -> Folder:
    """The same, where one word of a longer name is enough: ``ISIC2018_Task1_Training_GroundTruth``."""
    strict = meaning(name)
    tokens = [_singular(token) for token in re.findall(r"[^\W_]{2,}", name.casefold())]
    for role, words in ((Role.MASK, _MASKS), (Role.IMAGE, _IMAGES)):
        if strict.role is None and any(token in words for token in tokens):
            return replace(strict, role=role)
    return strict


def spot(path: str, read: Callable[[str], Folder] = meaning) -> Spot:
    """The outermost folder of a role counts, and a side of the split around or right below it."""
    *parts, name = path.split("/")
    word, role, split, kept = "", None, None, []
    is_below_role = False
    for part in parts:
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
    return Spot(word, role, split, "/".join([*kept, name]))


def is_drawing(path: str) -> bool:
    """Whether a folder in the path is named for pictures of masks."""
    return any(meaning(part).word in _DRAWINGS for part in path.split("/")[:-1])


def root(tree: Tree) -> Tree:
    """The tree from inside folders that only wrap the data, so that names are the same however they are packed."""
    while (inner := tree.unwrapped()) is not None:
        wrapper = meaning(inner.prefix[len(tree.prefix) : -1])
        if wrapper.role is not None or wrapper.is_side:
            break
        tree = inner
    return tree


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _role(word: str) -> Role | None:
    if word in _IMAGES:
        return Role.IMAGE
    return Role.MASK if word in _MASKS else None
