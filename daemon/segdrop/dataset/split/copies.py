"""Copies of one image, by the bytes of their files as the archive's directory tells them."""

from collections import defaultdict
from collections.abc import Callable, Sequence

from segdrop.codes import Code, Severity
from segdrop.dataset.samples import LabelledSample, MaskFile
from segdrop.errors import Issue

#: what two files of the same bytes have in common
Identity = tuple[int, int]
#: share of all images, from which on contradictions are no chance
_MANY = 0.02


def contradictions(
    samples: Sequence[LabelledSample], identity: Callable[[int], Identity], names: Sequence[str]
) -> list[Issue]:
    """Returns an issue for copies of one image whose masks are different files, with the names of those masks.

    It is a note where they are few: whoever drew the same image twice drew it a little differently.
    """
    copies: dict[Identity, list[tuple[int, MaskFile]]] = defaultdict(list)
    for sample in samples:
        if isinstance(sample.truth, MaskFile):
            copies[identity(sample.image)].append((sample.image, sample.truth))
    differing = [
        pairs for pairs in copies.values() if len(pairs) > 1 and len({identity(mask.member) for _, mask in pairs}) > 1
    ]
    if not differing:
        return []
    (one, first), (other, second) = _two_that_differ(differing[0], identity)
    message = (
        f"{len(differing)} images are there more than once with different masks: {names[one]} and {names[other]} are "
        f"the same photograph, {names[first.member]} and {names[second.member]} are not the same mask"
    )
    files = [names[mask.member] for pairs in differing for _, mask in pairs]
    severity = Severity.NOTE if len(differing) < _MANY * len(samples) else None
    return [Issue.of(Code.PAIR_CONTRADICTION, message, files=files, count=len(differing), severity=severity)]


def _two_that_differ(
    pairs: Sequence[tuple[int, MaskFile]], identity: Callable[[int], Identity]
) -> tuple[tuple[int, MaskFile], tuple[int, MaskFile]]:
    first = pairs[0]
    return first, next(pair for pair in pairs if identity(pair[1].member) != identity(first[1].member))
