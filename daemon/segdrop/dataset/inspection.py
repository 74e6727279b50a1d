"""The cheap check: directory, request, layout, names. No pixels, and neither numpy nor Pillow.

The full check begins with the same, so that what is answered in seconds is what is answered in the end.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from segdrop import request as requests
from segdrop.dataset import layouts, split
from segdrop.dataset import names as class_names
from segdrop.dataset.class_presets import PRESETS
from segdrop.dataset.names import Names
from segdrop.dataset.samples import Reading
from segdrop.dataset.source import Archive, MemberError
from segdrop.dataset.tree import Tree
from segdrop.errors import DataError, Issue, has_fault
from segdrop.request import Request

EMBEDDED_NAME = "segdrop.json"


@dataclass(frozen=True, slots=True)
class Order:
    """What belongs to a ZIP from outside: its sidecar, the operator's defaults and weights."""

    sidecar: Path | None
    sidecar_name: str | None
    defaults: Mapping[str, Any]
    models_dir: Path


@dataclass(slots=True)
class Inspection:
    """What the cheap check found. A part is ``None`` where an issue says why."""

    request: Request | None = None
    reading: Reading | None = None
    names: Names | None = None
    issues: list[Issue] = field(default_factory=list)

    @property
    def cache_bytes(self) -> int:
        """Disk space that the decoded pairs take at training size: three channels and a mask, a byte each."""
        if self.request is None or self.reading is None:
            return 0
        height, width = self.request.size
        pairs = len(self.reading.samples)
        return 4 * height * width * min(pairs, self.request.max_images or pairs)


def inspect(archive: Archive, order: Order) -> Inspection:
    """Look at an open archive. Where its directory is at fault, only the request is looked at beside it."""
    found = Inspection(issues=[*archive.issues])
    tree = archive.tree()
    found.request, issues = _request(archive, tree, order)
    found.issues += issues
    if not archive.is_safe:
        return found
    try:
        found.reading = layouts.read(tree, found.request.format if found.request else "auto")
    except DataError as error:
        found.issues += error.issues
    else:
        samples, issues = split.completed(found.reading.samples)
        found.reading = replace(found.reading, samples=samples)
        found.issues += found.reading.issues + issues
        if not has_fault(found.reading.issues):
            found.issues += split.shortage(found.reading.samples)
    try:
        found.names = _names(found)
    except DataError as error:
        found.issues += error.issues
    return found


def _request(archive: Archive, tree: Tree, order: Order) -> tuple[Request | None, list[Issue]]:
    """The request from defaults, ZIP and sidecar, with the issues of all three."""
    embedded, issues = _embedded(archive, tree)
    sidecar = None
    if order.sidecar is not None:
        name = order.sidecar_name or order.sidecar.name
        with order.sidecar.open("rb") as stream:
            values, problems = requests.parse_file(stream.read(requests.MAX_REQUEST_BYTES + 1), name)
        issues += problems
        sidecar = None if problems else (name, values)
    request, problems = requests.resolve(order.defaults, embedded, sidecar)
    issues += problems
    if request is not None:
        issues += _weights_issues(request, order.models_dir) + _preset_issues(request)
    return (None if has_fault(issues) else request), issues


def _embedded(archive: Archive, tree: Tree) -> tuple[tuple[str, Mapping[str, Any]] | None, list[Issue]]:
    """The request file in the root of the ZIP, or of its wrapper folder."""
    member = tree.find(EMBEDDED_NAME) if archive.is_safe else None
    if member is None:
        return None, []
    name = archive.names[member]
    if archive.unpacked_bytes(member) > requests.MAX_REQUEST_BYTES:
        size = archive.unpacked_bytes(member)
        message = f"{name} has {size} bytes; a request has at most {requests.MAX_REQUEST_BYTES}"
        return None, [Issue.of("request.too_large", message, files=[name])]
    try:
        values, issues = requests.parse_file(archive.read(member), name)
    except MemberError as error:
        return None, [Issue.of("archive.corrupt", f"{name}: {error}", files=[name])]
    return (None if issues else (name, values)), issues


def _weights_issues(request: Request, models_dir: Path) -> list[Issue]:
    """An issue where ``pretrained`` names a file that is not in the operator's folder."""
    name = request.pretrained
    if name in ("auto", "none"):
        return []
    if Path(name).name == name and (models_dir / name).is_file():
        return []
    return [Issue.of("request.weights_not_found", f"`pretrained` is '{name}', and models/ has no such file")]


def _preset_issues(request: Request) -> list[Issue]:
    """An issue where ``class_map`` is the name of a preset that does not exist."""
    if not isinstance(request.class_map, str) or request.class_map in PRESETS:
        return []
    message = f"`class_map` is '{request.class_map}', which is no preset: there are {', '.join(PRESETS)}"
    return [Issue.of("request.invalid_value", message)]


def _names(found: Inspection) -> Names | None:
    """Class names from the request, else from the layout, else none."""
    given = found.reading.names if found.reading else None
    wanted = class_names.requested(found.request) if found.request else None
    if wanted is None:
        return given
    if wanted.ordered and given and len(given.colours) == len(wanted.ordered):
        colours = (colour for colour, _ in given.colours)
        return replace(wanted, ordered=(), colours=tuple(zip(colours, wanted.ordered, strict=True)))
    return wanted
