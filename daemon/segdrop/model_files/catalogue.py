"""The models that a request can name, for ``segdrop models`` and ``outbox/models.json``.

Cheap enough for the daemon's loop: a folder is listed, and what was learnt of a file is kept until the file changes.
No weights are read, so that a hash is there only where it was recorded.
"""

import importlib.util
import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import model_validator

from segdrop import durable, regular_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import description, resolving
from segdrop.model_files.description import Description
from segdrop.model_files.model_file import ModelFile, ModelKind
from segdrop.record import Record
from segdrop.request import ImageSize
from segdrop.spool.job import is_job_id
from segdrop.spool.kept_models import KeptModels
from segdrop.spool.layout import RootLayout

#: The optional package that a kind of model needs, and the extra of segdrop that installs it.
EXTRAS = {ModelKind.HUGGINGFACE: ("transformers", "transformers"), ModelKind.ONNX: ("onnxruntime", "onnx")}
#: The jobs that are listed, newest first; a request can name older ones all the same.
MOST_JOBS = 200
_MOST_RECORD_BYTES = 32 << 20


class _Written(Record):
    """A record of which every key is written, also one that has its default: programs outside read it."""

    @model_validator(mode="after")
    def _with_every_key(self) -> Self:
        self.model_fields_set.update(type(self).model_fields)
        return self


class ModelEntry(_Written):
    """A model that a request can name, or could if its ``problem`` were mended."""

    name: str  #: what a request calls it
    kind: ModelKind | None  #: None where it is none that is read
    origin: str
    bytes: int | None = None  #: of its file; None for a folder
    sha256: str | None = None  #: None where it was not recorded
    classes: list[str] | None = None
    architecture: str | None = None
    input_size: ImageSize | None = None  #: None also where any size will do
    mean_iou: float | None = None
    extra: str | None = None  #: the extra of segdrop that it needs
    is_installed: bool = True  #: whether what it needs is installed
    problem: Issue | None = None  #: why it cannot be used


class ModelsFile(_Written):
    """The content of ``outbox/models.json``: what ``model`` in a request can be."""

    models: list[ModelEntry]
    is_complete: bool  #: False while there are models that were not looked at yet
    schema_version: Literal[1] = 1


@dataclass(frozen=True, slots=True)
class _Known:
    state: tuple[object, ...]  #: of the files that it was learnt from
    entry: ModelEntry | None


class Catalogue:
    """The models in ``models/`` and of the jobs in the outbox; what was learnt of one is kept while it is the same."""

    def __init__(self, layout: RootLayout) -> None:
        self._layout = layout
        self._earlier = KeptModels.of(layout)
        self._known: dict[Path, _Known] = {}

    def look(self, most_new: int | None = None) -> ModelsFile:
        """Returns what there is now, the named models first, then the jobs, newest first.

        At most ``most_new`` models that are new or have changed are looked into; the others come with a later call.
        Raises ``OSError`` where the folders are closed to us.
        """
        places = list(self._places())
        self._known = {path: self._known[path] for path in places if path in self._known}
        missing = 0
        for path in places:
            state = self._state(path)
            if (known := self._known.get(path)) is not None and known.state == state:
                continue
            if most_new is not None and missing >= most_new:
                return ModelsFile(models=self._found(places), is_complete=False)
            missing += 1
            self._known[path] = _Known(state, self._entry(path))
        return ModelsFile(models=self._found(places), is_complete=True)

    def _places(self) -> Iterator[Path]:
        yield from resolving.entries(self._layout.models)
        with suppress(FileNotFoundError, NotADirectoryError):
            jobs = [path for path in self._layout.outbox.glob("*.zip") if is_job_id(path.stem)]
            yield from sorted(jobs, key=lambda path: path.stem[-21:-5], reverse=True)[:MOST_JOBS]

    def _state(self, path: Path) -> tuple[object, ...]:
        """Returns a mark of the files that an entry is learnt from, which is another after any change of them."""
        if path.parent == self._layout.outbox:
            return _mark(path), _mark(self._layout.kept_model(path.stem))
        return _state_of_entry(path)

    def _found(self, places: list[Path]) -> list[ModelEntry]:
        known = (self._known.get(path) for path in places)
        return [found.entry for found in known if found is not None and found.entry is not None]

    def _entry(self, path: Path) -> ModelEntry | None:
        if path.parent == self._layout.outbox:
            return self._of_job(path)
        return _of_entry(path)

    def _of_job(self, path: Path) -> ModelEntry | None:
        """Returns the model of a training as it is on record; None where there is no record of it."""
        try:
            kept = self._earlier.find(path.stem)
        except DataError:
            return None
        answer = _answer(self._layout.published_json(kept.job))
        return ModelEntry(
            name=kept.job,
            kind=ModelKind.SEGDROP,
            origin=f"training on {answer.input.name}" if answer.input else "training",
            bytes=kept.bytes,
            sha256=kept.sha256,
            classes=kept.classes,
            architecture=kept.architecture,
            input_size=_size(answer.request.image_size) if answer.request else None,
            mean_iou=answer.metrics.mean_iou if answer.metrics else None,
        )


