"""Masks and images whose names differ by a prefix or an ending. Pure: keys in, pairs out.

A key is a path without its extension (:func:`~segdrop.dataset.samples.pairing_key`). Affixes are taken off the name,
never off the folders, and what is left has to be equal: 1 is never taken for 10.
"""

import operator
import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from segdrop.dataset.layouts.shared.folders import Role
from segdrop.dataset.samples import IMAGE_EXTENSIONS

_SEPARATORS = " _.-"
_WORDS = {
    Role.IMAGE: r"image|images|img|rgb|photo|sat|orig|original|input|leftimg8bit|training|test",
    Role.MASK: (
        r"mask|masks|label|labels|gt|ground_?truth|seg|segmentation|segmented|annotation|annot|l|m|lbl|labelids|"
        r"labeltrainids|gt(?:fine|coarse)_label(?:train)?ids|train_?ids?|manual\d?|(?:1st|2nd)_?manual"
    ),
}
_END = {
    role: re.compile(rf"(?:^|(.*)(?<!_gtfine)(?<!_gtcoarse)[{_SEPARATORS}])(?:{words})")
    for role, words in _WORDS.items()
}
#: ``x.jpg.png`` is the mask of ``x.jpg``
_EXTENSION = re.compile(rf"(.+)\.(?:{'|'.join(sorted(IMAGE_EXTENSIONS))})")
_START = {role: re.compile(rf"(?:{words})[{_SEPARATORS}](.+)") for role, words in _WORDS.items()}
#: the share of the masks that must fit a learned affix for it to be believed
_NEARLY_ALL = 0.9
_EXAMPLES = 5
#: bounds of what names made to be ambiguous can cost
_MOST_RIVALS, _MOST_RULES = 8, 64


@dataclass(slots=True)
class Matching:
    """The mask's key for each image's key. ``rival_…`` are keys that compete, and are not paired."""

    masks: dict[str, str]
    rival_images: set[str] = field(default_factory=set)
    rival_masks: set[str] = field(default_factory=set)
    assumptions: list[str] = field(default_factory=list)


def match(images: Collection[str], masks: Collection[str]) -> Matching:
    """Pair by equal keys, the rest by usual affixes, or by ones that the names have in common if those pair too few."""
    found = Matching({key: key for key in images if key in masks})
    rest_images, rest_masks = _without(images, found.masks), _without(masks, found.masks.values())
    usual = _by_usual(rest_images, rest_masks)
    if 2 * (len(found.masks) + len(usual.masks)) < min(len(images), len(masks)):
        learned = _learned(rest_images, rest_masks)
        if len(learned) > len(usual.masks):
            usual = Matching(learned)
    for image, mask in sorted(usual.masks.items())[:1]:
        said = f"{len(usual.masks)} masks belong to images whose names differ by a prefix or an ending"
        found.assumptions.append(f"{said}, as {_name(mask)} to {_name(image)}")
    found.masks |= usual.masks
    found.rival_images, found.rival_masks = usual.rival_images, usual.rival_masks
    return found


def core(key: str, role: Role) -> str | None:
    """Returns the key without the usual ending or else the usual prefix of its role, or None if it has neither."""
    folder, slash, whole = key.rpartition("/")
    name = _without_extension(whole) if role is Role.MASK else whole
    if (ending := _END[role].fullmatch(name)) is not None:
        name = (ending[1] or "").rstrip(_SEPARATORS)
    elif (start := _START[role].fullmatch(name)) is not None:
        name = start[1].lstrip(_SEPARATORS)
    if role is Role.MASK:
        name = _without_extension(name)
    return folder + slash + name if name != whole else None


def _without_extension(name: str) -> str:
    """Returns a mask's name without the extension of its image, where it has one before its own."""
    found = _EXTENSION.fullmatch(name)
    return found[1] if found else name


def _without(keys: Collection[str], taken: Iterable[str]) -> list[str]:
    gone = set(taken)
    return sorted(key for key in keys if key not in gone)


