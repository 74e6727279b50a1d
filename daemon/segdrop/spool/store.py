"""Jobs in ``work/``: create, load, transition, list. A change is on disk before the caller goes on."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from segdrop import durable
from segdrop.errors import CorruptError
from segdrop.spool.job import Job, JobState, new_id
from segdrop.spool.layout import JobLayout, RootLayout


@dataclass(frozen=True, slots=True)
class Listing:
    jobs: list[Job]
    corrupt: list[tuple[str, CorruptError]]  #: folder name, why


class Store:
    """The jobs of one root. One daemon holds it; readers may list at any time."""

    def __init__(self, layout: RootLayout, nonce: Callable[[], int] = lambda: secrets.randbits(16)) -> None:
        self.layout = layout
        self._nonce = nonce

    def files(self, job: Job | str) -> JobLayout:
        return self.layout.job(job if isinstance(job, str) else job.id)

    def create(self, stem: str, now: datetime, make: Callable[[str], Job]) -> Job:
        """Reserve an id by making its folder, and write the manifest into it."""
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
        after = job.evolve(state, **changes)
        self._save(after)
        return after

    def load(self, job_id: str) -> Job:
        """The job in ``work/<job_id>``; ``CorruptError`` if the folder cannot be understood."""
        path = self.files(job_id).manifest
        try:
            job = Job.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise CorruptError(f"{path.name} is missing") from error
        except ValidationError as error:
            raise CorruptError(f"{path.name} cannot be understood: {error.errors()[0]['msg']}") from error
        if job.id != job_id:
            raise CorruptError(f"{path.name} is about another job, {job.id}")
        return job

    def list(self) -> Listing:
        """All jobs, first to be served first. Hidden names in ``work/`` are not jobs."""
        jobs, corrupt = [], []
        for folder in sorted(self.layout.work.iterdir()):
            if folder.name.startswith("."):
                continue
            try:
                jobs.append(self.load(folder.name))
            except CorruptError as error:
                corrupt.append((folder.name, error))
        return Listing(sorted(jobs, key=lambda job: job.order), corrupt)

    def remove(self, job: Job) -> None:
        durable.remove_tree(self.files(job).folder)

    def _save(self, job: Job) -> None:
        durable.write_json(self.files(job).manifest, job.model_dump(mode="json"))


def read_optional(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