class _Input(Record):
    name: str


class _Request(Record):
    image_size: int | tuple[int, int] | None = None


class _Metrics(Record):
    mean_iou: float | None = None


class _Answer(Record):
    """An outbox JSON, as far as a model's entry needs it."""

    input: _Input | None = None
    request: _Request | None = None
    metrics: _Metrics | None = None


def _answer(path: Path) -> _Answer:
    """Returns what an outbox JSON says; nothing where it is not there, or is none of ours."""
    try:
        with regular_files.open_binary(path) as stream:
            return _Answer.model_validate_json(stream.read(_MOST_RECORD_BYTES))
    except (OSError, ValueError):
        return _Answer()


def _size(given: int | tuple[int, int] | None) -> ImageSize | None:
    if given is None:
        return None
    return ImageSize(given, given) if isinstance(given, int) else ImageSize(*given)


def _of_entry(path: Path) -> ModelEntry:
    size_bytes = None if path.is_dir() else path.stat().st_size
    try:
        model = resolving.of_entry(path)
        extra, is_installed = installed(model.kind)
        told, problem = _description(model)
    except DataError as error:
        return ModelEntry(name=path.name, kind=None, origin="models/", bytes=size_bytes, problem=error.issues[0])
    except OSError as error:
        problem = Issue.of(Code.MODEL_INVALID, f"{path.name} cannot be read: {error.strerror}", files=[path.name])
        return ModelEntry(name=path.name, kind=None, origin="models/", bytes=size_bytes, problem=problem)
    return ModelEntry(
        name=model.name,
        kind=model.kind,
        origin=model.origin,
        bytes=size_bytes,
        classes=told.classes,
        architecture=told.architecture,
        input_size=told.input_size,
        mean_iou=told.mean_iou,
        extra=extra,
        is_installed=is_installed,
        problem=problem,
    )


def _description(model: ModelFile) -> tuple[Description, Issue | None]:
    """Returns what a model says, and what is wrong with it where it says too little to be used."""
    try:
        told = description.describe(model)
    except DataError as error:
        return Description(), error.issues[0]
    if told.classes is None:
        return told, Issue.of(Code.MODEL_NO_CLASSES, f"{model.name} names no classes", files=[model.name])
    return told, None


def installed(kind: ModelKind) -> tuple[str | None, bool]:
    """Returns the extra of segdrop that a kind of model needs, and whether what it needs is installed."""
    if kind not in EXTRAS:
        return None, True
    package, extra = EXTRAS[kind]
    return extra, importlib.util.find_spec(package) is not None


def _state_of_entry(path: Path) -> tuple[object, ...]:
    beside = [path.with_suffix(".json"), *(path.with_name(f"{path.stem}{end}") for end in (".labels.txt", ".txt"))]
    inner = sorted(path.rglob("*"))[:100] if path.is_dir() else []
    return tuple(_mark(file) for file in (path, *beside, path.with_name("labels.txt"), *inner))


def _mark(path: Path) -> tuple[object, ...] | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return str(path), status.st_ino, status.st_size, status.st_mtime_ns


def publish(layout: RootLayout, models: ModelsFile) -> bool:
    """Writes ``outbox/models.json`` if it would say something else than it does; returns whether it was written."""
    text = json.dumps(models.to_json(), indent=1, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
    with suppress(OSError):
        if layout.models_file.read_bytes() == text:
            return False
    durable.replace_quickly(layout.models_file, text, layout.models_draft)
    return True