def _by_usual(images: Collection[str], masks: Collection[str]) -> Matching:
    """Returns pairs of which each is the other's only candidate."""
    by_core: dict[str, list[str]] = defaultdict(list)
    for image in images:
        for name in {image, core(image, Role.IMAGE)} - {None}:
            by_core[str(name)].append(image)
    fitting: dict[str, set[str]] = {}
    claims: dict[str, set[str]] = defaultdict(set)
    for mask in masks:
        names = {mask, core(mask, Role.MASK)} - {None}
        fitting[mask] = {image for name in names for image in by_core.get(str(name), ())[:_MOST_RIVALS]}
        for image in fitting[mask]:
            claims[image].add(mask)
    found = Matching({})
    for image, claiming in claims.items():
        if len(claiming) == 1 and all(len(fitting[mask]) == 1 for mask in claiming):
            found.masks[image] = min(claiming)
        else:
            found.rival_images.add(image)
            found.rival_masks |= claiming
    return found


def _learned(images: Collection[str], masks: Collection[str]) -> dict[str, str]:
    """Returns pairs by an affix that all names of one side share, or of both; none unless it pairs
    nearly everything.
    """
    if not (images and masks):
        return {}
    for pairs in (
        _one_sided(images, masks),
        {image: mask for mask, image in _one_sided(masks, images).items()},
        _two_sided(images, masks),
    ):
        if 1 < len(pairs) >= _NEARLY_ALL * min(len(images), len(masks)) and 2 * len(pairs) >= len(images):
            return pairs
    return {}


def _one_sided(plain: Collection[str], affixed: Collection[str]) -> dict[str, str]:
    """Returns pairs (plain → affixed) by the prefix and ending that fit most; none where two fit equally."""
    known, names = set(plain), [_name(key) for key in affixed]
    head, tail = _common(names)
    rules = set()
    for key in sorted(affixed)[:_EXAMPLES]:
        folder, slash, name = key.rpartition("/")
        for start in range(len(head) + 1):
            for end in range(len(tail) + 1):
                if start + end < len(name) and folder + slash + name[start : len(name) - end] in known:
                    rules.add((start, end))
    results = sorted(
        (_applied(rule, known, affixed) for rule in sorted(rules, key=sum)[:_MOST_RULES]), key=len, reverse=True
    )
    if not results or (len(results) > 1 and len(results[1]) == len(results[0])):
        return {}
    return results[0]


def _applied(rule: tuple[int, int], plain: Collection[str], affixed: Collection[str]) -> dict[str, str]:
    """Returns the pairs that a rule makes, which cuts so many characters at both ends of a name."""
    pairs = {}
    for key in affixed:
        folder, slash, name = key.rpartition("/")
        stripped = folder + slash + name[rule[0] : len(name) - rule[1]]
        if stripped in plain:
            pairs[stripped] = key
    return pairs


def _two_sided(images: Collection[str], masks: Collection[str]) -> dict[str, str]:
    """Returns pairs (image → mask) by what is left of both without what each side has in common;
    numbers are never cut.
    """
    cores = []
    for keys in (images, masks):
        head, tail = _common([_name(key) for key in keys])
        rule = len(head.rstrip("0123456789")), len(tail.lstrip("0123456789"))
        if not any(rule):
            return {}
        cores.append({core: key for key in keys if (core := _cut(key, rule))})
        if len(cores[-1]) < len(keys):
            return {}
    return {image: cores[1][core] for core, image in cores[0].items() if core in cores[1]}


def _cut(key: str, rule: tuple[int, int]) -> str:
    """Returns a key with its name cut at both ends, or "" where nothing is left of it."""
    folder, slash, name = key.rpartition("/")
    left = name[rule[0] : len(name) - rule[1]]
    return folder + slash + left if left else ""


def _common(names: list[str]) -> tuple[str, str]:
    """Returns the longest beginning and end that all names share."""
    backwards = [name[::-1] for name in names]
    head, tail = (min(texts)[: _num_equal(min(texts), max(texts))] for texts in (names, backwards))
    return head, tail[::-1]


def num_shared_folders(folders: Collection[str]) -> int:
    """Returns how many folders at their beginning all paths of folders have in common; none where one path is empty."""
    by_parts = operator.methodcaller("split", "/")
    return _num_equal(by_parts(min(folders, key=by_parts)), by_parts(max(folders, key=by_parts))) if all(folders) else 0


def _num_equal(first: Sequence[str], last: Sequence[str]) -> int:
    """Returns how many elements at their beginning the first and the last of an order share, and all between them."""
    differing = (place for place, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return next(differing, min(len(first), len(last)))


def _name(key: str) -> str:
    return key.rpartition("/")[2]
