"""Jobs in ``work/``: create, load, transition, list. A change is on disk before the caller goes on."""

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segdrop import durable
from segdrop.errors import CorruptError
from segdrop.spool.job import Job, JobState, is_job_id, new_id
from segdrop.spool.layout import JobLayout, RootLayout


@dataclass(frozen=True, slots=True)
class Listing:
    """All that lies in ``work/``, each with the name of its folder."""

    jobs: list[Job]
    corrupt: list[tuple[str, CorruptError]]
    unreadable: list[tuple[str, OSError]]  #: jobs of which nothing can be said at the moment
    foreign: list[str]  #: no names of ours: left alone


class Store:
    """The jobs of one root. One daemon holds it; readers may list at any time."""

    def __init__(self, layout: RootLayout, nonce: Callable[[], int] = lambda: secrets.randbits(16)) -> None:
        self.layout = layout
        self._nonce = nonce

    def files(self, job: Job | str) -> JobLayout:
        """Returns the files of a job. An id alone does not tell the name of the input."""
        return self.layout.job(job) if isinstance(job, str) else self.layout.job(job.id, job.input_name)

    def create(self, stem: str, now: datetime, make: Callable[[str], Job]) -> Job:
        """Reserves an id by making its folder, writes the manifest into it, and returns the job."""
        while True:
            job_id = new_id(stem, now, self._nonce())
            if self.layout.published_json(job_id).exists():
                continue
            try:
                durable.make_dir(self.files(job_id).folder)
                break
            except FileExistsError:
                continue
        job = make(job_id)
        self._save(job)
        return job

    def transition(self, job: Job, state: JobState, **changes: Any) -> Job:  # noqa: ANN401  (fields of the record)
        """Returns the job after a transition, which is on disk by then; raises CorruptError if there is no such
        transition.
        """
        after = job.evolve(state, **changes)
        self._save(after)
        return after

    def load(self, job_id: str) -> Job:
        """Returns the job in ``work/<job_id>``; raises CorruptError if the folder cannot be understood."""
        path = self.files(job_id).manifest
        try:
            job = Job.model_validate(_taken_over(json.loads(path.read_bytes()), self.files(job_id)))
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise CorruptError(f"{path.name} is missing") from error
        except ValidationError as error:
            raise CorruptError(f"{path.name} cannot be understood: {error.errors()[0]['msg']}") from error
        except (ValueError, RecursionError) as error:
            raise CorruptError(f"{path.name} cannot be understood: {error}") from error
        if job.id != job_id:
            raise CorruptError(f"{path.name} is about another job, {job.id}")
        return job

    def list(self) -> Listing:
        """Returns all jobs, first to be served first; raises OSError if ``work/`` itself cannot be read."""
        listing = Listing([], [], [], [])
        for name in sorted(path.name for path in self.layout.work.iterdir()):
            if not is_job_id(name):
                if not self.layout.is_ours(name):
                    listing.foreign.append(name)
                continue
            try:
                listing.jobs.append(self.load(name))
            except CorruptError as error:
                listing.corrupt.append((name, error))
            except OSError as error:
                listing.unreadable.append((name, error))
        listing.jobs.sort(key=lambda job: job.order)
        return listing

    def remove(self, job: Job) -> None:
        """Removes the job's folder; a removal that is cut off is finished at the next start."""
        durable.remove_tree(self.files(job).folder)

    def _save(self, job: Job) -> None:
        durable.write_json(self.files(job).manifest, job.model_dump(mode="json"))


def _taken_over(record: object, files: JobLayout) -> object:
    """Returns the record of an earlier version in today's form: that one counted an attempt before it began."""
    if not isinstance(record, dict) or "fruitless_attempts" not in record:
        return record
    attempts = {
        "total": record["attempts"],
        "fruitless": record["fruitless_attempts"],
        "checkpoint_mark": record["checkpoint_mark"],
        "begun_mark": file_mark(files.begun),
    }
    new = {key: value for key, value in record.items() if key not in ("fruitless_attempts", "checkpoint_mark")}
    return new | {"attempts": attempts}


def file_mark(path: Path) -> str | None:
    """Returns which file this is, by its inode and its time; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return f"{status.st_ino}-{status.st_mtime_ns}"


def read_optional(path: Path) -> bytes | None:
    """Returns the content of a file; None if there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
