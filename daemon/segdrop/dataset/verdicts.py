"""What a pass over the pixels says about how masks are to be read: as they were, or otherwise, by another pass."""

from collections import Counter
from dataclasses import dataclass

from segdrop.dataset import denoising
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes import by_file, storage
from segdrop.dataset.labelling import Labeller
from segdrop.dataset.masks.snapping import Objects
from segdrop.dataset.pixel_pass import PixelPass
from segdrop.errors import Issue


@dataclass(frozen=True, slots=True)
class Verdict:
    """Tells how masks are to be read by another pass.

    Without a labeller, the issue is the fault that this is not clear.
    """

    labeller: Labeller | None
    issue: Issue | None = None


def judge(pixel_pass: PixelPass, names: ClassNames | None) -> Verdict | None:
    """Decide about the masks that a pass has seen; returns None where they were read as they were meant."""
    labeller = pixel_pass.labeller
    if not labeller.is_decoding_decided and (found := storage.judge(pixel_pass.storage, names)) is not None:
        if found.decoding is None:
            return Verdict(None, found.fault)
        return Verdict(labeller.decoded(found.decoding, found.said))
    if not labeller.has_snapped and (runs := _objects(pixel_pass, names)):
        issue = by_file.numbered_objects(runs.total(), by_file.running(runs), range(max(runs) + 1))
        return Verdict(labeller.snapped(Objects()), issue)
    if not labeller.has_snapped and (blur := denoising.judge(pixel_pass, names)) is not None:
        return Verdict(labeller.snapped(blur.snapper) if blur.snapper is not None else None, blur.issue)
    return None


def _objects(pixel_pass: PixelPass, names: ClassNames | None) -> Counter[int]:
    """Returns masks by the number of their objects, where these are more than there can be classes; else nothing."""
    runs = pixel_pass.runs or Counter()
    may_be = pixel_pass.has_too_many_keys and not pixel_pass.lossy and by_file.may_be_one_class(names)
    return runs if may_be and by_file.are_numbers(runs) else Counter()
