"""The last resort: two folders of any names that hold files of the same names, one of which looks like masks.

Masks look like this: no format that changes pixels (JPEG, WebP), and at most half the bytes of the pictures of the same
names, since they are flat. It stays a guess by names and sizes, and is said to be one, unless the request names this
layout. Where it is not clear which folder is which, or a third one fits as well, nothing is guessed.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from segdrop.codes import Code
from segdrop.dataset.archive import image_headers
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import folders, words
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks, Place
from segdrop.dataset.samples import Reading, Split, extension, is_image, pairing_key
from segdrop.errors import DataError, Issue

NAME = "twins"

_LOSSY = frozenset({"jpg", "jpeg", "jpe", "jfif", "webp"})
#: pictures that go with images and are no classes
_OTHER_WORDS = words.DRAWINGS | {
    *("depth", "disparity", "dsm", "dem", "ndsm", "normal", "flow", "thumbnail", "thumb", "edge", "boundary"),
    *("boundaries", "contour", "heatmap", "saliency", "nir", "infrared", "thermal", "augmented", "uncertainty"),
}
#: folders are compared in pairs, the largest first: no dataset has more kinds of pictures
_MOST_FOLDERS = 8
_LEAST_PAIRS = 2
_SIZES_LOOKED_AT, _HEADERS_LOOKED_AT = 200, 3
_MOST_HEADER_BYTES = 1 << 22
_SMALLER, _NEARLY_ALL = 2, 0.9
_RENAME = "Rename the folder of the images to `images` and the folder of the masks to `masks`, and pack them again."


@dataclass(frozen=True, slots=True)
class _File:
    member: int
    split: Split | None
    path: str  #: without the folder and the side of the split


@dataclass(frozen=True, slots=True)
class _Twins:
    """Two folders and the keys that both have."""

    images: str
    masks: str
    keys: tuple[str, ...]

    @property
    def shown(self) -> str:
        """Both folders in words."""
        return f"'{_shown(self.images)}' and '{_shown(self.masks)}'"


@dataclass(frozen=True, slots=True)
class _Judgement:
    """The folders of a tree: which two are images and masks, or why that is not clear."""

    files: Mapping[str, Mapping[str, _File]]
    clear: tuple[_Twins, ...]
    unclear: tuple[_Twins, ...]

    @property
    def rivals(self) -> tuple[_Twins, ...]:
        """The clear ones that pair (nearly) as many files as the best."""
        most = max((len(twins.keys) for twins in self.clear), default=0)
        return tuple(twins for twins in self.clear if len(twins.keys) >= _NEARLY_ALL * most)


def _judged(tree: Tree) -> _Judgement:
    known = NAME, tree.prefix
    if known not in tree.memo:
        candidates = [_judge(tree, files) for files in _arranged(tree)]
        tree.memo[known] = max(candidates, key=lambda j: (len(j.clear) > 0, len(j.unclear) > 0))
    judgement: _Judgement = tree.memo[known]
    return judgement


def _arranged(tree: Tree) -> Iterator[dict[str, dict[str, _File]]]:
    """Yields the images by folder and key, twice: by the outermost folder of each path, and by the innermost."""
    for place in (0, -1):
        found: dict[str, dict[str, _File]] = defaultdict(dict)
        for member, path in tree:
            if is_image(path):
                split, parts = _without_side(path.split("/"))
                folder = parts.pop(place if place == 0 else -2) if len(parts) > 1 else ""
                meant = folders.meaning(folder)
                if meant.split is not None and split is None:
                    split, folder = meant.split, meant.word
                kept = "/".join(parts)
                found[folder].setdefault(pairing_key(f"{split or ''}/{kept}"), _File(member, split, kept))
        yield found


def _without_side(parts: list[str]) -> tuple[Split | None, list[str]]:
    """Returns the outermost side of the split among folders, and the path without it."""
    for position, part in enumerate(parts[:-1]):
        if (found := folders.meaning(part)).is_side:
            return found.split, [*parts[:position], *parts[position + 1 :]]
    return None, parts


def _judge(tree: Tree, files: Mapping[str, Mapping[str, _File]]) -> _Judgement:
    """Compare the largest folders in pairs."""
    named = sorted(files, key=lambda folder: (-len(files[folder]), folder))[:_MOST_FOLDERS]
    clear, unclear = [], []
    for position, one in enumerate(named):
        for other in named[position + 1 :]:
            keys = tuple(sorted(files[one].keys() & files[other].keys()))
            if len(keys) < _LEAST_PAIRS or 2 * len(keys) < max(len(files[one]), len(files[other])):
                continue
            both = _Twins(one, other, keys), _Twins(other, one, keys)
            found = [twins for twins in both if _is_clear(tree, files, twins)]
            clear += found
            if not found and not any(map(_is_other, (one, other))):
                unclear.append(both[0])
    return _Judgement(files, tuple(clear), tuple(unclear))


def _is_clear(tree: Tree, files: Mapping[str, Mapping[str, _File]], twins: _Twins) -> bool:
    """Whether the masks of two folders look like masks of the images, by names, formats and sizes."""
    images, masks = folders.loosely(twins.images).role, folders.loosely(twins.masks).role
    if images is Role.MASK or masks is Role.IMAGE or _is_other(twins.masks) or _is_other(twins.images):
        return False
    pairs = [(files[twins.images][key], files[twins.masks][key]) for key in twins.keys]
    if any(extension(mask.path) in _LOSSY for _, mask in pairs):
        return False
    looked = pairs[:: max(1, len(pairs) // _SIZES_LOOKED_AT)]
    try:
        smaller = sum(
            _SMALLER * tree.size_bytes(mask.member) <= tree.size_bytes(image.member) for image, mask in looked
        )
        return smaller >= _NEARLY_ALL * len(looked) and all(
            _are_of_one_size(tree, image.member, mask.member) for image, mask in looked[:_HEADERS_LOOKED_AT]
        )
    except (MemberError, LookupError):  # damaged, or a tree of names alone
        return False


def _are_of_one_size(tree: Tree, image: int, mask: int) -> bool:
    """Whether two files have about as many pixels, as far as their headers say: thumbnails have fewer."""
    if max(tree.size_bytes(member) for member in (image, mask)) > _MOST_HEADER_BYTES:
        return True
    one, other = (image_headers.extent(iter([tree.read(member)])) for member in (image, mask))
    if one is None or other is None:
        return True
    return max(one.num_pixels, other.num_pixels) <= _SMALLER * min(one.num_pixels, other.num_pixels)


def _is_other(folder: str) -> bool:
    """Whether a folder is named for pictures that are neither images nor masks."""
    return folders.meaning(folder).word in _OTHER_WORDS


def _shown(folder: str) -> str:
    return f"{folder}/" if folder else "the root"


def signature(tree: Tree) -> str:
    """Returns which two folders look like images and their masks, or ""."""
    judgement = _judged(folders.root(tree))
    if len(judgement.rivals) != 1:
        return ""
    (twins,) = judgement.rivals
    return f"{twins.shown} hold files of the same names, and the latter look like masks"


def read(tree: Tree) -> Reading:
    """Returns the pairs, with a warning that says by what. Raises DataError where it is not clear what is what."""
    tree = folders.root(tree)
    judgement = _judged(tree)
    if len(judgement.rivals) != 1:
        raise DataError(
            explain(tree) or [Issue.of(Code.LAYOUT_NO_MASKS, "no two folders hold files of the same names")]
        )
    (twins,) = judgement.rivals
    places = {
        file.member: Place(role, file.split, file.path)
        for role, folder in ((Role.IMAGE, twins.images), (Role.MASK, twins.masks))
        for file in judgement.files[folder].values()
    }
    lists = legends.find(tree)[:1]
    files = ImagesAndMasks(tree)
    for member, path in tree:
        files.add(member, path, places.get(member), is_used=member in lists)
    pairs = files.pair()
    names, issues = legends.read(tree, lists[0]) if lists else (None, [])
    issues = [_doubt(twins), *issues, *pairs.issues]
    return Reading(NAME, pairs.samples, names, issues, pairs.assumptions, is_guess=True)


def _doubt(twins: _Twins) -> Issue:
    message = (
        f"no folder is named for images or masks: '{_shown(twins.images)}' is read as the images and "
        f"'{_shown(twins.masks)}' as their masks, since they hold {len(twins.keys)} files of the same names, and those "
        "of the masks are smaller and in a format that keeps every pixel"
    )
    fix = f'If that is right, put "format": "{NAME}" into the request; if not: {_RENAME}'
    return Issue.of(Code.LAYOUT_ASSUMED, message, count=len(twins.keys), fix=fix)


def explain(tree: Tree) -> list[Issue]:
    """Returns why it is not clear which folders are images and masks, where some hold files of the same names."""
    judgement = _judged(folders.root(tree))
    if len(judgement.rivals) > 1:
        shown = "; ".join(f"{twins.shown} ({len(twins.keys)} files)" for twins in judgement.rivals)
        message = f"folders hold files of the same names, and several may be images and their masks: {shown}"
        return [Issue.of(Code.LAYOUT_AMBIGUOUS, message, fix=_RENAME)]
    if judgement.unclear and not judgement.clear:
        twins = max(judgement.unclear, key=lambda twins: len(twins.keys))
        message = (
            f"{twins.shown} hold {len(twins.keys)} files of the same names, and nothing says which of them are the "
            "images and which the masks"
        )
        return [Issue.of(Code.LAYOUT_UNKNOWN, message, fix=_RENAME)]
    return []
