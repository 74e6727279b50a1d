"""The claim: an input is renamed from the inbox into ``work/<job>/``.

A rename is the lock: whoever is second finds nothing. The manifest is written before the rename, so that a crash
between the two leaves either a folder without an input (the file is still in the inbox) or a complete claim whose
sidecar may still have to follow.
"""

import os
import stat
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from segdrop import durable, environment, input_kinds, logs
from segdrop.environment import Fault, Response
from segdrop.input_kinds import InputKind
from segdrop.intake import names
from segdrop.intake.copying import Copies
from segdrop.intake.inbox import Arrival
from segdrop.intake.settle import Stamp, stamp_of
from segdrop.spool import kept_models
from segdrop.spool.job import FileIdentity, Job, JobState
from segdrop.spool.layout import ERROR_NAME, JobLayout, RootLayout
from segdrop.spool.store import Store


def claim(store: Store, arrival: Arrival, priority: int, wall: datetime) -> Job | None:
    """Take an arrival and return its job, or None if it is gone or no longer the file that settled.

    It may have been withdrawn, or renamed by its owner; of another file, what was found out is void, and it settles
    again. Once the input is taken the job stands, even if its sidecar cannot be moved yet: the check fetches that.
    Raises OSError where the input cannot be taken.
    """
    if not is_as_it_settled(store.layout.inbox, arrival):
        return None
    observed = arrival.observation
    job = store.create(
        names.stem(arrival.name),
        wall,
        lambda job_id: Job(
            id=job_id,
            state=JobState.CLAIMED,
            kind=arrival.kind,
            input_name=arrival.name,
            sidecar_name=arrival.sidecar_name,
            identity=observed.archive.identity,
            sidecar_identity=observed.sidecar.identity if observed.sidecar else None,
            owner_uid=observed.archive.uid,
            priority=priority,
            cache_bytes=arrival.quick_check.cache_bytes if arrival.quick_check else 0,
            is_slow=arrival.quick_check.is_slow if arrival.quick_check else False,
            arrival_ns=observed.archive.ctime_ns,
            claimed_at=wall.timestamp(),
            issues=arrival.remarks,
        ),
    )
    try:
        durable.move(store.layout.inbox / arrival.name, store.files(job).input)
    except FileNotFoundError:
        store.remove(job)
        return None
    except OSError as error:
        if not os.path.lexists(store.files(job).input):
            store.remove(job)
            raise
        if environment.response_to(error) is Response.PAUSE:  # it was renamed, and only the sync failed
            raise
    arrival.job_id = job.id
    try:
        job = fetch_sidecar(store, job)
    except OSError as error:
        if environment.response_to(error) is Response.PAUSE:
            raise
        logs.get().warning("file.waiting", job=job.id, file=job.sidecar_name, reason=Fault.of(error).message)
    bytes_ = observed.archive.size
    logs.get().info("job.claimed", job=job.id, input=job.input_name, bytes=bytes_, sidecar=job.sidecar_name)
    for issue in job.issues:
        logs.get().warning("request.missed", job=job.id, **issue.to_json())
    return job


def is_as_it_settled(inbox: Path, arrival: Arrival) -> bool:
    """Whether an arrival is still what settled, by one more look right before the rename.

    People may have written to it, exchanged or withdrawn it since the scan.
    """
    expected: list[tuple[str, Stamp | None]] = [(arrival.name, arrival.observation.archive)]
    if arrival.sidecar_name is not None:
        expected.append((arrival.sidecar_name, arrival.observation.sidecar))
    for name, stamp in expected:
        try:
            changed = stamp_of((inbox / name).lstat()) != stamp
        except FileNotFoundError:
            changed = True
        if changed:
            logs.get().info("file.changed", file=name, effect=f"{arrival.name} settles again")
            return False
    return True


def fetch_sidecar(store: Store, job: Job) -> Job:
    """Move the sidecar after the input, and return the job.

    A sidecar that is gone was withdrawn since the scan: the job has none then, so that it never gets one that comes
    later, for another ZIP.
    """
    if job.sidecar_name is None or os.path.lexists(store.files(job).sidecar):
        return job
    try:
        durable.move(store.layout.inbox / job.sidecar_name, store.files(job).sidecar)
    except FileNotFoundError:
        logs.get().warning("file.waiting", job=job.id, file=job.sidecar_name, reason="the sidecar is gone")
        return store.transition(job, JobState.CLAIMED, sidecar_name=None)
    return job


@dataclass(frozen=True, slots=True)
class _Kept:
    """The files that ``failed/`` or ``done/`` has of a job that has ended."""

    job_id: str
    input: Path
    sidecar: Path | None

    @property
    def kind(self) -> InputKind:
        """The kind of the input."""
        return input_kinds.by_name(self.input.name) or InputKind.ARCHIVE


