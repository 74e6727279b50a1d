"""Delivers the ZIP into the outbox, then the JSON, which is the commit point. Each step may be repeated.

Between the two, the record of the model is put into ``done/``: a job whose answer is there can be started from.

People may take away what they find in the outbox at any moment, so nothing after the commit relies on it: a
copy of the JSON stays in the work folder until the job is archived.
"""

import contextlib
from pathlib import Path

from segdrop import durable
from segdrop.spool.job import Job
from segdrop.spool.layout import RootLayout


def deliver(layout: RootLayout, job: Job) -> None:
    """Publishes what is in the work folder. What was published before a crash is left as it is.

    Raises ``FileExistsError`` where the name is taken by something else, which cannot happen by itself: ids are unique.
    """
    files = layout.job(job.id)
    archive, answer = layout.published_zip(job.id), layout.published_json(job.id)
    if not files.outcome.exists():  # published, and perhaps taken away since: publishing removes it last
        return
    _drop_reservation(answer)
    if answer.exists():  # the commit was made: nothing in work/ may change it
        _finish_link(files.outcome, answer)
        return
    durable.write_bytes(files.published, files.outcome.read_bytes())
    _drop_reservation(archive)
    _publish_once(files.result_zip, archive)
    _keep_model(layout, job)
    durable.publish(files.outcome, answer)


def _keep_model(layout: RootLayout, job: Job) -> None:
    """Puts the record of the model beside the place that the input is going to have; without a model, nothing."""
    record = layout.job(job.id).kept_model
    if record.exists():  # else it is there already, or there is none
        durable.ensure_dir(layout.done / job.id)
        durable.move(record, layout.kept_model(job.id))


def _drop_reservation(target: Path) -> None:
    """Removes the empty file that a crash leaves where there are no hard links (see ``durable.publish``)."""
    with contextlib.suppress(FileNotFoundError):
        if target.stat().st_size == 0:
            durable.remove(target)


def _publish_once(source: Path, target: Path) -> None:
    if not source.exists():
        return
    if target.exists() and target.samefile(source):
        durable.remove(source)
        return
    durable.publish(source, target)


def _finish_link(source: Path, target: Path) -> None:
    if source.exists() and target.samefile(source):
        durable.remove(source)
