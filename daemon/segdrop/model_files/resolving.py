"""From the name in a request to the model on disk: cheap, for the daemon's own loop. No weights are read."""

import difflib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import kinds, places
from segdrop.model_files.kinds import Refused
from segdrop.model_files.model_file import ModelFile, ModelKind
from segdrop.spool.job import is_job_id
from segdrop.spool.kept_models import KeptModel, KeptModels

_MOST_NAMED, _MOST_COMPARED = 3, 2_000


def resolve(wanted: str, models_dir: Path, earlier: KeptModels | None) -> ModelFile:
    """Returns the model that a request's ``model`` names: a job, or a file or folder in ``models/``.

    Suffixes may be left out, and case does not matter where one name alone fits. Raises ``DataError`` where nothing
    fits (``model.not_found``, with the nearest names), or what fits is of a kind that is not read
    (``model.unsafe``, ``model.unsupported``, ``model.invalid``); and ``OSError`` where a folder is closed to us.
    """
    found = _entries_called(wanted, models_dir)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        fix = "Write the name with its suffix."
        raise DataError([Issue.of(Code.MODEL_NOT_FOUND, f"{wanted!r} fits several models: {names}", fix=fix)])
    if found:
        return of_entry(found[0])
    if earlier is not None and is_job_id(wanted):
        return of_kept(earlier.find(wanted), earlier)
    raise DataError([_not_found(wanted, models_dir, earlier)])


def of_kept(kept: KeptModel, earlier: KeptModels) -> ModelFile:
    """Returns the model of a job, as it is on record; :func:`resolve` finds it by the job, ``newest`` as `previous`."""
    return ModelFile(
        name=kept.job,
        kind=ModelKind.SEGDROP,
        path=earlier.outbox / f"{kept.job}.zip",
        origin=f"training {kept.job}",
        member=kinds.MODEL_PTH,
        kept=kept,
        earlier=earlier,
    )


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


def entries(models_dir: Path) -> Iterator[Path]:
    """Yields files and folders of ``models/`` in the order of their names, less what only goes with one."""
    try:
        paths = sorted(models_dir.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    for path in paths:
        if not path.name.startswith(".") and (path.is_dir() or (path.is_file() and not kinds.is_companion(path.name))):
            yield path


def _entries_called(wanted: str, models_dir: Path) -> list[Path]:
    """Returns the entries that a name fits best: as it stands, then without regard to case, then without suffix."""
    paths = list(entries(models_dir))
    return (
        [path for path in paths if path.name == wanted]
        or [path for path in paths if _folded(path.name) == _folded(wanted)]
        or [path for path in paths if not path.is_dir() and _folded(path.stem) == _folded(wanted)]
    )


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _not_found(wanted: str, models_dir: Path, earlier: KeptModels | None) -> Issue:
    names = [path.name if path.is_dir() else path.stem for path in entries(models_dir)]
    jobs = earlier.nearest(wanted) if earlier else []
    by_folded = {_folded(name): name for name in (*jobs, *names[:_MOST_COMPARED])}
    near = difflib.get_close_matches(_folded(wanted), list(by_folded), _MOST_NAMED)
    guesses = " or ".join(by_folded[name] for name in near)
    message = f"there is no model {wanted!r}, neither in `models/` nor among the jobs in the outbox"
    fix = f"Name {by_folded[near[0]]}, if that is what is meant." if near else None
    return Issue.of(Code.MODEL_NOT_FOUND, message + (f"; did you mean {guesses}?" if near else ""), fix=fix)
