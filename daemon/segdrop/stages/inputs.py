"""The input and the request of a claimed job: whether they are still those that settled in the inbox."""

import os

from segdrop import logs
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.intake import claim
from segdrop.spool.job import FileIdentity, Job, JobState
from segdrop.spool.store import Store


def has_changed(store: Store, job: Job) -> bool:
    """Whether what was claimed is another than what settled: then a writer still has it open."""
    return _identities(store, job) != (job.identity, job.sidecar_identity)


def accept_change(store: Store, job: Job) -> Job:
    """Takes note of the input as it is now, which settles again before it is checked.

    Raises DataError where a link or the like was put in its place: only the name was taken, and nothing is opened.
    """
    if name := irregular(store, job):
        raise DataError([Issue.of(Code.INPUT_NOT_REGULAR, f"{name} is not a regular file any more", files=[name])])
    identity, sidecar_identity = _identities(store, job)
    logs.get().warning("file.waiting", job=job.id, file=job.input_name, reason="it changed after it was claimed")
    return store.transition(job, JobState.CLAIMED, identity=identity, sidecar_identity=sidecar_identity)


def irregular(store: Store, job: Job) -> str:
    """Returns the name of the file that is no regular one any more; empty if there is none."""
    identity, sidecar_identity = _identities(store, job)
    if identity is None:
        return job.input_name
    return str(job.sidecar_name) if job.sidecar_identity is not None and sidecar_identity is None else ""


def is_void(store: Store, job: Job) -> bool:
    """Whether the input was written to since it was judged, and nobody has been told the verdict yet."""
    files = store.files(job)
    if not os.path.lexists(files.input) or store.layout.published_json(job.id).exists():
        return False
    return not irregular(store, job) and has_changed(store, job)


def _identities(store: Store, job: Job) -> tuple[FileIdentity | None, FileIdentity | None]:
    """Of the input and of the request as they are now; None for what is no regular file."""
    files = store.files(job)
    return claim.identity_of(files.input), claim.sidecar_identity(files, job)
