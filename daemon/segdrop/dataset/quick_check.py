"""The quick check: directory, request, layout and names, without pixels, numpy or Pillow.

The full check begins with the same, so that what is answered in seconds is what is answered in the end. What cannot be
answered in seconds, because annotation files are large, is left to the full check, and no fault is found meanwhile.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segdrop import pretrained, regular_files
from segdrop import request as requests
from segdrop.codes import Code
from segdrop.dataset import class_names, layouts
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.dataset.archive.tree import Tree
from segdrop.dataset.class_names import ClassNames
from segdrop.dataset.classes.mapping import unknown_preset
from segdrop.dataset.samples import LabelledSample, Reading, is_image, labelled
from segdrop.dataset.split import copies, division
from segdrop.dataset.unlabelled.names import named_images
from segdrop.errors import DataError, Issue, has_fault
from segdrop.model_files import resolving
from segdrop.request import DatasetRequest, EvaluateRequest, PredictRequest, Request, TrainRequest
from segdrop.spool.kept_models import KeptModels

#: the limit of the quick check for all annotation files together, which takes a few seconds
QUICK_READ_BYTES = 1 << 25
#: what is wrong with lists of classes does not matter where the request names the classes
_ABOUT_LISTS = frozenset({Code.CLASSES_CONTRADICTED, Code.CLASSES_INVALID})


@dataclass(frozen=True, slots=True)
class RequestSources:
    """Tells what belongs to an input from outside: its sidecar, the operator's defaults and weights, earlier models."""

    sidecar: Path | None
    sidecar_name: str | None
    defaults: Mapping[str, Any]
    models_dir: Path
    earlier: KeptModels | None = None  #: models that the request may start from; ``None`` where there are none
    default_model: str = ""  #: the operator's, where a request names no model; empty: none


@dataclass(slots=True)
class QuickCheck:
    """Tells what the quick check found. A part is None where an issue says why."""

    request: Request | None = None
    reading: Reading | None = None
    samples: list[LabelledSample] = field(default_factory=list)  #: those of the reading, each on its side of the split
    names: ClassNames | None = None
    issues: list[Issue] = field(default_factory=list)
    most_pairs: int = 0  #: the upper bound where the layout was left to the full check

    @property
    def dataset_request(self) -> DatasetRequest | None:
        """The request, where it is about a labelled dataset."""
        return self.request if isinstance(self.request, DatasetRequest) else None

    @property
    def cache_bytes(self) -> int:
        """Disk space in bytes that the decoded pairs take at training size: three channels and a mask, a byte each."""
        if not isinstance(self.request, TrainRequest):
            return 0
        height, width = self.request.image_size
        pairs = len(self.samples) if self.reading is not None else self.most_pairs
        return 4 * height * width * min(pairs, self.request.max_images or pairs)


def check_other(sources: RequestSources, name: str) -> QuickCheck:
    """Check the request of an input other than a ZIP; nothing of the input itself is read.

    ``name`` is the one that people know the input by.
    """
    defaults = dict(sources.defaults)
    if sources.default_model:
        defaults["task"] = "predict"
    request, issues = _resolved(replace(sources, defaults=defaults), None)
    if request is not None and not isinstance(request, PredictRequest):
        message = f'{name} can only be predicted, and its task is "{request.task}"'
        issues = [Issue.of(Code.REQUEST_NEEDS_PREDICT, message, files=[name])]
    return QuickCheck(request=None if has_fault(issues) else request, issues=issues)


class _EnoughError(Exception):
    """More is to be read than the quick check may read."""


def check(archive: Archive, sources: RequestSources, most_read_bytes: int | None = QUICK_READ_BYTES) -> QuickCheck:
    """Check an open archive. Where its directory is at fault, only the request is looked at beside it.

    ``most_read_bytes`` limits what is read of members; where a layout needs more, ``reading`` stays None without an
    issue.
    """
    found = QuickCheck(issues=[*archive.issues])
    tree = archive.tree()
    if most_read_bytes is not None:
        tree.read = _Allowance(archive, most_read_bytes).read
    found.request, issues = _request(archive, tree, sources)
    found.issues += issues
    if not archive.is_safe:
        return found
    if isinstance(found.request, PredictRequest):
        found.issues += named_images(archive)
        return found
    try:
        found.reading = layouts.read(tree, found.dataset_request.format if found.dataset_request else "auto")
    except DataError as error:
        found.issues += error.issues
    except _EnoughError:
        found.most_pairs = sum(map(is_image, archive.names))
    else:
        found.issues += _unsettled(found.reading.issues, found.dataset_request)
        _read_samples(archive, found, found.reading)
    try:
        found.names = _names(found)
    except DataError as error:
        found.issues += error.issues
    return found


def _unsettled(issues: Sequence[Issue], request: DatasetRequest | None) -> list[Issue]:
    """Returns the issues of a reading but for those about lists of classes, where the request names the classes."""
    if request is None or request.classes is None:
        return list(issues)
    return [issue for issue in issues if issue.code not in _ABOUT_LISTS]


def _read_samples(archive: Archive, found: QuickCheck, reading: Reading) -> None:
    """Take the samples of a reading, with what is wrong with them for training."""
    try:
        samples = labelled(reading)
    except DataError as error:
        found.issues += error.issues
        return
    is_divided = not isinstance(found.request, EvaluateRequest)
    found.samples, issues = division.completed(samples) if is_divided else (samples, [])
    found.issues += issues
    found.issues += _namesakes(archive, found.samples)
    found.issues += copies.contradictions(found.samples, archive.identity, archive.names)
    if is_divided and not has_fault(reading.issues):
        found.issues += division.shortage(found.samples)


