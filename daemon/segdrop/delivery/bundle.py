"""Pack: the result ZIP from finished files. Streams; its memory does not depend on the model's size."""

import hashlib
import importlib.metadata
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from segdrop import durable
from segdrop.dataset.report import CacheIndex
from segdrop.delivery import readme
from segdrop.spec import PackageSpec

_BLOCK_BYTES = 1 << 20
#: what predict.py imports
_REQUIRED = ("numpy", "pillow", "torch", "torchvision")
#: members carry a fixed time (the earliest a ZIP can say): equal contents give equal archives
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def pack(spec: PackageSpec) -> None:
    """Write ``result_zip_path``, then ``package_path`` with its size and SHA-256."""
    summary = json.loads(spec.summary_path.read_bytes())
    durable.write(spec.result_zip_path, lambda stream: _write_zip(stream, spec, summary))
    digest, size = _digest(spec.result_zip_path)
    durable.write_json(spec.package_path, {"bytes": size, "sha256": digest})


def _write_zip(stream: Any, spec: PackageSpec, summary: dict[str, Any]) -> None:  # noqa: ANN401  (a binary stream)
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in _texts(spec, summary):
            archive.writestr(_member(name, zipfile.ZIP_DEFLATED), content)
        _add_weights(archive, "model.pth", spec.model_path)
        for path in sorted(spec.checkpoints_dir.glob("*.pth")):
            _add_weights(archive, f"{spec.checkpoints_dir.name}/{path.name}", path)


def _add_weights(archive: zipfile.ZipFile, name: str, path: Path) -> None:
    """They do not compress; stored, they can be read in place."""
    member = _member(name, zipfile.ZIP_STORED)
    member.file_size = path.stat().st_size
    with path.open("rb") as source, archive.open(member, "w") as target:
        while block := source.read(_BLOCK_BYTES):
            target.write(block)


def _texts(spec: PackageSpec, summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "README.txt", readme.render(summary)
    yield "requirements.txt", requirements(_versions())
    yield "predict.py", (Path(__file__).parent / "predict.py").read_text(encoding="utf-8")
    yield "labels.txt", "".join(f"{name}\n" for name in summary["dataset"]["classes"])
    yield "metrics.json", json.dumps(summary, indent=2, ensure_ascii=False) + "\n"
    yield "split.json", json.dumps(_split(spec, summary), indent=1)
    yield "history.csv", spec.history_path.read_text(encoding="utf-8")


def _split(spec: PackageSpec, summary: dict[str, Any]) -> dict[str, list[str]]:
    """Which image was used for what: with the seed, what it takes to check or repeat the measurement."""
    if learnt := [name for issue in summary["issues"] if issue["code"] == "train.sanity" for name in issue["files"]]:
        return {"train": learnt, "val": learnt, "test": []}  # of all that was set apart, one image was looked at
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
    """Exact public versions: a local suffix such as ``+cpu`` exists on one index only and would not install."""
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
