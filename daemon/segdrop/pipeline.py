"""The ordered stages of one job, and the transition after each.

    claimed → (check) → queued → (train) → trained → (package) → concluded → (deliver) → delivered → archived

Each heavy stage is a child: ``start`` gives one, ``finish`` reads what it left and makes the transition.
To restart is to start the stage of the state on disk again; every stage may be repeated.
"""

import json
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from signal import SIGKILL
from typing import Any

from segdrop import durable, logs, orders
from segdrop.dataset.report import CheckReport
from segdrop.delivery import archive, outbox, summary
from segdrop.errors import CorruptError, Issue, UnavailableError, has_fault
from segdrop.execution import outcome as child_outcome
from segdrop.execution.outcome import MAX_READER_KILLS, ChildOutcome, Ending
from segdrop.execution.output import tail
from segdrop.execution.process import Child, Command
from segdrop.intake import claim, names
from segdrop.settings import Settings
from segdrop.spool.job import Job, JobState, Outcome
from segdrop.spool.results import Results, fingerprint
from segdrop.spool.store import Store, read_optional


@dataclass(frozen=True, slots=True)
class Modules:
    """Which module each child runs; tests put faster stand-ins here."""

    check: str = "segdrop.dataset"
    training: str = "segdrop.training"
    package: str = "segdrop.delivery"


