"""From the name in a request to the model on disk: cheap, for the daemon's own loop. No weights are read."""

import difflib
import json
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from segdrop import regular_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import kinds, places
from segdrop.model_files.kinds import Refused
from segdrop.spec import ModelFile, ModelKind
from segdrop.spool.job import is_job_id
from segdrop.spool.layout import RootLayout

_MOST_RECORD_BYTES = 32 << 20
_MOST_NAMED, _MOST_COMPARED = 3, 2_000
#: Returns the SHA-256 that was kept of a job's model when its training ended; None where none was kept.
Recorded = Callable[[str], str | None]


def resolve(wanted: str, layout: RootLayout, recorded: Recorded = lambda _job: None) -> ModelFile:
    """Returns the model that a request's ``model`` names: a job, or a file or folder in ``models/``.

    Suffixes may be left out, and case does not matter where one name alone fits. Raises ``DataError`` where nothing
    fits (``model.not_found``, with the nearest names), or what fits is of a kind that is not read
    (``model.unsafe``, ``model.unsupported``, ``model.invalid``); and ``OSError`` where a folder is closed to us.
    """
    if is_job_id(wanted) and layout.published_json(wanted).exists():
        return of_job(wanted, layout, recorded(wanted))
    found = _entries_called(wanted, layout)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        fix = "Write the name with its suffix."
        raise DataError([Issue.of(Code.MODEL_NOT_FOUND, f"{wanted!r} fits several models: {names}", fix=fix)])
    if not found:
        raise DataError([_not_found(wanted, layout)])
    return of_entry(found[0])


def of_job(job: str, layout: RootLayout, sha256: str | None) -> ModelFile:
    """Returns the model in a job's result; raises ``DataError`` (``model.not_found``) where it has none."""
    path = layout.published_zip(job)
    answer = _answer(layout.published_json(job))
    reason = ""
    if answer.get("task", "train") != "train":
        reason = "is no training, and has no model of its own"
    elif answer.get("status") != "succeeded":
        reason = f"has the status {answer.get('status', 'unknown')}, and no model"
    elif not path.is_file() or path.is_symlink():
        reason = "has succeeded, but its ZIP is not in the outbox any more"
    if reason:
        raise DataError([Issue.of(Code.MODEL_NOT_FOUND, f"the job {job} {reason}", files=[job])])
    return ModelFile(
        name=job, kind=ModelKind.SEGDROP, path=path, member=kinds.MODEL_PTH, sha256=sha256, origin=f"training {job}"
    )


def _answer(path: Path) -> dict[str, Any]:
    """Returns what an outbox JSON says; nothing where it is no record of ours."""
    try:
        with regular_files.open_binary(path) as stream:
            value = json.loads(stream.read(_MOST_RECORD_BYTES))
    except (regular_files.NotRegularError, FileNotFoundError, ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def of_entry(path: Path) -> ModelFile:
    """Returns the model that a file or folder of ``models/`` is; raises ``DataError`` where it is none that is read."""
    member = None
    if path.is_dir():
        folder, names = places.names_in(path)
        verdict = kinds.of_names(names, path.name)
        path, name = folder, path.name
    else:
        name = path.name
        named = kinds.of_file(name)
        verdict = named or _of_zip(path)
    if isinstance(verdict, Refused):
        message = f"{name} is {verdict.found}"
        raise DataError([Issue.of(verdict.code, message, files=[name], fix=verdict.fix)])
    member = verdict.member
    origin = "torchvision's published weights, VOC classes" if verdict.kind is ModelKind.TORCHVISION else "models/"
    return ModelFile(name=name, kind=verdict.kind, path=path, member=member, origin=origin)


def _of_zip(path: Path) -> kinds.Verdict:
    prefix, names = places.names_in_zip(path)
    verdict = kinds.of_names(names, path.name)
    if isinstance(verdict, Refused):
        return verdict
    if verdict.kind is ModelKind.ONNX:
        fix = "Unpack it into a folder of its own in `models/`."
        return Refused(Code.MODEL_UNSUPPORTED, "a ZIP of an ONNX file", fix)
    return kinds.Recognised(verdict.kind, f"{prefix}{verdict.member or ''}")


def entries(layout: RootLayout) -> Iterator[Path]:
    """Yields files and folders of ``models/`` in the order of their names, less what only goes with one."""
    try:
        paths = sorted(layout.models.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        if not path.name.startswith(".") and (path.is_dir() or (path.is_file() and not kinds.is_companion(path.name))):
            yield path


def _entries_called(wanted: str, layout: RootLayout) -> list[Path]:
    """Returns the entries that a name fits best: as it stands, then without regard to case, then without suffix."""
    paths = list(entries(layout))
    return (
        [path for path in paths if path.name == wanted]
        or [path for path in paths if _folded(path.name) == _folded(wanted)]
        or [path for path in paths if not path.is_dir() and _folded(path.stem) == _folded(wanted)]
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _not_found(wanted: str, layout: RootLayout) -> Issue:
    names = [path.name if path.is_dir() else path.stem for path in entries(layout)]
    jobs = [name.removesuffix(".zip") for name in _listing(layout.outbox) if name.endswith(".zip")]
    compared = [_folded(name) for name in (*names, *jobs)][:_MOST_COMPARED]
    near = difflib.get_close_matches(_folded(wanted), compared, _MOST_NAMED)
    by_folded = {_folded(name): name for name in (*jobs, *names)}
    message = f"there is no model {wanted!r}, neither among the jobs in the outbox nor in `models/`"
    if near:
        message += f"; did you mean {' or '.join(by_folded[name] for name in near)}?"
    elif not names and not jobs:
        message += ", which are both empty"
    return Issue.of(Code.MODEL_NOT_FOUND, message, files=[wanted])


def _listing(folder: Path) -> list[str]:
    try:
        return [path.name for path in folder.iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
