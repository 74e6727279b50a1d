"""At start: sweep what a crash left, and find the jobs to go on with. Reads ``work/`` alone.

What is not ours there (a NAS's ``@eaDir``, somebody's notes) is left alone, whoever owns it. What is ours and cannot be
understood is set aside; what cannot be read, or not be moved, waits. None of it keeps the other jobs from going on.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from segdrop import durable, environment, logs
from segdrop.codes import Code
from segdrop.environment import Fault, Response
from segdrop.errors import CorruptError
from segdrop.spool.job import Job, JobState, is_job_id
from segdrop.spool.layout import CHILD_ERROR_NAME, COPIES_NAME, ERROR_NAME, QUICK_CHECK_NAME, RootLayout
from segdrop.spool.store import Store

_MANIFEST_NAMES = frozenset({"job.json", "job.json.tmp"})


@dataclass(slots=True)
class Found:
    """The jobs in ``work/``, and why others could not be loaded, by the names of their folders."""

    jobs: list[Job] = field(default_factory=list)
    stuck: dict[str, str] = field(default_factory=dict)
    foreign: list[str] = field(default_factory=list)


def recover(store: Store) -> Found:
    """Sweeps what a crash has left, and returns the jobs: for the start, when no child can be at work yet."""
    for temporary in (store.layout.quick_check, store.layout.copies):
        if temporary.exists():
            with contextlib.suppress(OSError):  # what is left is written over when it is needed next
                durable.remove_tree(temporary)
    found = load(store)
    for job in found.jobs:
        if job.state not in (JobState.CONCLUDED, JobState.DELIVERED):
            logs.get().info("job.resumed", job=job.id, state=str(job.state), attempts=job.attempts.total)
    if found.foreign:
        logs.get().info("work.foreign", names=found.foreign[:20], count=len(found.foreign))
    return found


def load(store: Store) -> Found:
    """The jobs on disk. Folders that cannot be understood go to ``failed/``, loudly.

    A claimed job without its input is a claim whose rename never happened: the file is still in the inbox, so
    the folder is dropped, as is one with a manifest alone. Removals that were cut off are finished. OSError if
    ``work/`` itself cannot be read, or if the environment as a whole is at fault.
    """
    found = Found()
    for doomed in _half_removed(store.layout):
        _tried(partial(durable.remove_tree, doomed), doomed.name, found.stuck)
    listing = store.list()
    found.foreign = [name for name in listing.foreign if not _is_removal(name)]
    found.stuck |= {name: Fault.of(error).message for name, error in listing.unreadable}
    for name, error in listing.corrupt:
        _tried(partial(_put_away, store.layout, name, error), name, found.stuck)
    for job in listing.jobs:
        if job.state is JobState.CLAIMED and not os.path.lexists(store.files(job).input):
            _tried(partial(store.remove, job), job.id, found.stuck)
        else:
            found.jobs.append(job)
    return found


def set_aside(layout: RootLayout, name: str, error: CorruptError) -> None:
    """Moves what cannot be understood in ``work/`` to ``failed/``, as it is; nothing in it is lost."""
    folder = layout.work / name
    if not folder.exists():
        logs.get().critical(Code.SPOOL_CORRUPT, job=name, reason=f"its folder is gone: {error}")
        return
    reason = {"code": Code.SPOOL_CORRUPT, "message": f"work/{name} cannot be understood: {error}"}
    target = _free_name(layout.failed, name)
    if folder.is_dir():
        _explain(folder, reason)
        durable.move(folder, target)
    else:
        durable.make_dir(target)
        durable.move(folder, target / name)
        durable.write_json(target / ERROR_NAME, reason)
    logs.get().critical(Code.SPOOL_CORRUPT, job=name, reason=str(error), moved_to=str(target))


def _explain(folder: Path, reason: dict[str, str]) -> None:
    """Put the reason into the folder before that is moved: what appears in ``failed/`` is complete. What a child has
    said of its own fault is kept beside it.
    """
    said, kept = folder / ERROR_NAME, folder / CHILD_ERROR_NAME
    if said.exists() and not kept.exists():
        durable.move(said, kept)
    durable.write_json(said, reason)


def _put_away(layout: RootLayout, name: str, error: CorruptError) -> None:
    """A folder without files, or with a manifest alone, is a claim that was cut off: there is nothing to keep."""
    folder = layout.work / name
    if folder.is_dir() and all(path.name in _MANIFEST_NAMES for path in folder.iterdir()):
        durable.remove_tree(folder)
    else:
        set_aside(layout, name, error)


def _free_name(folder: Path, name: str) -> Path:
    target, suffix = folder / name, 1
    while target.exists():
        suffix += 1
        target = folder / f"{name}-{suffix}"
    return target


def _half_removed(layout: RootLayout) -> list[Path]:
    return [path for path in layout.work.glob(f".*{durable.REMOVED_SUFFIX}") if _is_removal(path.name)]


def _is_removal(name: str) -> bool:
    """Whether it is what is left of a folder of ours that was being removed."""
    inner = name.removeprefix(".").removesuffix(durable.REMOVED_SUFFIX)
    is_form = name.startswith(".") and name.endswith(durable.REMOVED_SUFFIX)
    return is_form and (is_job_id(inner) or inner in (QUICK_CHECK_NAME, COPIES_NAME))


def _tried(effect: Callable[[], object], name: str, stuck: dict[str, str]) -> None:
    """Tidy up; what one folder refuses holds up that one alone."""
    try:
        effect()
    except OSError as error:
        if environment.response_to(error) is Response.PAUSE:
            raise
        stuck[name] = Fault.of(error).message
        logs.get().error("job.waiting", job=name, reason=stuck[name])
