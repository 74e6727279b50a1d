"""Warm start: a training goes on from the model of an earlier one, whose classes are found again by their names.

Every tensor is taken over, BatchNorm's statistics among them. The layers that give the logits have a row for each
class: that of a known class is copied, and that of a class that the earlier model did not have becomes the mean of the
copied ones. So its logit is the mean of theirs: it is nowhere above all of them, and of k known classes and n new ones
the known ones keep at least k / (k + n) of their probability (Jensen's inequality for exp), wherever the features come
from. The start therefore predicts what the earlier model does; random rows would be the answer in some places, and rows
of zeros wherever the other logits are negative. Hewitt, "Initializing New Word Embeddings for Pretrained Language
Models" (2021), does the same for new words. Where not one class is known, the rows stay random.
"""

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO

import torch
from torch import Tensor

from segdrop import logs
from segdrop.codes import Code, Severity
from segdrop.errors import DataError, Issue
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.weights import COUNTER, Initialisation, tensors_of
from segdrop.spool.kept_models import KeptModel

_MOST_NAMES = 12


@dataclass(frozen=True, slots=True)
class ClassMatch:
    """Which classes of a dataset an earlier model knows."""

    sources: tuple[int | None, ...]  #: by class id: the id that the class has in the earlier model; None for a new one
    added: tuple[str, ...]
    vanished: tuple[str, ...]  #: classes that the earlier model alone has

    @property
    def known(self) -> int:
        """Number of classes that the earlier model knows."""
        return sum(source is not None for source in self.sources)


def match_classes(classes: Sequence[str], earlier: Sequence[str]) -> ClassMatch:
    """Returns which classes are which by their names: as they are written first, then without regard to case."""
    sources: list[int | None] = [None] * len(classes)
    free = list(range(len(earlier)))
    forms: tuple[Callable[[str], str], ...] = (str, _caseless)
    for form in forms:
        for class_id, name in enumerate(classes):
            if sources[class_id] is not None:
                continue
            source = next((each for each in free if form(earlier[each]) == form(name)), None)
            if source is not None:
                sources[class_id] = source
                free.remove(source)
    added = tuple(name for name, source in zip(classes, sources, strict=True) if source is None)
    return ClassMatch(tuple(sources), added, tuple(earlier[each] for each in free))


def _caseless(name: str) -> str:
    """Returns the form in which letters that differ in case alone are equal (Unicode, D145)."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", name).casefold())


def start_from(
    model: SegmentationModel, classes: Sequence[str], earlier: KeptModel, stream: BinaryIO
) -> Initialisation:
    """Puts the weights of an earlier model into a new one for ``classes``, and says which classes were found again.

    ``stream`` has the bytes of its ``model.pth``, made sure of. Raises ``DataError`` (``model.mismatch``) where its
    tensors do not fit the architecture; the new model is left as it is then.
    """
    content = torch.load(stream, map_location="cpu", weights_only=True)
    match = match_classes(classes, earlier.classes)
    state = _new_state(model, tensors_of(content), match)
    if state is None:
        message = f"the tensors of the model of job {earlier.job} do not fit the architecture {earlier.architecture}"
        raise DataError([Issue.of(Code.MODEL_MISMATCH, message, files=[earlier.job])])
    model.network.load_state_dict(state)
    logs.get().info("model.loaded", earlier_job=earlier.job, sha256=earlier.sha256, known_classes=match.known)
    return Initialisation(
        description=f"model of job {earlier.job}, {match.known} of {len(classes)} classes known",
        file_name=f"{earlier.job}.zip",
        sha256=earlier.sha256,
        issues=(_statement(earlier, match),),
        job=earlier.job,
        output_stride=content.get("output_stride"),
    )


def _new_state(model: SegmentationModel, given: Mapping[str, Tensor], match: ClassMatch) -> dict[str, Tensor] | None:
    """Returns the new model's state with all that the earlier one has; None where a tensor is missing or another's."""
    state = dict(model.network.state_dict())
    rows = model.class_tensors
    for name, before in state.items():
        found = given.get(name)
        if found is None and name.endswith(COUNTER):
            continue
        if found is None or (found.shape[1:] if name in rows else found.shape) != (
            before.shape[1:] if name in rows else before.shape
        ):
            return None
        state[name] = matched_rows(before, found, match) if name in rows else found
    return state


def matched_rows(before: Tensor, given: Tensor, match: ClassMatch) -> Tensor:
    """Returns a tensor with a row for each class, (C, ...), from the one of an earlier model, (C', ...).

    ``before`` (C, ...) has the random rows of the new model, which are kept where no class is known.
    """
    known = [source for source in match.sources if source is not None]
    if not known:
        return before
    mean = given[known].mean(dim=0)
    return torch.stack([mean if source is None else given[source] for source in match.sources])


def _statement(earlier: KeptModel, match: ClassMatch) -> Issue:
    """Returns an issue that says which classes were found again, which are new and which are gone."""
    parts = [f"the model of job {earlier.job} knows {match.known} of the {len(match.sources)} classes"]
    if match.added:
        how = "begin with the mean of the known ones" if match.known else "begin with random weights"
        parts.append(f"new ones {how}: {_listed(match.added)}")
    if match.vanished:
        parts.append(f"it had others, which are forgotten: {_listed(match.vanished)}")
    severity = None if match.known else Severity.WARNING
    return Issue.of(Code.MODEL_CLASSES_MATCHED, "; ".join(parts), severity=severity)


def known_validation(job_id: str, validation: Sequence[str], trained_on: frozenset[str]) -> list[Issue]:
    """Returns a warning where validation images have the names of images that the earlier model was trained on.

    Of such images the start knows the masks by heart, so that it, and what is trained from it, score too well on them.
    """
    known = [name for name in validation if name in trained_on]
    if not known:
        return []
    message = f"{len(known)} of {len(validation)} validation images were training images of job {job_id}"
    return [Issue.of(Code.MODEL_KNOWS_VALIDATION, message, files=known)]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return ", ".join(names[:_MOST_NAMES]) + more
