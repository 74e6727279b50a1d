"""Packs the result ZIP from finished files. They are streamed: memory does not depend on the model's size."""

import hashlib
import importlib.metadata
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segdrop import durable
from segdrop.answers import PackedResult
from segdrop.codes import Code
from segdrop.dataset.report import CacheIndex
from segdrop.results import predict_script, readme
from segdrop.results.result import Result, TrainResult, load
from segdrop.spec import PackageSpec
from segdrop.spool.kept_models import MODEL_NAME

_BLOCK_BYTES = 1 << 20
#: Suffixes of artifacts that do not compress.
_STORED = frozenset({".pth", ".png", ".jpg", ".jpeg", ".mp4"})
#: What predict.py imports.
_REQUIRED = ("numpy", "pillow", "torch", "torchvision")
#: Time of every member (the earliest that a ZIP can say), so that equal contents give equal archives.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def pack(spec: PackageSpec) -> None:
    """Writes ``result_zip_path``, then ``package_path`` with the size and SHA-256 of the ZIP, and of its model."""
    result = load(spec.summary_path)
    durable.write(spec.result_zip_path, lambda stream: _write_zip(stream, spec, result))
    digest, size = _digest(spec.result_zip_path)
    packed = PackedResult(bytes=size, sha256=digest, **_model(spec))
    durable.write_json(spec.package_path, packed.to_json())


def _model(spec: PackageSpec) -> dict[str, Any]:
    """Returns the size and SHA-256 of the model, by which a later job that starts from it makes sure of it."""
    if (path := spec.artifacts.get(MODEL_NAME)) is None:
        return {}
    digest, size = _digest(path)
    return {"model_bytes": size, "model_sha256": digest}


def _write_zip(stream: Any, spec: PackageSpec, result: Result) -> None:  # noqa: ANN401  (a binary stream)
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in _texts(spec, result):
            archive.writestr(_member(name, zipfile.ZIP_DEFLATED), content)
        for name, path in _artifacts(spec):
            _add(archive, name, path)


def _artifacts(spec: PackageSpec) -> Iterator[tuple[str, Path]]:
    """Yields the finished files by the names that they have in the ZIP, in the same order each time."""
    yield from spec.artifacts.items()
    if spec.artifacts_dir is not None:
        for path in sorted(spec.artifacts_dir.rglob("*")):
            if path.is_file():
                yield path.relative_to(spec.artifacts_dir).as_posix(), path


def _add(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """Adds a finished file. Weights do not compress; stored, they can be read in place."""
    member = _member(name, zipfile.ZIP_STORED if path.suffix in _STORED else zipfile.ZIP_DEFLATED)
    member.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(member, "w") as target:
        while block := source.read(_BLOCK_BYTES):
            target.write(block)


def _texts(spec: PackageSpec, result: Result) -> Iterator[tuple[str, str]]:
    yield "README.txt", readme.render(result)
    yield "labels.txt", "".join(f"{name}\n" for name in _classes(result))
    yield "metrics.json", json.dumps(result.to_json(), indent=2, ensure_ascii=False) + "\n"
    if isinstance(result, TrainResult):
        yield "requirements.txt", requirements(_versions())
        yield "predict.py", predict_script.render(result.architecture)
        yield "split.json", json.dumps(_split(spec, result), indent=1)


def _classes(result: Result) -> list[str]:
    """Returns the classes that the files in the ZIP are about."""
    if isinstance(result, TrainResult):
        return result.dataset.classes if result.dataset else []
    return result.predictions.classes if result.predictions else []


def _split(spec: PackageSpec, result: TrainResult) -> dict[str, list[str]]:
    """Lists which image was used for what. With the seed, that is what it takes to repeat the measurement."""
    if learnt := [name for issue in result.issues if issue.code is Code.TRAIN_SANITY for name in issue.files]:
        return {"train": learnt, "val": learnt, "test": []}  # of all that was set apart, one image was looked at
    if spec.index_path is None:
        return {}
    index = CacheIndex.model_validate_json(spec.index_path.read_bytes())
    parts = {"train": index.train, "val": index.val, "test": index.test}
    return {name: [index.names[position] for position in positions] for name, positions in parts.items()}


def _member(name: str, compression: int) -> zipfile.ZipInfo:
    member = zipfile.ZipInfo(name, _ZIP_TIME)
    member.compress_type = compression
    member.external_attr = (0o100755 if name.endswith(".py") else 0o100644) << 16
    return member


def _versions() -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in _REQUIRED}


def requirements(versions: dict[str, str]) -> str:
    """Returns the text of requirements.txt, with exact public versions.

    A local suffix such as ``+cpu`` exists on one index only, and would not install.
    """
    lines = [
        "# What predict.py needs, in the versions that the model was trained with.",
        "# CPU only (smaller): pip install -r requirements.txt --extra-index-url https://download.pytorch.org/whl/cpu",
        *(f"{name}=={version.partition('+')[0]}" for name, version in sorted(versions.items())),
    ]
    return "\n".join(lines) + "\n"


def _digest(path: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            size += len(block)
    return digest.hexdigest(), size
