"""Opens a model's files: hashed as they are read, unpacked only into the job's folder, nothing of them executed."""

import hashlib
import importlib
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO

import torch

from segdrop import weights_files
from segdrop.codes import Code
from segdrop.dataset.archive.source import Archive, MemberError
from segdrop.errors import DataError, Issue
from segdrop.model_files import hashing, kinds, places
from segdrop.model_files.model_file import ModelFile
from segdrop.spec import Limits

_BLOCK_BYTES = 1 << 20


def fault(model: ModelFile, code: Code, message: str, fix: str | None = None) -> DataError:
    """Returns the error for a fault of a model."""
    return DataError([Issue.of(code, f"{model.name}: {message}", files=[model.name], fix=fix)])


def optional(model: ModelFile, package: str, extra: str) -> ModuleType:
    """Imports an optional package; raises ``DataError`` (``model.not_installed``) where it is missing."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        fix = f"Ask the operator to install it beside segdrop: `pip install 'segdrop[{extra}]'`."
        message = f"it needs the package {package}, which is not installed ({error})"
        raise fault(model, Code.MODEL_NOT_INSTALLED, message, fix) from error


@contextmanager
def verified(model: ModelFile, folder: Path) -> Iterator[tuple[IO[bytes], str]]:
    """Opens the file of a model, or its member of a ZIP, and makes sure of its hash.

    Yields the file, at its beginning, and its SHA-256. A member of a ZIP that is no job's, and may be packed in any
    way, is unpacked into ``folder`` first. Raises
    ``DataError`` and ``OSError`` as ``hashing.sha256`` does.
    """
    if model.kept is not None or model.member is None or model.path.is_dir():
        with hashing.opened(model) as stream:
            digest = weights_files.sha256_of(stream)
            hashing.require(model, digest)
            stream.seek(0)
            yield stream, digest
        return
    target = folder / kinds.MODEL_PTH
    digest = _unpacked(model, target)
    hashing.require(model, digest)
    with target.open("rb") as stream:
        yield stream, digest


def _unpacked(model: ModelFile, target: Path) -> str:
    """Unpacks the member of a ZIP, and returns its SHA-256."""
    digest = hashlib.sha256()
    with hashing.opened(model) as stream, target.open("wb") as copy:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            copy.write(block)
    return digest.hexdigest()


def tensors(model: ModelFile, stream: IO[bytes]) -> object:
    """Returns what a file of ``torch.save`` holds, if that is tensors and plain values only.

    Raises ``DataError``: ``model.unsafe`` where it is more, ``model.invalid`` where it is damaged.
    """
    try:
        return torch.load(stream, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        message = "it holds more than tensors and plain values; nothing of it was executed"
        raise fault(model, Code.MODEL_UNSAFE, message) from error
    except Exception as error:  # a damaged file makes torch raise anything
        raise fault(model, Code.MODEL_INVALID, f"it cannot be read ({type(error).__name__})") from error


def huggingface_folder(model: ModelFile, folder: Path, limits: Limits) -> Path:
    """Returns the folder with the files of a Hugging Face model; those of a ZIP are unpacked into ``folder``."""
    if model.path.is_dir():
        return model.path
    target = folder / "model"
    target.mkdir(exist_ok=True)
    with Archive(model.path.resolve(), limits) as archive:
        if not archive.is_safe:
            raise DataError(archive.issues)
        for member, path in enumerate(archive.names):
            name = path.removeprefix(model.member or "")
            if path.startswith(model.member or "") and _is_wanted(name):
                _unpack(model, archive, member, target / name)
    return target


def _is_wanted(name: str) -> bool:
    """Whether a file is read: by its plain name, so that nothing is written anywhere else."""
    known = name in (kinds.CONFIG, kinds.PREPROCESSOR, kinds.LABELS) or hashing.is_weights(name)
    return known and Path(name).name == name


def _unpack(model: ModelFile, archive: Archive, member: int, target: Path) -> None:
    try:
        with target.open("wb") as stream:
            for chunk in archive.chunks(member):
                stream.write(chunk)
    except MemberError as error:
        raise fault(model, Code.MODEL_INVALID, f"{archive.names[member]} does not unpack: {error}") from error


def files_of(folder: Path) -> list[str]:
    """Returns the names of the files directly in a folder."""
    return places.names_in(folder)[1]
