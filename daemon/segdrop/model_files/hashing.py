"""The SHA-256 of a model: of the bytes that are computed with, wherever they are packed."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

from segdrop import weights_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.model_files import kinds, onnx_messages, places
from segdrop.model_files.model_file import ModelFile, ModelKind


def sha256(model: ModelFile) -> str:
    """Returns the SHA-256 of a model, after comparing it with what it has to be.

    A file has its own; ``model.pth`` in a ZIP that of the member; a folder, and a graph with data in other files, that
    of the list of names and hashes. Reads all of it. Raises ``DataError`` (``model.changed`` where another hash is on
    record, ``model.invalid`` where its name has another), and ``OSError`` as open(2) does.
    """
    digest = _digest(model)
    require(model, digest)
    return digest


def require(model: ModelFile, digest: str) -> None:
    """Raises ``DataError`` where the hash of published weights is not the one that their name has."""
    if model.kind is ModelKind.TORCHVISION and not weights_files.matches_name(digest, model.name):
        message = f"{model.name}: its SHA-256 is {digest}, which is not the one in its name"
        fix = "Copy it again, whole, from download.pytorch.org/models."
        raise DataError([Issue.of(Code.MODEL_INVALID, message, files=[model.name], fix=fix)])


@contextmanager
def opened(model: ModelFile) -> Iterator[IO[bytes]]:
    """Opens the one file of a model that is a file, or a member of a ZIP; a job's as it is on record, or not at all."""
    if model.kept is not None and model.earlier is not None:
        with model.earlier.opened(model.kept) as stored:
            yield stored
    elif model.kind is ModelKind.SEGDROP and model.member is not None and model.path.is_file():
        with places.open_zip(model.path) as archive:
            if model.member not in archive.namelist():
                message = f"{model.name}: there is no {model.member} in its ZIP"
                raise DataError([Issue.of(Code.MODEL_INVALID, message, files=[model.name])])
            with archive.open(model.member) as stream:
                yield stream
    elif model.member is not None and model.path.is_dir():
        with places.open_inside(model.path, model.member) as stream:
            yield stream
    else:
        with places.open_file(model.path) as stream:
            yield stream


def _digest(model: ModelFile) -> str:
    if model.path.is_dir() and model.kind is ModelKind.HUGGINGFACE:
        return _of_files(model, huggingface_files(model))
    with opened(model) as stream:
        digest = weights_files.sha256_of(stream)
        if model.kind is not ModelKind.ONNX:
            return digest
        try:
            beside = sorted({place for place in onnx_messages.read(stream).external if place})
        except ValueError:
            return digest
    return _of_files(model, beside, first=digest) if beside else digest


def huggingface_files(model: ModelFile) -> list[str]:
    """Returns the names of the files that a model's folder is read from."""
    _folder, names = places.names_in(model.path)
    wanted = (kinds.CONFIG, kinds.PREPROCESSOR, kinds.LABELS)
    return [name for name in names if name in wanted or is_weights(name)]


def is_weights(name: str) -> bool:
    """Whether a file of a Hugging Face folder has weights, or the list of the files that have them."""
    return name.endswith((kinds.SAFETENSORS, f"{kinds.SAFETENSORS}.index.json"))


def _of_files(model: ModelFile, names: list[str], first: str | None = None) -> str:
    folder = model.path if model.path.is_dir() else model.path.resolve().parent
    total = hashlib.sha256(f"{first}\n".encode() if first else b"")
    for name in names:
        with places.open_inside(folder, name) as stream:
            total.update(f"{weights_files.sha256_of(stream)} {name}\n".encode())
    return total.hexdigest()
