"""What the name of a folder means: images or masks, and a side of the split; in any case, singular or plural."""

import re
import unicodedata
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from segdrop.dataset.samples import Split


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


def _singular(word: str) -> str:
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _role(word: str) -> Role | None:
    if word in _IMAGES:
        return Role.IMAGE
    return Role.MASK if word in _MASKS else None