class Pipeline:
    """Stages over one store. Holds no state of its own but an index of the outbox."""

    def __init__(self, settings: Settings, store: Store, modules: Modules | None = None) -> None:
        self._settings = settings
        self._store = store
        self._modules = modules or Modules()
        self._results = Results(store.layout)

    # children of the stages

    def begin_attempt(self, job: Job, wall: datetime) -> Job:
        """Put the attempt on record before the work starts: a crash at any moment has been counted.

        What an earlier attempt finished and could not record any more is recorded now instead. The job may be at
        its end: answered by an earlier result, or out of attempts (where nobody was left to count a crash: power
        cuts). An attempt that brought a new checkpoint starts the count anew.
        """
        files = self._store.files(job)
        if job.state is JobState.STARTED and _answer(files.training_result) is not None:
            return self._trained(job, wall)
        if job.state is JobState.QUEUED and (earlier := self._earlier_result(job)):
            return self._duplicate(job, earlier, wall)
        fruitless = self.fruitless_attempts(job)
        if fruitless >= self._settings.training.max_attempts:
            return self._exhausted(job, fruitless, "ended without a trace", "train.crashed", wall)
        training = job.state is not JobState.TRAINED
        return self._store.transition(
            job,
            JobState.STARTED if training else JobState.TRAINED,
            attempts=job.attempts + training,
            fruitless_attempts=fruitless + 1,
            checkpoint_mark=_mark(files.checkpoint),
            started_at=job.started_at or wall.timestamp(),
        )

    def fruitless_attempts(self, job: Job) -> int:
        """How many there were since the last new checkpoint."""
        return job.fruitless_attempts if _mark(self._store.files(job).checkpoint) == job.checkpoint_mark else 0

    def uncharge(self, job: Job, before: Job) -> Job:
        """Take back an attempt that could not begin, if it came on record; ``before``: the job as it was then."""
        fruitless = self.fruitless_attempts(before)
        if job.state not in (JobState.STARTED, JobState.TRAINED) or job.fruitless_attempts <= fruitless:
            return job
        return self._store.transition(job, job.state, attempts=before.attempts, fruitless_attempts=fruitless)

    def start(self, job: Job, now: float, wall: datetime) -> Child:
        """The child of the job's stage."""
        match job.state:
            case JobState.CLAIMED:
                return self._start_check(job, now)
            case JobState.STARTED:
                return self._start_training(job, now)
            case JobState.TRAINED:
                return self._start_package(job, now, wall)
            case _:
                raise CorruptError(f"job {job.id} is {job.state}: there is nothing to start")

    def finish(self, job: Job, exit_status: int, wall: datetime, reason: str | None = None) -> Job:
        """The job after its child has ended; ``reason`` is the code of what we know better than its status."""
        match job.state:
            case JobState.CLAIMED:
                return self._finish_check(job, exit_status, wall, reason)
            case JobState.STARTED:
                return self._finish_training(job, exit_status, wall, reason)
            case _:
                return self._finish_package(job, exit_status, wall, reason)

    def _trained(self, job: Job, wall: datetime) -> Job:
        return self._store.transition(job, JobState.TRAINED, trained_at=wall.timestamp(), fruitless_attempts=0)

    # check

    def input_changed(self, job: Job) -> bool:
        """Whether the claimed input is another than the one that settled: then a writer still has it open."""
        return claim.identity_of(self._store.files(job).input) != job.identity

    def accept_change(self, job: Job) -> Job:
        """Take note of the input as it is now; it settles again before it is checked."""
        identity = claim.identity_of(self._store.files(job).input)
        if identity is None:
            raise CorruptError(f"the input of {job.id} is not a regular file any more")
        logs.get().warning("file.waiting", job=job.id, file=job.input_name, reason="it changed after it was claimed")
        return self._store.transition(job, JobState.CLAIMED, identity=identity)

    def _start_check(self, job: Job, now: float) -> Child:
        files = self._store.files(job)
        job = claim.fetch_sidecar(self._store, job)  # where the claim was cut off before it
        files.report.unlink(missing_ok=True)
        spec = orders.check_spec(job, files, self._store.layout, self._settings)
        command = Command(self._modules.check, ("check",), files.log, one_thread=True)
        return self._start(job, "check", spec.dump(), command, now)

    def _finish_check(self, job: Job, exit_status: int, wall: datetime, reason: str | None) -> Job:
        files = self._store.files(job)
        report = _report(files.report)
        result = self._read(job, exit_status, answered=report is not None)
        match result.ending:
            case Ending.FINISHED if report is not None:
                return self._checked(job, report, wall)
            case Ending.STOPPED:
                return job
            case Ending.KILLED:
                return self._reader_died(job, result, wall, from_outside=exit_status == -SIGKILL and reason is None)
            case _:
                return self.conclude(job, Outcome.FAILED, wall, list(result.issues))

    def _reader_died(self, job: Job, result: ChildOutcome, wall: datetime, *, from_outside: bool) -> Job:
        logs.get().error("child.crashed", job=job.id, stage="check", detail=result.detail)
        kills = job.check_kills + 1
        if from_outside and kills < MAX_READER_KILLS:
            return self._store.transition(job, JobState.CLAIMED, check_kills=kills)
        issue = Issue.of("archive.reader_died", f"the check of {job.input_name}: {result.detail}")
        return self.conclude(job, Outcome.REJECTED, wall, [issue])

    def _checked(self, job: Job, report: CheckReport, wall: datetime) -> Job:
        if report.changed_while_read or self.input_changed(job):
            return self.accept_change(job)
        issues = report.issue_list()
        for issue in issues:
            logs.get().info("dataset.issue", job=job.id, **issue.to_json())
        if has_fault(issues) or report.dataset is None or report.request is None:
            return self.conclude(job, Outcome.REJECTED, wall)
        job = self._store.transition(
            job,
            JobState.QUEUED,
            queued_at=wall.timestamp(),
            prepare_seconds=report.seconds,
            priority=report.request["priority"],
            fingerprint=None if report.request["force"] else fingerprint(report.input_sha256, report.request),
        )
        if earlier := self._earlier_result(job):
            return self._duplicate(job, earlier, wall)
        dataset = report.dataset
        logs.get().info(
            "job.queued",
            job=job.id,
            layout=dataset.layout,
            pairs=dataset.pairs,
            train=dataset.train,
            val=dataset.val,
            classes=dataset.num_classes,
        )
        return job

    # train

    def _start_training(self, job: Job, now: float) -> Child:
        files = self._store.files(job)
        spec = orders.training_spec(job, files, self._store.layout, self._settings)
        nice = self._settings.training.nice
        command = Command(self._modules.training, (), files.log, nice=nice, for_tensors=True)
        child = self._start(job, "training", spec.dump(), command, now)
        logs.get().info("job.started", job=job.id, attempt=job.attempts, pid=child.popen.pid)
        return child

    def _finish_training(self, job: Job, exit_status: int, wall: datetime, reason: str | None) -> Job:
        files = self._store.files(job)
        result = self._read(job, exit_status, answered=_answer(files.training_result) is not None)
        match result.ending:
            case Ending.FINISHED:
                return self._trained(job, wall)
            case Ending.STOPPED:  # asked to: this attempt is not held against the job
                return self._store.transition(job, JobState.STARTED, fruitless_attempts=_uncharged(job))
            case Ending.DATA_FAULT:
                if any(issue.code == "train.out_of_memory" for issue in result.issues):
                    return self._out_of_memory(job, wall)
                return self.conclude(job, Outcome.FAILED, wall, list(result.issues))
            case _:
                return self._crashed(job, result, wall, reason or "train.crashed")

    def _crashed(self, job: Job, result: ChildOutcome, wall: datetime, code: str) -> Job:
        """Try again while there is hope: an attempt that saved a new checkpoint starts the count anew."""
        logs.get().error("child.crashed", job=job.id, detail=result.detail, reason=code, attempt=job.attempts)
        if code == "train.too_long":
            issue = Issue.of(code, f"training took longer than {self._settings.training.max_seconds:g} s")
            return self.conclude(job, Outcome.FAILED, wall, [issue])
        if code == "train.out_of_memory":
            return self._out_of_memory(job, wall)
        fruitless = self.fruitless_attempts(job)
        if fruitless < self._settings.training.max_attempts:
            mark = _mark(self._store.files(job).checkpoint)
            return self._store.transition(job, job.state, fruitless_attempts=fruitless, checkpoint_mark=mark)
        return self._exhausted(job, fruitless, result.detail, code, wall, result.issues)

    def _exhausted(
        self, job: Job, fruitless: int, detail: str, code: str, wall: datetime, issues: tuple[Issue, ...] = ()
    ) -> Job:
        issue = Issue.of(code, f"{detail}, {fruitless} times without coming further")
        return self.conclude(job, Outcome.FAILED, wall, [issue, *issues])

    def _out_of_memory(self, job: Job, wall: datetime) -> Job:
        """Once more with half the batch, from the start: the steps of an epoch are others then."""
        if job.halved or job.state is not JobState.STARTED:
            issue = Issue.of("train.out_of_memory", "the machine's memory did not suffice, even for half the batch")
            return self.conclude(job, Outcome.FAILED, wall, [issue])
        return self._store.transition(job, job.state, halved=True, fruitless_attempts=_uncharged(job))

    # duplicates and cancellations

    def _earlier_result(self, job: Job) -> str | None:
        return self._results.find(job.fingerprint) if job.fingerprint else None

    def _duplicate(self, job: Job, earlier: str, wall: datetime) -> Job:
        message = f"the same input and request already has a result: {earlier}"
        issue = Issue.of("job.duplicate", message)
        return self.conclude(job, Outcome.DUPLICATE, wall, [issue], duplicate_of=earlier)

    def cancel(self, job: Job, wall: datetime) -> Job:
        """End a job as somebody asked by a control file. Too late once its outcome is on disk."""
        control = self._store.layout.inbox / f"{job.id}{names.CANCEL_SUFFIX}"
        if job.state in (JobState.CONCLUDED, JobState.DELIVERED):
            durable.remove(control)
            return job
        durable.move(control, self._store.files(job).cancel)
        return self.conclude(job, Outcome.CANCELLED, wall, [Issue.of("job.cancelled", "cancelled on request")])

    def finish_cancel(self, job: Job, wall: datetime) -> Job:
        """After a crash: a cancellation that was taken and not yet recorded."""
        if job.state in (JobState.CONCLUDED, JobState.DELIVERED) or not self._store.files(job).cancel.exists():
            return job
        return self.conclude(job, Outcome.CANCELLED, wall, [Issue.of("job.cancelled", "cancelled on request")])

    # package

    def _start_package(self, job: Job, now: float, wall: datetime) -> Child:
        files = self._store.files(job)
        durable.write_json(files.summary, self._compose(job, Outcome.SUCCEEDED, wall, []))
        files.package.unlink(missing_ok=True)
        spec = orders.package_spec(job, files)
        return self._start(job, "package", spec.dump(), Command(self._modules.package, (), files.log), now)

    def _finish_package(self, job: Job, exit_status: int, wall: datetime, reason: str | None) -> Job:
        files = self._store.files(job)
        package = _answer(files.package)
        result = self._read(job, exit_status, answered=package is not None)
        match result.ending:
            case Ending.FINISHED if package is not None:
                composed = json.loads(files.summary.read_bytes())
                whole = summary.with_result(composed, f"{job.id}.zip", package)
                durable.write_json(files.outcome, whole)
                return self._store.transition(job, JobState.CONCLUDED, outcome=Outcome.SUCCEEDED)
            case Ending.STOPPED:
                return self._store.transition(job, JobState.TRAINED, fruitless_attempts=_uncharged(job))
            case _:
                return self._crashed(job, result, wall, reason or "internal.error")

    # conclude, deliver, archive

    def conclude(
        self,
        job: Job,
        outcome: Outcome,
        wall: datetime,
        issues: list[Issue] | None = None,
        *,
        duplicate_of: str | None = None,
    ) -> Job:
        """End a job without a model: the outcome is on disk, and is delivered next."""
        files = self._store.files(job)
        composed = self._compose(job, outcome, wall, issues or [])
        durable.write_json(files.outcome, composed | ({"duplicate_of": duplicate_of} if duplicate_of else {}))
        durable.remove(files.result_zip)
        return self._store.transition(job, JobState.CONCLUDED, outcome=outcome)

    def deliver(self, job: Job) -> Job:
        outbox.deliver(self._store.layout, job)
        if job.outcome is Outcome.SUCCEEDED:
            self._results.add(job.id)
        return self._store.transition(job, JobState.DELIVERED)

    def archive(self, job: Job) -> None:
        """Put the input away, log the job's last line, and remove its work folder."""
        files = self._store.files(job)
        archive.archive(self._store.layout, job, tail(files.log))
        published = json.loads(files.published.read_bytes())
        self._store.remove(job)
        _log_canonical(job, published)

    def _compose(self, job: Job, outcome: Outcome, wall: datetime, issues: list[Issue]) -> dict[str, Any]:
        files = self._store.files(job)
        return summary.compose(
            job,
            outcome,
            report=_report(files.report),
            training=_answer(files.training_result),
            issues=issues,
            now=wall.timestamp(),
        )

    # children

    def _start(self, job: Job, stage: str, spec: dict[str, Any], command: Command, now: float) -> Child:
        files = self._store.files(job)
        for stale in (files.error, files.progress):
            stale.unlink(missing_ok=True)
        durable.write_json(files.spec(stage), spec)
        return replace(command, arguments=(*command.arguments, str(files.spec(stage)))).start(now)

    def _read(self, job: Job, exit_status: int, *, answered: bool) -> ChildOutcome:
        """What the child's end means. ``UnavailableError`` where the environment is at fault: nobody is charged."""
        files = self._store.files(job)
        result = child_outcome.read(exit_status, answered=answered, error_file=read_optional(files.error))
        if result.ending is Ending.ENVIRONMENT:
            self._store.transition(job, job.state, fruitless_attempts=_uncharged(job))
            raise UnavailableError("disk.full", f"{job.id}: {_last_reason(tail(files.log))}")
        return result


