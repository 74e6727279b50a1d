"""Roots that another version of the daemon left (``tests/fixtures/``, made by ``root_recorder.py``), unpacked."""

import json
import os
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segdrop.spool.layout import RootLayout

FIXTURES = Path(__file__).parents[1] / "fixtures"
#: recorded by the code of commit 9788df1
VERSION_0_1 = FIXTURES / "root-9788df1.tar.xz"
#: recorded by the code of commit ab9c783: states were those of a training alone, and attempts counted before they began
BEFORE_TASKS = FIXTURES / "root-ab9c783.tar.xz"
_RECORDED_AT = b"/srv/segdrop"
_MARKS_NAME, _REST_NAME = "marks.json", "arriving.rest"


@dataclass(frozen=True, slots=True)
class RecordedRoot:
    """What was ever dropped there, whole, by name; ``rest`` is still to be copied of ``inbox/arriving.zip``."""

    layout: RootLayout
    inputs: dict[str, bytes]
    sidecars: dict[str, bytes]
    rest: bytes


def unpack(recording: Path, name: str, root: Path) -> RecordedRoot:
    """``name``: of one of the roots in it (``killed``, ``stopped``: how their daemon ended).

    An upgrade in place leaves every file its inode and times. Those that are new here are put into the manifests, which
    know the input and the checkpoint by them; nothing else is changed. Paths in specs and logs lead to another place.
    """
    beside = root.parent / f"recorded-{name}"
    with tarfile.open(recording) as archive:
        archive.extraction_filter = lambda member, _path: member  # our own file, with its modes
        archive.extractall(beside)
    (beside / name / "root").replace(_emptied(root))
    _restore_marks(root, json.loads((beside / name / _MARKS_NAME).read_bytes()))
    rest = beside / name / _REST_NAME
    return _read(RootLayout(root), rest.read_bytes() if rest.exists() else b"")


def relocate_specs(recorded: RecordedRoot) -> None:
    """The paths in the specs become those of the unpacked root, as if it had been recorded there."""
    for path in recorded.layout.work.rglob("*spec.json"):
        path.write_bytes(path.read_bytes().replace(_RECORDED_AT, bytes(recorded.layout.root)))


def _emptied(root: Path) -> Path:
    """The folder that is about to be replaced: there may be an inbox in it, and nothing else."""
    if root.exists():
        (root / "inbox").rmdir()
    return root


def _restore_marks(root: Path, marks: dict[str, dict[str, int]]) -> None:
    for relative, mark in marks.items():
        path = root / relative
        os.utime(path, ns=(mark["mtime_ns"], mark["mtime_ns"]))
        manifest = path.with_name("job.json")
        job = json.loads(manifest.read_bytes())
        if path.name == "input.zip":
            _renew_identity(job["identity"], path, mark)
        elif job["checkpoint_mark"] == _checkpoint_mark(mark["inode"], mark["mtime_ns"]):
            job["checkpoint_mark"] = _checkpoint_mark(path.stat().st_ino, mark["mtime_ns"])
        manifest.write_text(json.dumps(job, indent=2))


def _renew_identity(identity: dict[str, Any], archive: Path, mark: dict[str, int]) -> None:
    assert (identity["inode"], identity["mtime_ns"]) == (mark["inode"], mark["mtime_ns"]), archive
    status = archive.stat()
    identity |= {"device": status.st_dev, "inode": status.st_ino}


def _checkpoint_mark(inode: int, mtime_ns: int) -> str:
    return f"{inode}-{mtime_ns}"


def _read(layout: RootLayout, rest: bytes) -> RecordedRoot:
    """The folders tell it, each in its way."""
    inputs, sidecars = {}, {}
    archived = [path for folder in (layout.done, layout.failed) for path in folder.glob("*/*")]
    for path in (*layout.inbox.iterdir(), *archived):
        if path.suffix == ".zip":
            inputs[path.name] = path.read_bytes()
        elif path.suffix == ".json" and path.name != "error.json":
            sidecars[path.name] = path.read_bytes()
    for manifest in layout.work.glob("[!.]*/job.json"):
        job, files = json.loads(manifest.read_bytes()), layout.job(manifest.parent.name)
        if files.input.exists():
            inputs[job["input_name"]] = files.input.read_bytes()
        if files.sidecar.exists():
            sidecars[job["sidecar_name"]] = files.sidecar.read_bytes()
    if rest:
        inputs["arriving.zip"] += rest
    return RecordedRoot(layout, inputs, sidecars, rest)
