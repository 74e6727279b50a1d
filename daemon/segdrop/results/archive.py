"""Moves the input, untouched, to ``done/<job>/`` or, with the reason, to ``failed/<job>/``.

Each step may be repeated: a crash between two moves leaves the rest to the next start.
"""

import json
import os
from pathlib import Path
from typing import Any

from segdrop import durable
from segdrop.spool.job import Job, Outcome
from segdrop.spool.layout import ERROR_NAME, KEPT_MODEL_NAME, JobLayout, RootLayout

_KEPT_AS_DONE = frozenset({Outcome.SUCCEEDED, Outcome.DUPLICATE})
#: Names of JSON files that we need ourselves in those folders.
_OUR_NAMES = frozenset({ERROR_NAME, KEPT_MODEL_NAME})
LOG_NAME = "log.txt"


def archive(layout: RootLayout, job: Job, published: dict[str, Any], log_tail: str) -> Path:
    """Moves the input and its sidecar out of the work folder, and returns the folder that they are in now.

    ``published`` is the job's answer, which lies beside an input in ``failed/`` and says why it is there.
    """
    files = layout.job(job.id, job.input_name)
    succeeded = job.outcome in _KEPT_AS_DONE
    target = (layout.done if succeeded else layout.failed) / job.id
    durable.ensure_dir(target)
    if not succeeded:
        _explain(files, target, published, log_tail)
    input_name, sidecar_name = _kept_names(job)
    _move_if_there(files.input, target / input_name)
    if sidecar_name is not None:
        _move_if_there(files.sidecar, target / sidecar_name)
    return target


def _kept_names(job: Job) -> tuple[str, str | None]:
    """Returns the names that the input and its request keep, or others where they have one that we need ourselves."""
    if job.input_name.lower() in _OUR_NAMES:
        return "input.json", "input.request.json" if job.sidecar_name else None
    if job.sidecar_name and job.sidecar_name.lower() in _OUR_NAMES:
        return job.input_name, "request.json"
    return job.input_name, job.sidecar_name


def _explain(files: JobLayout, target: Path, published: dict[str, Any], log_tail: str) -> None:
    """Writes the answer and the log. Temporaries stay in the work folder; what appears in failed/ is complete."""
    answer = json.dumps(published, indent=2, ensure_ascii=False).encode("utf-8", "surrogateescape") + b"\n"
    for name, content in ((ERROR_NAME, answer), (LOG_NAME, log_tail.encode())):
        temporary = files.folder / f"archive-{name}"
        durable.write_bytes(temporary, content)
        durable.move(temporary, target / name)


def _move_if_there(source: Path, target: Path) -> None:
    if os.path.lexists(source):  # also a link that leads nowhere
        durable.move(source, target)