def _answer(path: Path) -> dict[str, Any] | None:
    """What a child has written; None if that is not there, or not whole."""
    try:
        value = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _report(path: Path) -> CheckReport | None:
    """As :func:`_answer`, of the check."""
    try:
        return CheckReport.load(path)
    except (FileNotFoundError, ValueError):
        return None


def _mark(checkpoint: Path) -> str | None:
    """Which checkpoint this is: a new one is a new file."""
    try:
        status = checkpoint.stat()
    except FileNotFoundError:
        return None
    return f"{status.st_ino}-{status.st_mtime_ns}"


def _uncharged(job: Job) -> int:
    """The count without the attempt that was on record, for what is not the job's fault."""
    return max(0, job.fruitless_attempts - 1)


def _last_reason(log: str) -> str:
    """The reason in the last line of a child's log."""
    try:
        return str(json.loads(log.splitlines()[-1])["reason"])
    except (ValueError, KeyError, IndexError, TypeError):
        return "see its log"


def _log_canonical(job: Job, published: dict[str, Any]) -> None:
    """The one line that ends each job."""
    metrics = published["metrics"] or {}
    succeeded = job.outcome is Outcome.SUCCEEDED
    log = logs.get().info if succeeded else logs.get().warning
    if job.outcome is Outcome.FAILED:
        log = logs.get().error
    measured = {
        "result_bytes": (published["result"] or {}).get("bytes"),
        "mean_iou": metrics.get("mean_iou"),
        "pixel_accuracy": metrics.get("pixel_accuracy"),
        "duplicate_of": published.get("duplicate_of"),
    }
    log(
        "job.delivered" if succeeded else f"job.{job.outcome}",
        job=job.id,
        outcome=str(job.outcome),
        input=job.input_name,
        input_bytes=job.identity.size,
        attempts=job.attempts,
        issues=[
            f"{issue['code']}: {issue['message']}" for issue in published["issues"] if issue["severity"] == "fault"
        ],
        **{key: value for key, value in measured.items() if value is not None},
        **published["timing"],
    )
