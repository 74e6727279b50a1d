"""Generated datasets with one oddity or two: read rightly, doubted aloud, or refused; never silently wrong.

``READINGS`` in the environment says how many. A case that fails is made again from its number by :func:`case`.
"""

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from builders import encoded
from builders.conversion import converted
from builders.generated import Coding, Draft, Naming, coco, generate, lines, mask_bytes
from builders.oddities import ODDITIES
from builders.outcomes import Outcome, judged, outcome

NUM_CASES = int(os.environ.get("READINGS", "200"))
_SHARES = 10
_SHARE_WITH_TWO = 0.4
#: every so many cases that are read rightly, the conversion is read as well
_CONVERTED_EVERY = 4
_KINDS = sorted(ODDITIES)


def case(number: int) -> tuple[Draft, list[str]]:
    """Returns a draft and its oddities: all kinds in turn, and often another one that goes with it."""
    rng = np.random.default_rng([20, number])
    first = ODDITIES[_KINDS[number % len(_KINDS)]]
    draft = generate(rng)
    while not first.fits(draft):
        draft = generate(rng)
    first.apply(draft)
    others = [kind for kind in _KINDS if not ODDITIES[kind].parts & first.parts and ODDITIES[kind].fits(draft)]
    if not others or rng.random() >= _SHARE_WITH_TWO:
        return draft, [first.name]
    second = ODDITIES[others[int(rng.integers(len(others)))]]
    second.apply(draft)
    return draft, [first.name, second.name]


@pytest.mark.parametrize("share", range(_SHARES))
def test_no_oddity_is_silently_wrong(tmp_path: Path, share: int) -> None:
    wrong = []
    for number in range(share, NUM_CASES, _SHARES):
        draft, kinds = case(number)
        found, why = outcome(draft, tmp_path)
        if found is Outcome.RIGHT and number // _SHARES % _CONVERTED_EVERY == 0:
            found, why = judged(draft, converted(tmp_path / "data.zip")[1])
            found = found if found is Outcome.RIGHT else Outcome.WRONG
        if found is Outcome.WRONG:
            wrong.append(f"case {number} ({' and '.join(kinds)}; {draft.coding.name}, {draft.naming.name}): {why}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("number", range(40))
def test_without_an_oddity_all_is_right_and_nothing_is_doubted(tmp_path: Path, number: int) -> None:
    draft = generate(np.random.default_rng([10, number]))
    assert outcome(draft, tmp_path) == (Outcome.RIGHT, "")


# the judge is one to be trusted: it says wrong where it is


def drafted(fits: Callable[[Draft], bool]) -> Draft:
    number = 0
    while not fits(draft := generate(np.random.default_rng([30, number]))):
        number += 1
    return draft


def test_two_classes_exchanged_in_one_mask_are_noticed(tmp_path: Path) -> None:
    draft = drafted(lambda draft: draft.num_classes > 2 and draft.coding is Coding.INDEX)
    exchanged = np.array([0, 2, 1, *range(3, 256)], np.uint8)
    draft.write_mask = lambda draft, i: mask_bytes(draft, exchanged[draft.ids[i]] if i == 3 else draft.ids[i])
    found, why = outcome(draft, tmp_path)
    assert found is Outcome.WRONG
    assert "class 1 is [1, 2] in truth" in why


def test_names_exchanged_in_a_list_are_noticed(tmp_path: Path) -> None:
    draft = drafted(lambda draft: draft.num_classes > 2 and draft.naming is Naming.WITH_BACKGROUND)
    draft.lists = {"labels.txt": lines([draft.names[0], *draft.names[:0:-1]])}
    assert outcome(draft, tmp_path)[0] is Outcome.WRONG


def test_background_called_foreground_is_noticed(tmp_path: Path) -> None:
    draft = drafted(lambda draft: draft.num_classes == 2 and draft.naming is Naming.WITH_BACKGROUND)
    draft.write_mask = lambda draft, i: mask_bytes(draft, 1 - draft.ids[i])
    found, why = outcome(draft, tmp_path)
    assert found is not Outcome.RIGHT
    assert "has the name of another" in why


def test_an_area_that_is_lost_is_noticed(tmp_path: Path) -> None:
    draft = drafted(lambda draft: draft.coding is Coding.COCO and draft.num_classes > 2)
    truth = [ids.copy() for ids in draft.ids]
    for i in (0, 1):
        draft.ids[i] = np.where(draft.ids[i] == 1, 2, draft.ids[i]).astype(np.uint8)
    draft.lists, draft.ids = {"annotations.json": coco(draft)}, truth
    assert outcome(draft, tmp_path)[0] is Outcome.WRONG


def test_an_image_of_another_name_is_noticed(tmp_path: Path) -> None:
    draft = drafted(lambda draft: draft.coding is Coding.LEVELS)
    images = draft.images
    draft.images = [images[0][::-1], *images[1:]]
    draft.write_image = lambda _, i: encoded(images[i])
    found, why = outcome(draft, tmp_path)
    assert found is Outcome.WRONG
    assert "is another" in why
