"""Archive: the input, untouched, to ``done/<job>/`` or, with the reason, to ``failed/<job>/``.

Repeatable: a crash between two moves leaves the rest to the next start.
"""

from pathlib import Path

from segdrop import durable
from segdrop.spool.job import Job, Outcome
from segdrop.spool.layout import ERROR_NAME, JobLayout, RootLayout

_KEPT_AS_DONE = frozenset({Outcome.SUCCEEDED, Outcome.DUPLICATE})
LOG_NAME = "log.txt"


def archive(layout: RootLayout, job: Job, log_tail: str) -> Path:
    """Move the input and its sidecar out of the work folder; returns the folder they are in now."""
    files = layout.job(job.id)
    succeeded = job.outcome in _KEPT_AS_DONE
    target = (layout.done if succeeded else layout.failed) / job.id
    durable.ensure_dir(target)
    if not succeeded:
        _explain(files, target, log_tail)
    _move_if_there(files.input, target / job.input_name)
    if job.sidecar_name is not None:
        # the one name that we need ourselves
        name = job.sidecar_name if job.sidecar_name.lower() != ERROR_NAME else "request.json"
        _move_if_there(files.sidecar, target / name)
    return target


def _explain(files: JobLayout, target: Path, log_tail: str) -> None:
    """Temporaries stay in the work folder; what appears in failed/ is complete."""
    for name, content in ((ERROR_NAME, files.published.read_bytes()), (LOG_NAME, log_tail.encode())):
        temporary = files.folder / f"archive-{name}"
        durable.write_bytes(temporary, content)
        durable.move(temporary, target / name)


def _move_if_there(source: Path, target: Path) -> None:
    if source.exists():
        durable.move(source, target)
