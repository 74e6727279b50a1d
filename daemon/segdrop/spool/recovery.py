"""At start: sweep what a crash left, and find the jobs to go on with. Reads ``work/`` alone."""

from segdrop import durable, logs
from segdrop.errors import CorruptError
from segdrop.spool.job import Job, JobState
from segdrop.spool.layout import ERROR_NAME, RootLayout
from segdrop.spool.store import Store

_MANIFEST_NAMES = frozenset({"job.json", "job.json.tmp"})


def recover(store: Store) -> list[Job]:
    """Sweep, then load the jobs: for the start, when no child can be at work yet."""
    _sweep(store.layout)
    jobs = load(store)
    for job in jobs:
        if job.state not in (JobState.CONCLUDED, JobState.DELIVERED):
            logs.get().info("job.resumed", job=job.id, state=str(job.state), attempts=job.attempts)
    return jobs


def load(store: Store) -> list[Job]:
    """The jobs on disk. Folders that cannot be understood go to ``failed/``, loudly.

    A claimed job without its input is a claim whose rename never happened: the file is still in the inbox, so
    the folder is dropped. Removals that were cut off are finished.
    """
    for doomed in store.layout.work.glob(f".*{durable.REMOVED_SUFFIX}"):
        durable.remove_tree(doomed)
    listing = store.list()
    for name, error in listing.corrupt:
        set_aside(store.layout, name, error)
    jobs = []
    for job in listing.jobs:
        if job.state is JobState.CLAIMED and not store.files(job).input.exists():
            store.remove(job)
        else:
            jobs.append(job)
    return jobs


def set_aside(layout: RootLayout, name: str, error: CorruptError) -> None:
    """Move what cannot be understood in ``work/`` to ``failed/``, as it is; nothing in it is lost.

    A folder without files, or with a manifest alone, is a claim that was cut off: there is nothing to keep.
    """
    folder = layout.work / name
    if folder.is_dir() and all(path.name in _MANIFEST_NAMES for path in folder.iterdir()):
        durable.remove_tree(folder)
        return
    target = layout.failed / name
    suffix = 1
    while target.exists():
        suffix += 1
        target = layout.failed / f"{name}-{suffix}"
    if folder.is_dir():
        durable.move(folder, target)
    else:
        durable.make_dir(target)
        durable.move(folder, target / name)
    message = f"work/{name} cannot be understood: {error}"
    durable.write_json(target / ERROR_NAME, {"code": "spool.corrupt", "message": message})
    logs.get().critical("spool.corrupt", job=name, reason=str(error), moved_to=str(target))


def _sweep(layout: RootLayout) -> None:
    """Hidden names in work/ are ours and temporary, all but the lock of the daemon that is running: us."""
    for path in layout.work.iterdir():
        if path.name.startswith(".") and path.is_dir():
            durable.remove_tree(path)
