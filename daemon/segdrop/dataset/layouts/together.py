"""Which of the images in a folder are masks of the others, by their names alone: ``x_mask.png``, or ``x.png``."""

from collections import defaultdict
from collections.abc import Mapping

from segdrop.dataset.layouts import affixes
from segdrop.dataset.layouts.folders import Role
from segdrop.dataset.samples import extension, pairing_key

#: of two files of one name, the first kind is the photograph: lossy before bulky before exact
_KINDS = ("jpg", "jpeg", "jpe", "jfif", "webp", "bmp", "dib", "tif", "tiff", "ppm", "pgm", "pbm", "pnm", "png", "gif")
_ENOUGH_TO_GUESS = 2


def masks_among(paths: Mapping[int, str]) -> tuple[set[int], str]:
    """The members that are masks, and by what that was seen; none unless half of the files pair up."""
    by_ending, by_kind = _by_ending(paths), _by_kind(paths)
    masks = by_ending if len(by_ending) >= len(by_kind) else by_kind
    if not masks or 4 * len(masks) < len(paths):
        return set(), ""
    if masks is by_ending:
        return masks, "masks told apart from images by their names"
    if len(masks) < _ENOUGH_TO_GUESS:
        return set(), ""
    kinds = sorted({extension(paths[member]) for member in masks})
    others = sorted({extension(path) for member, path in paths.items() if member not in masks})
    return masks, f"each name once as {' or '.join(others)}, the image, and once as {' or '.join(kinds)}, the mask"


def _by_ending(paths: Mapping[int, str]) -> set[int]:
    keys = {member: pairing_key(path) for member, path in paths.items()}
    cores = {member: affixes.core(key, Role.MASK) for member, key in keys.items()}
    known = set(keys.values()) | {
        image for key in keys.values() if (image := affixes.core(key, Role.IMAGE)) is not None
    }
    return {member for member, core in cores.items() if core is not None and core in known}


def _by_kind(paths: Mapping[int, str]) -> set[int]:
    """Of the files of one name, the one whose kind is the least like a photograph's."""
    groups: dict[str, list[int]] = defaultdict(list)
    for member, path in paths.items():
        groups[pairing_key(path)].append(member)
    masks = set()
    for members in groups.values():
        ranks = {member: _KINDS.index(extension(paths[member])) for member in members}
        if min(ranks.values()) < max(ranks.values()):
            masks.add(max(members, key=ranks.__getitem__))
    return masks