def retry(store: Store, job_id: str, wall: datetime, copies: Copies | None = None) -> Job | None:
    """Returns a new job on the input that ``failed/`` or ``done/`` keeps of another, or None if there is none.

    The input there stays: the new job has a second name for it or, where it can have none, a copy. None is returned
    while that is made: it is to be asked for again, with the same ``copies``, which know the reason.
    """
    copies = copies or Copies(store.layout)
    kept = _kept(store.layout, job_id)
    if kept is None:
        return None
    copy = copies.fetch(job_id, kept.input) if copies.reason(job_id) else None
    if copy is None and copies.reason(job_id):
        return None
    job = _retry_of(store, kept, copy or kept.input, wall)
    if not _fetch_kept(kept, copy, store.files(job)):
        store.remove(job)
        copies.fetch(job_id, kept.input)
        return None
    copies.forget(job_id)
    logs.get().info("job.claimed", job=job.id, input=job.input_name, bytes=job.identity.size, retry_of=job_id)
    return job


def _kept(layout: RootLayout, job_id: str) -> _Kept | None:
    """Returns the files that are kept of a job, or None where there is not exactly one input, or not a regular one."""
    folder = next((f / job_id for f in (layout.failed, layout.done) if (f / job_id).is_dir()), None)
    files = [path for path in folder.iterdir() if not _is_ours(path)] if folder else []
    inputs = _inputs_among(files)
    if len(inputs) != 1:
        return None
    requests = [path for path in files if input_kinds.by_name(path.name) is InputKind.JSON and path not in inputs]
    kept = _Kept(job_id, inputs[0], requests[0] if requests else None)
    is_regular = all(identity_of(path) for path in (kept.input, kept.sidecar) if path is not None)
    return kept if is_regular else None  # else a link was put in its place


def _is_ours(path: Path) -> bool:
    """Whether a file that lies beside what is kept of a job is our own answer or record."""
    return path.name == ERROR_NAME or kept_models.is_record(path)


def _inputs_among(files: list[Path]) -> list[Path]:
    """Returns the inputs among the files that are kept of a job. A JSON file is one where nothing else is, and of two
    it is the one whose request the other is by its name.
    """
    kinds = {path: input_kinds.by_name(path.name) for path in files}
    inputs = [path for path, kind in kinds.items() if kind not in (None, InputKind.JSON)]
    texts = [path for path, kind in kinds.items() if kind is InputKind.JSON]
    if inputs or len(texts) < 2:  # noqa: PLR2004  (an input and its request)
        return inputs or texts
    wanted = {names.key(path.name) for path in texts}
    return [path for path in texts if names.input_key(path.name) in wanted]


def _retry_of(store: Store, kept: _Kept, source: Path, wall: datetime) -> Job:
    """Returns the record of a retry; ``source`` becomes its input, and is the kept one or a copy of it."""
    return store.create(
        names.stem(kept.input.name),
        wall,
        lambda new_id: Job(
            id=new_id,
            state=JobState.CLAIMED,
            kind=kept.kind,
            input_name=kept.input.name,
            sidecar_name=kept.sidecar.name if kept.sidecar else None,
            identity=stamp_of(source.lstat()).identity,
            sidecar_identity=identity_of(kept.sidecar) if kept.sidecar else None,
            owner_uid=kept.input.lstat().st_uid,
            priority=0,
            arrival_ns=kept.input.lstat().st_ctime_ns,
            claimed_at=wall.timestamp(),
            retry_of=kept.job_id,
        ),
    )


def _fetch_kept(kept: _Kept, copy: Path | None, files: JobLayout) -> bool:
    """Give the sidecar, then the input, to the new job; returns False if the input has to be copied first."""
    if kept.sidecar is not None:
        durable.link(kept.sidecar, files.sidecar)
    if copy is None:
        return durable.link(kept.input, files.input, or_copy=False)
    durable.move(copy, files.input)
    return True


def identity_of(path: Path) -> FileIdentity | None:
    """Returns the identity of a claimed file, or None if it is not a regular file."""
    status = path.lstat()
    return stamp_of(status).identity if stat.S_ISREG(status.st_mode) else None


def sidecar_identity(files: JobLayout, job: Job) -> FileIdentity | None:
    """Returns the identity of a job's request as it is now, or as on record where it has yet to follow."""
    if job.sidecar_identity is None:
        return None
    try:
        return identity_of(files.sidecar)
    except FileNotFoundError:
        return job.sidecar_identity
