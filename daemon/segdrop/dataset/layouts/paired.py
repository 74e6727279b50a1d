"""An image and a mask file for each: in folders named for them, or together in one folder.

What tells them apart stands in ``arrangement``. An image and its mask have the same path below their folders, whatever
the extension, or one that differs by a prefix or an ending, see ``affixes``.
"""

from collections import Counter

from segdrop.codes import Code
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.classes import legends
from segdrop.dataset.layouts.shared import arrangement, folders, split_lists
from segdrop.dataset.layouts.shared.complaints import plain
from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.layouts.shared.pairing import ImagesAndMasks
from segdrop.dataset.samples import Reading, extension, is_image
from segdrop.errors import DataError, Issue

NAME = "paired"

_UNREAD_KINDS = frozenset({"mat", "npy", "npz", "nii", "gz", "h5", "zip", "tar"})
_SHOWN_KINDS = 6


def signature(tree: Tree) -> str:
    """Returns by what images and masks are told apart, or "" where they are not."""
    plan = arrangement.plan(folders.root(tree))
    return plan.reason if plan else ""


def read(tree: Tree) -> Reading:
    """Returns the pairs of images and masks. Raises DataError where the tree has no such folders or files."""
    tree = folders.root(tree)
    plan = arrangement.plan(tree)
    if plan is None:
        raise DataError(_missing(tree) or [Issue.of(Code.LAYOUT_NO_MASKS, "no image file has a name that says mask")])
    labels = legends.gather(tree)
    lists = split_lists.find(tree)
    used = {*labels.members, *(found.member for found in lists)}
    files = ImagesAndMasks(tree)
    for member, path in tree:
        files.add(member, path, plan.places.get(member), is_used=member in used)
    pairs = files.pair(by_affixes=True)
    sides = split_lists.divided(tree, pairs.samples, lists)
    assumptions = [*plan.assumptions, *labels.assumptions, *pairs.assumptions, *sides.assumptions]
    issues = [*labels.issues, *plan.issues, *pairs.issues, *sides.issues]
    return Reading(NAME, sides.samples, labels.names, issues, assumptions)


def explain(tree: Tree) -> list[Issue]:
    """Returns what is missing in a tree that has only one of the two folders; nothing if it has neither."""
    return next((issues for view in tree.views() if (issues := _missing(view))), [])


def _missing(tree: Tree) -> list[Issue]:
    """Returns issues for the images or masks that a view does not have."""
    files: dict[Role | None, list[str]] = {Role.IMAGE: [], Role.MASK: [], None: []}
    for _, path in tree:
        files[folders.spot(path).role].append(path)
    has = {role: any(is_image(path) for path in files[role]) for role in Role}
    if not (any(has.values()) or all(files[role] for role in Role)):
        return []
    unread = [path for path in files[Role.MASK] if extension(path) in _UNREAD_KINDS]
    if unread and has[Role.IMAGE] and not has[Role.MASK]:
        kinds = ", ".join(sorted({extension(path) for path in unread}))
        return [Issue.of(Code.LAYOUT_UNSUPPORTED, f"the masks are {kinds} files", files=sorted(unread))]
    return [
        Issue.of(code, _emptiness(folder, files[role]))
        for role, folder, code in (
            (Role.IMAGE, "images", Code.LAYOUT_NO_IMAGES),
            (Role.MASK, "masks", Code.LAYOUT_NO_MASKS),
        )
        if not has[role]
    ]


def _emptiness(meant: str, files: list[str]) -> str:
    """Returns in words that a folder is missing, or which one is there and holds what, but no image."""
    if not files:
        return f"there is no folder with files that is named for {meant} ({meant}/)"
    there = Counter(path.rpartition("/")[0] for path in files)
    kinds = ", ".join(sorted({extension(path) or "no extension" for path in files})[:_SHOWN_KINDS])
    return f"{plain(there.most_common(1)[0][0])}/ holds no image file that is read ({len(files)} files: {kinds})"
