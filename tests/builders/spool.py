"""Roots, inboxes and jobs, as they lie on disk."""

import zipfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from segdrop.spool import root
from segdrop.spool.job import FileIdentity, Job, JobState
from segdrop.spool.layout import RootLayout
from segdrop.spool.store import Store

WALL = datetime(2026, 11, 21, 6, 15, tzinfo=UTC)


def fresh_root(folder: Path) -> RootLayout:
    layout = RootLayout(folder / "root")
    root.create(layout)
    return layout


def listing(folder: Path) -> list[str]:
    """The names in a folder, sorted."""
    return sorted(path.name for path in folder.iterdir())


def small_zip(path: Path, text: str = "x") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", text)
    return path


def job_record(job_id: str = "a-20261121T061500Z-0001", **changes: Any) -> Job:
    values = {
        "id": job_id,
        "state": JobState.CLAIMED,
        "input_name": "a.zip",
        "sidecar_name": None,
        "identity": FileIdentity(device=1, inode=2, size=3, mtime_ns=4),
        "priority": 0,
        "arrival_ns": 5,
        "claimed_at": WALL.timestamp(),
    }
    return Job(**(values | changes))


def stored_job(store: Store, *, with_input: bool = True, stem: str = "a", **changes: Any) -> Job:
    """A job in ``work/``, with an input."""
    job = store.create(stem, WALL, lambda job_id: job_record(job_id, **changes))
    if with_input:
        store.files(job).input.write_bytes(b"input of " + job.id.encode())
    return job
