"""Whose mask a file is, and what the rest of its name says, where an image has several. Pure: paths in, owners out.

``x_car.png`` and ``car/x.png`` say a class, ``x_mask_1.png`` says one more mask of the same, ``x_1stHO.png`` an
observer. A mask that has an image's whole name belongs to that image and to no other.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

_SEPARATORS = " _.-"
#: bounds of what names made to be deep can cost
_MOST_FOLDERS, _MOST_CUTS = 3, 6
_WORDS = frozenset({"mask", "masks", "label", "labels", "gt", "seg", "segmentation", "annotation", "groundtruth"})
#: what is drawn or computed from a mask, and is no class
_NO_CLASS = frozenset(
    {
        *(
            "color",
            "colour",
            "colored",
            "coloured",
            "colors",
            "vis",
            "viz",
            "overlay",
            "preview",
            "rgb",
            "grey",
            "gray",
        ),
        *("instance", "instances", "instanceids", "instanceid", "labelids", "labeltrainids", "trainids", "index"),
        *("edge", "edges", "boundary", "boundaries", "contour", "contours", "border", "bbox", "box", "polygons"),
        *("watershed", "skeleton", "distance", "weight", "weights", "depth", "pred", "prediction", "heatmap", "nir"),
        *("orig", "original", "image", "raw", "panoptic", "semantic", "ids", "id"),
    }
)
#: words that a number after them makes a class
_NUMBERED_CLASS = frozenset({"class", "cls", "category", "value", "c"})
_OBSERVER = re.compile(
    r"(?:(?P<place>1st|2nd|3rd|\dth|first|second|third)[ _-]?)?"
    r"(?:ho|observer|obs|manual|expert|annotator|rater|grader|reader|radiologist)[ _-]?(?P<number>\d+|[a-e])?"
)
_ORDER = {"first": "1", "second": "2", "third": "3"}
_LEADING_NUMBER = re.compile(r"\d+[ _.)-]+(?=[^\W\d])")


class Kind(Enum):
    """Tells what the rest of a mask's name says."""

    WHOLE = "whole"  #: nothing: the image's mask
    CLASS = "class"
    NUMBER = "number"  #: one more mask of the same
    OBSERVER = "observer"
    OTHER = "other"  #: a picture of a mask


@dataclass(frozen=True, slots=True)
class Label:
    """Tells what a part of a name says; ``text`` is the class, the number, or the observer's place in their order.

    ``is_marked`` says that a word for masks stands before a number.
    """

    kind: Kind
    text: str = ""
    is_marked: bool = False


@dataclass(frozen=True, slots=True)
class Owned:
    """A mask with the key of its image; ``ending`` is what its name says beyond the image's, ``folder`` its folder."""

    image: str
    ending: Label
    folder: Label


def folded(text: str) -> str:
    """Returns text in one spelling for all cases and ways to compose accents."""
    return unicodedata.normalize("NFC", text).casefold()


def read_ending(text: str) -> Label:
    """Returns what the rest of a name says: ``mask``, ``mask_1``, ``car``, ``car_02``, ``1stHO``."""
    tokens = [token for token in re.split(rf"[{_SEPARATORS}]+", text) if token]
    left = [token for token in tokens if token.casefold() not in _WORDS]
    if not left:
        return Label(Kind.WHOLE)
    if (match := _OBSERVER.fullmatch("_".join(left).casefold())) and (place := match["place"] or match["number"]):
        return Label(Kind.OBSERVER, _ORDER.get(place, place[:1]))
    if len(left) == 1 and left[0].isdecimal():
        # x_mask_1 is a mask more of x; x_1_mask may be the mask of another image, which is missing
        is_last = tokens[-1] == left[0]
        return Label(Kind.NUMBER, left[0], is_marked=len(tokens) > 1) if is_last else Label(Kind.OTHER)
    if any(token.casefold() in _NO_CLASS for token in left):
        return Label(Kind.OTHER)
    if len(left) > 1 and left[-1].isdecimal() and left[0].casefold() not in _NUMBERED_CLASS:
        left = left[:-1]
    return Label(Kind.CLASS, "_".join(left))


def read_folder(name: str) -> Label:
    """Returns what the name of a folder of masks says: ``crack``, ``1. Microaneurysms``, ``expert_2``."""
    plain = _LEADING_NUMBER.sub("", name, count=1)
    found = read_ending(plain)
    return Label(Kind.CLASS, plain) if found.kind in (Kind.CLASS, Kind.NUMBER) else found


def is_mask(stem: str) -> bool:
    """Whether the end of a name says that the file is a mask: ``x_mask``, ``x_mask_1``, ``x_1stHO``."""
    cuts = _cuts(stem)
    next(cuts)
    labels = (read_ending(rest) for _, rest in cuts)
    return any(label.kind in (Kind.WHOLE, Kind.OBSERVER) or label.is_marked for label in labels)


class Images:
    """The images of a dataset by their paths, to find the owner of a mask among."""

    def __init__(self, paths: Mapping[str, str]) -> None:
        """``paths`` has the path of each image, without its extension, by key; sides and roles are not in them."""
        self._exact: dict[tuple[str, str], str] = {}
        self._loose: dict[tuple[str, str], list[str]] = defaultdict(list)
        for key, path in paths.items():
            folder, _, stem = folded(path).rpartition("/")
            self._exact[folder, stem] = key
            self._loose[folder, _without_zeros(stem)].append(key)

    def owner(self, path: str) -> Owned | None:
        """Returns the owner of the mask with this path, which has no extension, or None."""
        *parents, stem = path.split("/")
        for folder, name in _homes(parents):
            for start, ending in _cuts(stem):
                if (key := self._find(folder, start)) is not None:
                    return Owned(key, read_ending(ending), read_folder(name) if name else Label(Kind.WHOLE))
        return None

    def has_root_of(self, path: str) -> bool:
        """Whether an image's name is the beginning of the name of another file in its folder."""
        folder, _, stem = path.rpartition("/")
        cuts = _cuts(stem)
        next(cuts)
        return any((folded(folder), folded(start)) in self._exact for start, _ in cuts)

    def _find(self, folder: str, stem: str) -> str | None:
        at = folded(folder), folded(stem)
        if at in self._exact:
            return self._exact[at]
        loose = self._loose.get((at[0], _without_zeros(at[1])), ())
        return loose[0] if len(loose) == 1 else None


def _without_zeros(stem: str) -> str:
    return re.sub(r"(?<!\d)0+(?=\d)", "", stem)


def _homes(parents: list[str]) -> Iterator[tuple[str, str]]:
    """Yields the folders where the image may be, each with the folder of the mask that is not one of the image's."""
    yield "/".join(parents), ""
    for place in reversed(range(max(0, len(parents) - _MOST_FOLDERS), len(parents))):
        yield "/".join((*parents[:place], *parents[place + 1 :])), parents[place]


def _cuts(stem: str) -> Iterator[tuple[str, str]]:
    """Yields the whole name, then its beginnings up to a separator, the longest first, each with the rest."""
    yield stem, ""
    places = [i for i in range(len(stem) - 1, 0, -1) if stem[i] in _SEPARATORS and stem[i - 1] not in _SEPARATORS]
    for place in places[:_MOST_CUTS]:
        yield stem[:place], stem[place + 1 :]
