"""Several folders that may all hold the masks: which one is meant, or that it cannot be known.

What explains most images wins. Of folders that explain the same images, those of a first observer's drawings are the
truth beside a field of view (``mask/`` in DRIVE, HRF and their like) and beside a second observer's. Between all
others nothing decides but the person who packed them.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from segdrop.codes import Code
from segdrop.dataset.archive.source import MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.layouts.shared import affixes, folders
from segdrop.dataset.layouts.shared.folders import Spot
from segdrop.dataset.samples import pairing_key
from segdrop.errors import Issue

_FIRST_OBSERVER = frozenset({"1stmanual", "manual1", "manual", "firstmanual"})
_SECOND_OBSERVER = frozenset({"2ndmanual", "manual2", "secondmanual"})
_FIELD_OF_VIEW = frozenset({"mask", "fov"})
#: so many images have to be explained before a folder counts as more than an example
_ENOUGH = 2
_MOST_COMPARED = 3
_FIX = (
    "Leave all but one of these folders out of the ZIP; or rename what is no truth, so that no word for masks "
    "is in its name (fov/, preview/)."
)


@dataclass(slots=True)
class Choice:
    """The word of the folder that is read, with what is to be said about the others."""

    word: str
    assumptions: list[str] = field(default_factory=list)
    issues: list[Issue] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Rival:
    """A folder of masks by its word; ``pairs`` has the mask's key for the key of each image that it explains."""

    word: str
    folder: str
    members: Mapping[str, int]
    pairs: Mapping[str, str]

    @property
    def num_images(self) -> int:
        """Number of images that it explains."""
        return len(self.pairs)


def chosen(tree: Tree, images: Mapping[int, Spot], masks: Mapping[int, Spot]) -> Choice:
    """Returns the folder to read. ``masks`` are the files of all folders that are named for masks, at least one."""
    words = sorted({spot.word for spot in masks.values()}, key=folders.preference)
    if len(words) == 1:
        return Choice(words[0])
    keys = {pairing_key(spot.path) for spot in images.values()}
    rivals = [_rival(tree, word, keys, masks) for word in words]
    if not any(rival.num_images for rival in rivals):
        return Choice(words[0])
    left, assumptions = _without_known(rivals)
    best = max(left, key=lambda rival: rival.num_images)
    equal = [rival for rival in left if rival is best or _is_equal(rival, best)]
    result = Choice(equal[0].word if len(equal) > 1 else best.word, assumptions)
    for rival in left:
        if rival.num_images and rival not in equal:
            result.assumptions.append(
                f"{best.folder}/ has masks for {best.num_images} images, {rival.folder}/ for {rival.num_images}: "
                f"{best.folder}/ is read"
            )
    if len(equal) > 1:
        _settle(tree, equal, result)
    return result


def _rival(tree: Tree, word: str, keys: set[str], masks: Mapping[int, Spot]) -> _Rival:
    members = {pairing_key(spot.path): member for member, spot in masks.items() if spot.word == word}
    first = min(members.values())
    return _Rival(word, _folder(tree.names[first], word), members, affixes.match(keys, members).masks)


def _folder(path: str, word: str) -> str:
    """Returns the name of the folder in a path that has the word, as it is spelt."""
    return next((part for part in path.split("/") if folders.meaning(part).word == word), word)


def _without_known(rivals: Sequence[_Rival]) -> tuple[list[_Rival], list[str]]:
    """Returns the rivals without what is known to be no truth, or another's of the same images, and why."""
    first = next((rival for rival in rivals if rival.word in _FIRST_OBSERVER and rival.num_images >= _ENOUGH), None)
    if first is None:
        return [*rivals], []
    left, said = [], []
    for rival in rivals:
        if rival.word in _FIELD_OF_VIEW:
            said.append(f"{rival.folder}/ beside {first.folder}/ is the field of view, and no truth: it is left out")
        elif rival.word in _SECOND_OBSERVER:
            said.append(f"{rival.folder}/ is a second observer's: the first one's, {first.folder}/, is read")
        else:
            left.append(rival)
    return left, said


def _is_equal(rival: _Rival, best: _Rival) -> bool:
    """Whether a rival explains so many of the same images that numbers do not decide."""
    shared = len(rival.pairs.keys() & best.pairs.keys())
    return 2 * rival.num_images > best.num_images and 2 * shared > rival.num_images


def _settle(tree: Tree, equal: Sequence[_Rival], result: Choice) -> None:
    """Add the fault for folders that differ; or, where they hold the same files, the word that they do."""
    names = " and ".join(f"{rival.folder}/" for rival in equal)
    if all(_are_copies(tree, equal[0], rival) for rival in equal[1:]):
        result.assumptions.append(f"{names} hold the same masks: {equal[0].folder}/ is read")
        return
    shared = min(rival.num_images for rival in equal)
    message = f"{names} each hold a mask for the same images ({shared} of them), and only one can be the truth"
    files = [tree.names[min(rival.members.values())] for rival in equal]
    result.issues.append(Issue.of(Code.LAYOUT_AMBIGUOUS, message, files=files, fix=_FIX))


def _are_copies(tree: Tree, one: _Rival, other: _Rival) -> bool:
    """Whether two folders hold the same files: all by their size, a few by their bytes."""
    shared = sorted(one.pairs.keys() & other.pairs.keys())
    pairs = [(one.members[one.pairs[key]], other.members[other.pairs[key]]) for key in shared]
    try:
        return all(tree.size_bytes(a) == tree.size_bytes(b) for a, b in pairs) and _are_same(tree, pairs)
    except (LookupError, MemberError):
        return False


def _are_same(tree: Tree, pairs: Iterable[tuple[int, int]]) -> bool:
    spread = [*pairs]
    step = max(1, len(spread) // _MOST_COMPARED)
    return all(tree.read(a) == tree.read(b) for a, b in spread[::step])
