"""Every folder and file name, once."""

from dataclasses import dataclass
from pathlib import Path

from segdrop.child_runtime import BEGUN_NAME
from segdrop.input_kinds import claimed_name

SENTINEL_NAME = ".segdrop-root"
#: in failed/<job>/, beside the input and its sidecar: why
ERROR_NAME = "error.json"
#: in done/<job>/, beside the input and its sidecar: which model came of it
KEPT_MODEL_NAME = "model.json"
#: what a child left under that name, in a folder that was set aside
CHILD_ERROR_NAME = "child-error.json"
#: beside the job folders in work/, and not one of them: starts with a dot
QUICK_CHECK_NAME = ".inspection"
COPIES_NAME = ".copies"


@dataclass(frozen=True, slots=True)
class RootLayout:
    """The folders under one root. All on one filesystem, none inside another."""

    root: Path

    @property
    def inbox(self) -> Path:
        """Folder into which people copy their inputs and requests."""
        return self.root / "inbox"

    @property
    def work(self) -> Path:
        """Folder of the jobs at work; the daemon alone may look into it."""
        return self.root / "work"

    @property
    def outbox(self) -> Path:
        """Folder of the results, which people read."""
        return self.root / "outbox"

    @property
    def failed(self) -> Path:
        """Folder of the inputs of jobs without a result, each with the reason."""
        return self.root / "failed"

    @property
    def done(self) -> Path:
        """Folder of the inputs of jobs with a result."""
        return self.root / "done"

    @property
    def models(self) -> Path:
        """Folder of pretrained weights, which the operator fills."""
        return self.root / "models"

    @property
    def sentinel(self) -> Path:
        """File by which a root is told from the empty folder below an unmounted share."""
        return self.root / SENTINEL_NAME

    @property
    def daemon_lock(self) -> Path:
        """Lock file of the one daemon on this root."""
        return self.work / ".daemon.lock"

    @property
    def quick_check(self) -> Path:
        """Folder of the quick check that is under way."""
        return self.work / QUICK_CHECK_NAME

    @property
    def copies(self) -> Path:
        """Record of what trainings measured: the number format that suits the host, and how long a run takes."""
        return self.work / COPIES_NAME

    @property
    def late_requests(self) -> Path:
        """Record of the requests in the inbox that came after their ZIP had been claimed."""
        return self.work / ".late-requests.json"

    @property
    def measurements(self) -> Path:
        """Record of what trainings measured: which number format suits the host, and how long a run takes."""
        return self.work / ".measurements.json"

    def is_ours(self, name: str) -> bool:
        """Whether a name in ``work/`` that is no job's is one that we give."""
        ours = (
            self.daemon_lock,
            self.quick_check,
            self.copies,
            self.late_requests,
            self.measurements,
            self.status_draft,
            self.models_draft,
        )
        own = {path.name for path in ours}
        return name in own or name.removesuffix(".tmp") in own

    @property
    def status(self) -> Path:
        """Live status, for people and programs."""
        return self.outbox / "status.json"

    @property
    def status_draft(self) -> Path:
        """Temporary file of the live status: the outbox shows finished files only."""
        return self.work / ".status.json.tmp"

    @property
    def models_file(self) -> Path:
        """List of the models that a request can name, for people and programs."""
        return self.outbox / "models.json"

    @property
    def models_draft(self) -> Path:
        """Temporary file of the list of models: the outbox shows finished files only."""
        return self.work / ".models.json.tmp"

    @property
    def metrics(self) -> Path:
        """Metrics for the textfile collector of node_exporter."""
        return self.root / "metrics.prom"

    @property
    def folders(self) -> tuple[Path, ...]:
        """All folders of the root that people know."""
        return (self.inbox, self.work, self.outbox, self.failed, self.done, self.models)

    def job(self, job_id: str, input_name: str = "") -> "JobLayout":
        """Returns the files of a job at work. Without ``input_name``, as people named it, its input counts as a ZIP."""
        return JobLayout(self.work / job_id, claimed_name(input_name))

    def kept_model(self, job_id: str) -> Path:
        """Returns the path of the record of a job's model."""
        return self.done / job_id / KEPT_MODEL_NAME

    def published_zip(self, job_id: str) -> Path:
        """Returns the path of a result ZIP."""
        return self.outbox / f"{job_id}.zip"

    def published_json(self, job_id: str) -> Path:
        """Returns the path of a job's outbox JSON."""
        return self.outbox / f"{job_id}.json"


