"""Packing: finished files become the result ZIP.

computed → (packing) → concluded
"""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from segdrop import durable
from segdrop.answers import PackedResult
from segdrop.codes import Code
from segdrop.dataset.report import CACHE_INDEX_NAME
from segdrop.errors import CorruptError
from segdrop.execution.outcome import Ending
from segdrop.execution.runner import Cause, Command, End, Handle
from segdrop.request import Task
from segdrop.results import result as result_record
from segdrop.results import summary
from segdrop.results.result import Result
from segdrop.spec import PackageSpec
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.kept_models import MODEL_NAME
from segdrop.spool.layout import JobLayout
from segdrop.stages import children
from segdrop.stages.conclude import compose, tell_crash, try_again
from segdrop.stages.stage import Context

_CODES = {
    Cause.TOO_LONG: Code.TRAIN_TOO_LONG,
    Cause.STALLED: Code.TRAIN_STALLED,
    Cause.OUT_OF_MEMORY: Code.TRAIN_OUT_OF_MEMORY,
}


@dataclass(frozen=True, slots=True)
class Package:
    """The last stage of a child; a :class:`~segdrop.stages.stage.Stage`."""

    context: Context
    name: str = "packing"

    def start(self, job: Job, now: float, wall: datetime) -> Handle:
        """Starts the child that packs the result."""
        files = self.context.store.files(job)
        durable.write_json(files.summary, compose(self.context, job, Outcome.SUCCEEDED, wall, []).to_json())
        files.package.unlink(missing_ok=True)
        command = Command(self.context.modules.package, (), files.log, self.name)
        return children.start(self.context, job, self._spec(job), "package", command, now)

    def recorded(self, job: Job, wall: datetime) -> Job | None:
        """A result that nobody saw packed is packed again."""
        del job, wall
        return None

    def finish(self, job: Job, end: End, wall: datetime) -> Job:
        """Concludes the job once its result is packed, or leaves it for another try."""
        files = self.context.store.files(job)
        package = children.answer(PackedResult, files.package)
        result = children.read(self.context, job, end, self.name, answered=package is not None)
        match result.ending:
            case Ending.FINISHED if package is not None:
                composed = _composed(files)
                if model := summary.kept_model(composed, job, package, wall.timestamp()):
                    durable.write_json(files.kept_model, model.to_json())
                whole = summary.with_result(composed, f"{job.id}.zip", package)
                durable.write_json(files.outcome, whole.to_json())
                return self.context.store.transition(job, JobState.CONCLUDED, outcome=Outcome.SUCCEEDED)
            case Ending.STOPPED:
                return children.discharge(self.context, job)
            case _:
                code = _CODES[end.cause] if end.cause else Code.INTERNAL_ERROR
                job = children.charged(self.context, job)
                tell_crash(job, result, code, job.attempts.total)
                return try_again(self.context, job, result, code, wall)

    def _spec(self, job: Job) -> PackageSpec:
        files = self.context.store.files(job)
        return PackageSpec(
            job=job.id,
            artifacts=artifacts(files) if job.task is Task.TRAIN else {},
            artifacts_dir=None if job.task is Task.TRAIN else files.outputs,
            summary_path=files.summary,
            index_path=files.cache / CACHE_INDEX_NAME if job.task is Task.TRAIN else None,
            result_zip_path=files.result_zip,
            package_path=files.package,
            error_path=files.error,
            lock_path=files.lock,
        )


def _composed(files: JobLayout) -> Result:
    """Returns the result as it was packed; CorruptError where it is not there any more."""
    try:
        return result_record.load(files.summary)
    except (FileNotFoundError, ValueError) as error:
        raise CorruptError(f"{files.summary.name} cannot be understood") from error


def artifacts(files: JobLayout) -> dict[str, Path]:
    """Returns the files that go into the result as they are, by the names that they have there."""
    kept = sorted(files.checkpoints.glob("*.pth"))
    return {
        "history.csv": files.history,
        MODEL_NAME: files.model,
        **{f"{files.checkpoints.name}/{path.name}": path for path in kept},
    }
