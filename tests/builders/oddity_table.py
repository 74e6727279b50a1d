"""The table of oddities, and to which drafts they can happen."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from builders.generated import Coding, Draft, Naming


@dataclass(frozen=True)
class Oddity:
    """``parts`` are what it touches; ``fits`` says to which drafts it can happen."""

    name: str
    parts: frozenset[str]
    fits: Callable[[Draft], bool]
    apply: Callable[[Draft], None]


ODDITIES: dict[str, Oddity] = {}


def oddity(parts: str, fits: Callable[[Draft], bool]) -> Callable[[Callable[[Draft], None]], Callable[[Draft], None]]:
    """Enters a function into the table under its own name."""

    def entered(apply: Callable[[Draft], None]) -> Callable[[Draft], None]:
        ODDITIES[apply.__name__] = Oddity(apply.__name__, frozenset(parts.split()), fits, apply)
        return apply

    return entered


def has_masks(draft: Draft) -> bool:
    return not draft.coding.is_drawn


def is_coded(*codings: Coding) -> Callable[[Draft], bool]:
    return lambda draft: draft.coding in codings


def is_black_and_white(draft: Draft) -> bool:
    return draft.is_binary


def is_unnamed_pair(draft: Draft) -> bool:
    return draft.num_classes == 2 and draft.naming is Naming.NONE


def has_list(draft: Draft) -> bool:
    return draft.naming in (Naming.LABELS, Naming.WITH_BACKGROUND)


def is_numbered(draft: Draft) -> bool:
    return has_list(draft) and draft.coding in (Coding.INDEX, Coding.PALETTE)


def with_ids(draft: Draft, ids: list[np.ndarray], write: Callable[[Draft, int], bytes], i: int) -> bytes:
    """What a mask is if the truth is another."""
    truth, draft.ids = draft.ids, ids
    try:
        return write(draft, i)
    finally:
        draft.ids = truth
