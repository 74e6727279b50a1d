"""Every folder and file name, once."""

from dataclasses import dataclass
from pathlib import Path

SENTINEL_NAME = ".segdrop-root"
#: in failed/<job>/, beside the input and its sidecar: why
ERROR_NAME = "error.json"
#: beside the job folders in work/, and not one of them: starts with a dot
INSPECTION_NAME = ".inspection"


@dataclass(frozen=True, slots=True)
class RootLayout:
    """The folders under one root. All on one filesystem, none inside another."""

    root: Path

    @property
    def inbox(self) -> Path:
        return self.root / "inbox"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def outbox(self) -> Path:
        return self.root / "outbox"

    @property
    def failed(self) -> Path:
        return self.root / "failed"

    @property
    def done(self) -> Path:
        return self.root / "done"

    @property
    def models(self) -> Path:
        return self.root / "models"

    @property
    def sentinel(self) -> Path:
        return self.root / SENTINEL_NAME

    @property
    def daemon_lock(self) -> Path:
        return self.work / ".daemon.lock"

    @property
    def inspection(self) -> Path:
        return self.work / INSPECTION_NAME

    @property
    def measurements(self) -> Path:
        """What training runs measured: which number format suits the host, and how long a run takes."""
        return self.work / ".measurements.json"

    @property
    def status(self) -> Path:
        return self.outbox / "status.json"

    @property
    def status_draft(self) -> Path:
        """The outbox shows finished files only."""
        return self.work / ".status.json.tmp"

    @property
    def metrics(self) -> Path:
        """For node_exporter's textfile collector."""
        return self.root / "metrics.prom"

    @property
    def folders(self) -> tuple[Path, ...]:
        return (self.inbox, self.work, self.outbox, self.failed, self.done, self.models)

    def job(self, job_id: str) -> "JobLayout":
        return JobLayout(self.work / job_id)

    def published_zip(self, job_id: str) -> Path:
        return self.outbox / f"{job_id}.zip"

    def published_json(self, job_id: str) -> Path:
        return self.outbox / f"{job_id}.json"


@dataclass(frozen=True, slots=True)
class JobLayout:
    """The files of one job, in ``work/<job>/``. Each has one writer."""

    folder: Path

    # written by the daemon
    @property
    def manifest(self) -> Path:
        return self.folder / "job.json"

    @property
    def input(self) -> Path:
        return self.folder / "input.zip"

    @property
    def sidecar(self) -> Path:
        return self.folder / "sidecar.json"

    @property
    def log(self) -> Path:
        return self.folder / "job.log"

    @property
    def summary(self) -> Path:
        """The outbox JSON less its ZIP hash; goes into the ZIP as metrics.json."""
        return self.folder / "summary.json"

    @property
    def outcome(self) -> Path:
        """The outbox JSON, final; moves there."""
        return self.folder / "outcome.json"

    @property
    def published(self) -> Path:
        """A copy of what was published."""
        return self.folder / "published.json"

    @property
    def cancel(self) -> Path:
        """The control file that asked for the job's end."""
        return self.folder / "cancel"

    def spec(self, stage: str) -> Path:
        return self.folder / f"{stage}.spec.json"

    # written by children
    @property
    def lock(self) -> Path:
        return self.folder / "child.lock"

    @property
    def error(self) -> Path:
        return self.folder / "error.json"

    @property
    def progress(self) -> Path:
        return self.folder / "progress.json"

    @property
    def report(self) -> Path:
        return self.folder / "dataset.json"

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pth"

    @property
    def model(self) -> Path:
        return self.folder / "model.pth"

    @property
    def history(self) -> Path:
        return self.folder / "history.csv"

    @property
    def training_result(self) -> Path:
        return self.folder / "training.json"

    @property
    def result_zip(self) -> Path:
        return self.folder / "result.zip"

    @property
    def package(self) -> Path:
        return self.folder / "package.json"