@dataclass(frozen=True, slots=True)
class JobLayout:
    """The files of one job, in ``work/<job>/``. Each has one writer."""

    folder: Path
    claimed_name: str = "input.zip"

    # written by the daemon
    @property
    def manifest(self) -> Path:
        """Record of the job and its state."""
        return self.folder / "job.json"

    @property
    def input(self) -> Path:
        """Input of the job, as it was claimed."""
        return self.folder / self.claimed_name

    @property
    def sidecar(self) -> Path:
        """Request that came beside the input."""
        return self.folder / "sidecar.json"

    @property
    def log(self) -> Path:
        """Output of the job's children, one after the other."""
        return self.folder / "job.log"

    @property
    def summary(self) -> Path:
        """Outbox JSON less its ZIP hash; goes into the ZIP as metrics.json."""
        return self.folder / "summary.json"

    @property
    def outcome(self) -> Path:
        """Outbox JSON, final; moves into the outbox."""
        return self.folder / "outcome.json"

    @property
    def published(self) -> Path:
        """Copy of what was published."""
        return self.folder / "published.json"

    @property
    def kept_model(self) -> Path:
        """Record of the model, until the result is published; then it is beside the input."""
        return self.folder / "kept-model.json"

    @property
    def cancel(self) -> Path:
        """Control file that asked for the job's end."""
        return self.folder / "cancel"

    def spec(self, stage: str) -> Path:
        """Returns the path of a stage's spec."""
        return self.folder / f"{stage}.spec.json"

    # written by children
    @property
    def lock(self) -> Path:
        """Lock file that the child at work holds."""
        return self.folder / "child.lock"

    @property
    def error(self) -> Path:
        """Answer of a child that could not do its work."""
        return self.folder / "error.json"

    @property
    def begun(self) -> Path:
        """File that a child makes when it begins with the job."""
        return self.folder / BEGUN_NAME

    @property
    def progress(self) -> Path:
        """Progress of the child at work."""
        return self.folder / "progress.json"

    @property
    def report(self) -> Path:
        """Answer of the full check."""
        return self.folder / "dataset.json"

    @property
    def cache(self) -> Path:
        """Folder of the decoded images and masks."""
        return self.folder / "cache"

    @property
    def checkpoint(self) -> Path:
        """State from which an interrupted training goes on."""
        return self.folder / "checkpoint.pth"

    @property
    def model(self) -> Path:
        """Trained model with the best weights."""
        return self.folder / "model.pth"

    @property
    def checkpoints(self) -> Path:
        """Folder of every epoch's model, if the request keeps them."""
        return self.folder / "checkpoints"

    @property
    def history(self) -> Path:
        """Table of the epochs."""
        return self.folder / "history.csv"

    @property
    def training_result(self) -> Path:
        """Answer of the training."""
        return self.folder / "training.json"

    @property
    def pairs(self) -> Path:
        """Images and masks of an evaluation's dataset, in the canonical layout."""
        return self.folder / "pairs.zip"

    @property
    def outputs(self) -> Path:
        """Folder of what a prediction writes: all of it goes into the result."""
        return self.folder / "outputs"

    @property
    def journal(self) -> Path:
        """Record of the images that are predicted, from which an interrupted prediction goes on."""
        return self.folder / "predicted.jsonl"

    @property
    def inference_result(self) -> Path:
        """Answer of a prediction or an evaluation."""
        return self.folder / "inference.json"

    @property
    def result_zip(self) -> Path:
        """Result ZIP, until it is published."""
        return self.folder / "result.zip"

    @property
    def package(self) -> Path:
        """Answer of the packing."""
        return self.folder / "package.json"
