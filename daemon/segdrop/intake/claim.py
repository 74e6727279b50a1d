"""Claim: rename the input from the inbox into ``work/<job>/``.

A rename is the lock: whoever is second finds nothing. The manifest is written before the rename, so that a
crash between the two leaves either a folder without an input (the file is still in the inbox) or a complete
claim whose sidecar may still have to follow.
"""

import stat
from datetime import datetime
from pathlib import Path

from segdrop import durable, logs
from segdrop.intake import names
from segdrop.intake.inbox import Arrival
from segdrop.spool.job import FileIdentity, Job, JobState
from segdrop.spool.layout import ERROR_NAME
from segdrop.spool.store import Store


def claim(store: Store, arrival: Arrival, priority: int, wall: datetime) -> Job | None:
    """Take an arrival; None if it is gone (withdrawn, or renamed by its owner)."""
    stamp = arrival.observation.archive
    job = store.create(
        names.stem(arrival.name),
        wall,
        lambda job_id: Job(
            id=job_id,
            state=JobState.CLAIMED,
            input_name=arrival.name,
            sidecar_name=arrival.sidecar_name,
            identity=FileIdentity(device=stamp.device, inode=stamp.inode, size=stamp.size, mtime_ns=stamp.mtime_ns),
            priority=priority,
            cache_bytes=arrival.inspection.cache_bytes if arrival.inspection else 0,
            arrival_ns=stamp.ctime_ns,
            claimed_at=wall.timestamp(),
        ),
    )
    try:
        durable.move(store.layout.inbox / arrival.name, store.files(job).input)
    except FileNotFoundError:
        store.remove(job)
        return None
    except OSError:
        if not store.files(job).input.exists():  # the rename may have happened, and only its sync failed
            store.remove(job)
        raise
    job = fetch_sidecar(store, job)
    logs.get().info("job.claimed", job=job.id, input=job.input_name, bytes=stamp.size, sidecar=job.sidecar_name)
    return job


def fetch_sidecar(store: Store, job: Job) -> Job:
    """Move the sidecar after the input. One that is gone was withdrawn since the scan: the job has none then, so
    that it never gets one that comes later, for another ZIP.
    """
    if job.sidecar_name is None or store.files(job).sidecar.exists():
        return job
    try:
        durable.move(store.layout.inbox / job.sidecar_name, store.files(job).sidecar)
    except FileNotFoundError:
        logs.get().warning("file.waiting", job=job.id, file=job.sidecar_name, reason="the sidecar is gone")
        return store.transition(job, JobState.CLAIMED, sidecar_name=None)
    return job


def retry(store: Store, job_id: str, wall: datetime) -> Job | None:
    """A new job on the input that ``failed/`` or ``done/`` keeps of another; None if there is none.

    The input there stays: the new job has a second name for it (or a copy).
    """
    layout = store.layout
    folder = next((f / job_id for f in (layout.failed, layout.done) if (f / job_id).is_dir()), None)
    archives = [path for path in folder.iterdir() if path.suffix.lower() == ".zip"] if folder else []
    if folder is None or len(archives) != 1:
        return None
    archive = archives[0]
    status = archive.stat()
    sidecar = next((p for p in folder.iterdir() if p.suffix.lower() == ".json" and p.name != ERROR_NAME), None)
    job = store.create(
        names.stem(archive.name),
        wall,
        lambda new_id: Job(
            id=new_id,
            state=JobState.CLAIMED,
            input_name=archive.name,
            sidecar_name=sidecar.name if sidecar else None,
            identity=FileIdentity(
                device=status.st_dev, inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns
            ),
            priority=0,
            arrival_ns=status.st_ctime_ns,
            claimed_at=wall.timestamp(),
            retry_of=job_id,
        ),
    )
    files = store.files(job)
    if sidecar is not None:
        durable.link(sidecar, files.sidecar)
    durable.link(archive, files.input)
    logs.get().info("job.claimed", job=job.id, input=job.input_name, bytes=status.st_size, retry_of=job_id)
    return job


def identity_of(path: Path) -> FileIdentity | None:
    """The identity of a claimed input; None if it is not a regular file."""
    status = path.lstat()
    if not stat.S_ISREG(status.st_mode):
        return None
    return FileIdentity(device=status.st_dev, inode=status.st_ino, size=status.st_size, mtime_ns=status.st_mtime_ns)
