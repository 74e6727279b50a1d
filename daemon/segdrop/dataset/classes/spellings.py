"""Classes whose names differ in spelling only: people who label by hand write one class in several ways."""

import json
import re
import unicodedata
from collections.abc import Sequence

from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.request import DatasetRequest

_SHOWN = 4
_BETWEEN_WORDS = re.compile(r"[\s_.\-]+")
#: ends of plurals, and what they are of one
_PLURALS = ((re.compile(r"(?<=..)ies$"), "y"), (re.compile(r"(?<=x|h)es$"), ""), (re.compile(r"(?<=[^s]{2})s$"), ""))


def alike(names: Sequence[str], class_pixels: Sequence[int], request: DatasetRequest) -> list[Issue]:
    """Returns a warning about classes with pixels whose names differ in case, blanks or a plural only.

    Classes that the request's ``class_map`` names are meant as they are.
    """
    settled = request.class_map if isinstance(request.class_map, dict) else {}
    meant = {str(name) for entry in settled.items() for name in entry}
    groups: dict[str, list[int]] = {}
    for class_id, (name, pixels) in enumerate(zip(names, class_pixels, strict=True)):
        if pixels and name not in meant:
            groups.setdefault(_common(name), []).append(class_id)
    several = [group for group in groups.values() if len(group) > 1]
    if not several:
        return []
    shown = "; ".join(
        ", ".join(f"'{names[i]}' ({class_pixels[i]} pixels)" for i in group) for group in several[:_SHOWN]
    )
    merged = {names[i]: names[_largest(group, class_pixels)] for group in several[:_SHOWN] for i in group}
    wanted = {old: new for old, new in merged.items() if old != new}
    message = f"names of classes differ in case, blanks or a plural only, and each is a class of its own: {shown}"
    return [
        Issue.of(
            Code.CLASSES_ALIKE,
            message,
            count=sum(map(len, several)),
            fix=f'If they are one, set `"class_map": {json.dumps(wanted, ensure_ascii=False)}` in the request; if not, '
            "map each to a clearer name.",
        )
    ]


def _largest(group: Sequence[int], class_pixels: Sequence[int]) -> int:
    return max(group, key=lambda class_id: class_pixels[class_id])


def _common(name: str) -> str:
    """Returns what all spellings of a name have in common."""
    words = _BETWEEN_WORDS.split(unicodedata.normalize("NFKC", name).casefold().strip())
    return "".join(map(_singular, words))


def _singular(word: str) -> str:
    for plural, one in _PLURALS:
        if plural.search(word):
            return plural.sub(one, word)
    return word