class _Allowance:
    """Reads members until they are too much together; one that is read again counts once."""

    def __init__(self, archive: Archive, most_bytes: int) -> None:
        self._archive = archive
        self._left_bytes = most_bytes
        self._seen: set[int] = set()

    def read(self, member: int) -> bytes:
        """Returns a member's bytes. Raises _EnoughError once the allowance is used up."""
        if member not in self._seen:
            self._seen.add(member)
            self._left_bytes -= self._archive.unpacked_bytes(member)
        if self._left_bytes < 0:
            raise _EnoughError
        return self._archive.read(member)


def _namesakes(archive: Archive, samples: Sequence[LabelledSample]) -> list[Issue]:
    """Returns an issue for data whose names are the same, or differ in case only, so that it is not clear what belongs
    together.

    On Linux ``A.png`` and ``a.png`` are two files; where both have a mask of just that spelling, all is clear. Files
    that are no data (``README.md`` beside ``readme.md``) do not matter.
    """
    groups = archive.namesakes()
    if not groups:
        return []
    others = {
        member: other for s in samples for member, other in ((s.image, s.truth.member), (s.truth.member, s.image))
    }
    unclear = [
        archive.names[member]
        for group in groups
        if any(member in others for member in group)
        and not all(member in others and _are_spelt_alike(archive.names, member, others[member]) for member in group)
        for member in group
    ]
    if not unclear:
        return []
    message = f"{len(unclear)} files have the name of another, or one that differs in case only"
    return [Issue.of(Code.ARCHIVE_DUPLICATE_NAME, message, files=unclear)]


def _are_spelt_alike(names: Sequence[str], one: int, other: int) -> bool:
    """Whether one's name, but for its extension, is part of the other's, in the same case."""
    stems = sorted((names[member].rpartition("/")[2].rpartition(".")[0] for member in (one, other)), key=len)
    return stems[0] in stems[1]


def _request(archive: Archive, tree: Tree, sources: RequestSources) -> tuple[Request | None, list[Issue]]:
    """Returns the request from defaults, ZIP and sidecar, with the issues of all three."""
    embedded, issues = _embedded(archive, tree)
    request, problems = _resolved(sources, embedded)
    issues += problems
    return (None if has_fault(issues) else request), issues


def _resolved(
    sources: RequestSources, embedded: tuple[str, Mapping[str, Any]] | None
) -> tuple[Request | None, list[Issue]]:
    """Returns the request from defaults, what the ZIP says and the sidecar, with the issues of the last."""
    issues: list[Issue] = []
    sidecar = None
    if sources.sidecar is not None:
        name = sources.sidecar_name or sources.sidecar.name
        with regular_files.open_binary(sources.sidecar) as stream:
            values, problems = requests.parse_file(stream.read(requests.MAX_REQUEST_BYTES + 1), name)
        issues += problems
        sidecar = None if problems else (name, values)
    models = {"model": sources.default_model} if sources.default_model else {}
    request, problems = requests.resolve(models | dict(sources.defaults), embedded, sidecar)
    issues += problems
    if request is not None:
        issues += _preset_issues(request)
    if isinstance(request, PredictRequest | EvaluateRequest):
        issues += _model_issues(request, sources)
    if isinstance(request, TrainRequest):
        issues += pretrained.issues(request.pretrained, request.architecture, sources.models_dir, sources.earlier)
    return (None if has_fault(issues) else request), issues


def _embedded(archive: Archive, tree: Tree) -> tuple[tuple[str, Mapping[str, Any]] | None, list[Issue]]:
    """Returns the name and content of the request file in the root of the ZIP, or of its wrapper folder."""
    member = tree.find(requests.EMBEDDED_NAME) if archive.is_safe else None
    if member is None:
        return None, []
    name = archive.names[member]
    if archive.unpacked_bytes(member) > requests.MAX_REQUEST_BYTES:
        size = archive.unpacked_bytes(member)
        message = f"{name} has {size} bytes; a request has at most {requests.MAX_REQUEST_BYTES}"
        return None, [Issue.of(Code.REQUEST_TOO_LARGE, message, files=[name])]
    try:
        values, issues = requests.parse_file(archive.read(member), name)
    except MemberError as error:
        return None, [Issue.of(Code.ARCHIVE_CORRUPT, f"{name}: {error}", files=[name])]
    return (None if issues else (name, values)), issues


def _model_issues(request: PredictRequest | EvaluateRequest, sources: RequestSources) -> list[Issue]:
    """Returns what is plainly wrong with the model that a request names. Which one is the previous is found out later.

    Raises OSError where a folder cannot be read.
    """
    if not request.model:
        return [Issue.of(Code.MODEL_NOT_NAMED, f"task `{request.task}` needs a model, and the request names none")]
    if request.model == pretrained.PREVIOUS:
        return []
    try:
        resolving.resolve(request.model, sources.models_dir, sources.earlier)
    except DataError as error:
        return error.issues
    return []


def _preset_issues(request: Request) -> list[Issue]:
    issue = unknown_preset(request.class_map)
    return [issue] if issue else []


def _names(found: QuickCheck) -> ClassNames | None:
    """Returns class names from the request, else from the layout, else None."""
    given = found.reading.names if found.reading else None
    wanted = class_names.requested(found.dataset_request) if found.dataset_request else None
    if wanted is None:
        return given
    if wanted.ordered and given and len(given.colours) == len(wanted.ordered):
        colours = (colour for colour, _ in given.colours)
        return replace(wanted, ordered=(), colours=tuple(zip(colours, wanted.ordered, strict=True)))
    return wanted
