"""Admission: every settled ZIP gets the quick check, whether or not there is room; what is plainly wrong is
answered at once, the rest is claimed in order while the queue has slots.

The quick check runs in a child, many ZIPs at a time, each in ``limits.quick_check_seconds``. One that takes longer is
not answered quickly: it waits for the full check, and the others go on. A ZIP that kills the child is the one that was
begun and has no answer: it alone is rejected. A child that ends without having begun a ZIP says nothing about any.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from signal import SIGKILL, SIGXCPU

from segdrop import durable, logs
from segdrop.child_runtime import BEGUN_NAME
from segdrop.codes import Code
from segdrop.dataset.report import QuickReport
from segdrop.environment import Fault, Response, unknown
from segdrop.errors import DeferredError, InstallationError, Issue, has_fault
from segdrop.execution import outcome as child_outcome
from segdrop.execution.outcome import MAX_READER_KILLS, ChildOutcome, Ending
from segdrop.execution.output import last_words, tail
from segdrop.execution.runner import Command, Handle
from segdrop.intake import claim, names
from segdrop.intake.copying import Copies
from segdrop.intake.inbox import Arrival, Inbox, QuickCheckAnswer
from segdrop.service.delays import Delays
from segdrop.spec import QuickCheckItem, QuickCheckSpec
from segdrop.spool import root
from segdrop.spool.job import Job
from segdrop.spool.store import read_optional
from segdrop.stages.stage import Context

_BATCH = 64
QUICK_CHECK = "quick check"


@dataclass(slots=True)
class _Batch:
    """The ZIPs that a child has been given, and since when it has been at work on which of them."""

    arrivals: list[Arrival]
    child: Handle
    started_at: float  #: monotonic seconds, as all times here
    position: int = -1  #: of the ZIP at hand; -1: none was begun yet
    since: float = 0.0

    def look(self, begun: int, now: float) -> float:
        """Takes note of how many ZIPs were begun, and returns the seconds that the child has been at the last one."""
        if begun - 1 != self.position:
            self.position, self.since = begun - 1, now
        return now - (self.since if self.position >= 0 else self.started_at)


@dataclass(frozen=True, slots=True)
class _Answers:
    """What a child has written so far: whole answers in order, and how many ZIPs it has begun."""

    answered: list[QuickReport] = field(default_factory=list)
    begun: int = 0


class Admission:
    """Takes the inbox's arrivals to claimed jobs."""

    def __init__(self, context: Context, inbox: Inbox) -> None:
        self.inbox = inbox
        self.lacking_bytes = 0
        self._context = context
        self._settings = context.settings
        self._store = context.store
        self._batch: _Batch | None = None
        self._was_full = False
        self._delays = Delays()
        self.copies = Copies(context.store.layout, context.settings.queue.reserve_bytes)

    # the quick check

    def check_quickly(self, now: float) -> bool:
        """Reads the answers of a finished batch and starts the next one; returns whether a child has begun to work.

        Raises InstallationError where the child could not begin, and DeferredError where the environment is at fault.
        """
        batch, has_begun = self._batch, False
        if batch is not None:
            end, answers = batch.child.poll(), self._read_answers()
            status = end.status if end else None
            seconds = batch.look(answers.begun, now)
            has_begun = answers.begun > 0
            if status is None and seconds <= self._settings.limits.quick_check_seconds:
                return has_begun
            batch.child.kill()
            self._batch = None
            self._take_answers(batch, answers, status, now)
        if self._delays.is_due(QUICK_CHECK, now) and (waiting := self.inbox.to_check()[:_BATCH]):
            self._start(waiting, now)
        return has_begun

    @property
    def busy(self) -> bool:
        """Whether a quick check or a copy is under way."""
        return self._batch is not None or self.copies.busy

    def end(self) -> None:
        """Ends the child; its batch is checked again after the next start. So are copies begun again."""
        self.copies.end()
        if self._batch is not None:
            self._batch.child.kill()
            self._batch = None

    def _start(self, arrivals: list[Arrival], now: float) -> None:
        folder = self._store.layout.quick_check
        durable.remove_tree(folder)
        durable.make_dir(folder)
        inbox = self.inbox.folder
        spec = QuickCheckSpec(
            items=[
                QuickCheckItem(
                    key=str(position),
                    kind=arrival.kind,
                    archive=inbox / arrival.name,
                    name=arrival.name,
                    sidecar=inbox / arrival.sidecar_name if arrival.sidecar_name else None,
                    sidecar_name=arrival.sidecar_name,
                )
                for position, arrival in enumerate(arrivals)
            ],
            defaults=self._settings.defaults,
            models_dir=self._store.layout.models,
            limits=self._settings.limits.for_child(),
            outbox_dir=self._context.earlier.outbox,
            done_dir=self._context.earlier.done,
            answer_path=folder / "answers.jsonl",
            error_path=folder / "error.json",
            default_model=self._settings.inference.default_model,
        )
        durable.write_json(folder / "spec.json", spec.dump(folder, self._store.layout.root))
        arguments = ("inspect", str(folder / "spec.json"))
        command = Command(self._context.modules.check, arguments, folder / "log", QUICK_CHECK, one_thread=True)
        child = self._context.runner.submit(command, now)
        self._batch = _Batch(arrivals, child, now)

    def _read_answers(self) -> _Answers:
        folder = self._store.layout.quick_check
        begun = (read_optional(folder / BEGUN_NAME) or b"").count(b"\n")
        return _Answers(list(_lines(read_optional(folder / "answers.jsonl") or b"")), begun)

    def _take_answers(self, batch: _Batch, answers: _Answers, status: int | None, now: float) -> None:
        """``status`` None: the child was ended because it took too long."""
        for arrival, answer in zip(batch.arrivals, answers.answered, strict=False):
            if answer.error is None:
                self._record(arrival, _answered(answer))
            else:
                self.inbox.postpone(arrival, f"unreadable: {answer.error}")
        if len(answers.answered) == len(batch.arrivals):
            self._delays.forget(QUICK_CHECK)
            return
        culprit = batch.arrivals[len(answers.answered)]
        has_begun = answers.begun > len(answers.answered)
        if status is None and has_begun:
            self._not_answered_quickly(culprit)
            return
        self._judge(culprit, self._end_of(status, begun=has_begun), status, now)

    def _end_of(self, status: int | None, *, begun: bool) -> ChildOutcome:
        folder = self._store.layout.quick_check
        if status is None:  # it hung before it came to any ZIP
            message = "the quick check did not begin in time"
            return ChildOutcome(Ending.ENVIRONMENT, message, fault=_busy_machine(message))
        return child_outcome.read(
            status,
            answered=False,
            begun=begun,
            error_file=read_optional(folder / "error.json"),
            last_words=last_words(tail(folder / "log")),
        )

    def _judge(self, culprit: Arrival, result: ChildOutcome, status: int | None, now: float) -> None:
        """What becomes of the first ZIP without an answer."""
        match result.ending:
            case Ending.STOPPED:  # somebody else's signal: says nothing about the ZIP, which is asked again
                return
            case Ending.INSTALLATION:
                raise InstallationError(QUICK_CHECK, result.detail)
            case Ending.ENVIRONMENT:
                self._delays.put_off(QUICK_CHECK, now, result.detail)
                raise DeferredError(result.fault or unknown(result.detail))
            case Ending.DATA_FAULT if any(issue.code == Code.CHECK_OUT_OF_MEMORY for issue in result.issues):
                self._not_answered_quickly(culprit)
            case _ if status == -SIGXCPU:  # of all ZIPs of the batch together
                self._not_answered_quickly(culprit)
            case _:
                self._reader_died(culprit, result, status)

    def _reader_died(self, culprit: Arrival, result: ChildOutcome, status: int | None) -> None:
        logs.get().error("child.crashed", stage="inspect", file=culprit.name, detail=result.detail)
        culprit.reader_kills += status == -SIGKILL
        if status == -SIGKILL and culprit.reader_kills < MAX_READER_KILLS:
            return
        if result.ending is Ending.DEFECT:
            issue = Issue.of(Code.INTERNAL_ERROR, f"the quick check of {culprit.name}: {result.detail}")
        else:
            issue = Issue.of(Code.ARCHIVE_READER_DIED, f"{culprit.name}: {result.detail}", files=[culprit.name])
        self._record(culprit, QuickCheckAnswer([issue], accepted=False))

    def _not_answered_quickly(self, arrival: Arrival) -> None:
        """It is claimed like any other that was accepted, and the full check says what is wrong with it."""
        logs.get().warning("file.slow", file=arrival.name, seconds=self._settings.limits.quick_check_seconds)
        self._record(arrival, QuickCheckAnswer([], accepted=True, is_slow=True))

    def _record(self, arrival: Arrival, answer: QuickCheckAnswer) -> None:
        """Answers about a file that has changed since are dropped: it is another arrival now."""
        if self.inbox.arrivals.get(arrival.name) is arrival:
            arrival.quick_check = answer
            arrival.reason = "waits for a slot in the queue"

    # claims

    def reject(self, now: float, wall: datetime, conclude: Callable[[Job, list[Issue]], None]) -> None:
        """Claims what is plainly wrong, whether or not there is room, and hands it on to be answered."""
        for arrival in self.inbox.rejected():
            answer = arrival.quick_check
            if answer is not None and (job := self._claim(arrival, now, wall)):
                conclude(job, answer.issues)

    def admit(self, free_slots: int, free_bytes: int, now: float, wall: datetime) -> Iterator[Job]:
        """Claims what fits into the queue and, decoded, onto the disk, first in order first.

        ``free_bytes`` are those that no other job is going to need; ``lacking_bytes`` tells afterwards how many the
        next job lacks. What cannot be claimed at the moment waits, and the next in order goes on.
        """
        ready = [arrival for arrival in self.inbox.ready() if self._delays.is_due(arrival.name, now)]
        self._tell_if_full(len(ready), max(0, free_slots))
        self.lacking_bytes = 0
        for arrival in ready:
            if free_slots <= 0:
                return
            cache_bytes = arrival.quick_check.cache_bytes if arrival.quick_check else 0
            if free_bytes < cache_bytes:
                self.lacking_bytes = cache_bytes - free_bytes
                self.inbox.hold(arrival, "waits for disk space")
                return
            if job := self._claim(arrival, now, wall):
                free_slots, free_bytes = free_slots - 1, free_bytes - cache_bytes
                yield job

    def may_claim(self, now: float) -> bool:
        """Whether anything has passed the quick check, or failed it, that was not put off."""
        checked = (arrival.name for arrival in self.inbox.arrivals.values() if arrival.quick_check)
        return any(self._delays.is_due(name, now) for name in checked)

    def next_due(self, now: float) -> float | None:
        """Returns the seconds until something that was put off may be tried again; None if nothing was."""
        return self._delays.next_due(now)

    def _tell_if_full(self, ready: int, free_slots: int) -> None:
        is_full = ready > free_slots
        if is_full and not self._was_full:
            logs.get().warning("queue.full", capacity=self._settings.queue.capacity, waiting=ready - free_slots)
        self._was_full = is_full

    def retry(self, job_id: str, wall: datetime) -> Job | None:
        """Returns a new job with the input of an ended one; None if there is no such job, or its input is still being
        copied. The control file is taken away once the new job stands.
        """
        job = claim.retry(self._store, job_id, wall, self.copies)
        if job is not None:
            self.forget_retry(job_id)
        return job

    def forget_retry(self, job_id: str) -> None:
        """Takes the control file of a retry away."""
        durable.remove(self.inbox.folder / f"{job_id}{names.RETRY_SUFFIX}")

    def _claim(self, arrival: Arrival, now: float, wall: datetime) -> Job | None:
        """The job; None where it is gone, or cannot be taken: then it waits with its reason, alone."""
        if not self._delays.is_due(arrival.name, now):
            return None
        if not os.access(self.inbox.folder / arrival.name, os.R_OK):
            self.inbox.postpone(arrival, "unreadable: the daemon's user may not read it")
            return None
        try:
            job = claim.claim(self._store, arrival, arrival.quick_check.priority if arrival.quick_check else 0, wall)
        except OSError as error:
            self._refused(arrival, error, now)
            return None
        self.inbox.forget(arrival)
        self._delays.forget(arrival.name)
        return job

    def _refused(self, arrival: Arrival, error: OSError, now: float) -> None:
        fault = Fault.of(error)
        self._delays.put_off(arrival.name, now, fault.message)
        self.inbox.hold(arrival, f"cannot be taken: {fault.message}")
        if root.concerns_all(self._store.layout, fault):
            raise DeferredError(fault)


def _busy_machine(message: str) -> Fault:
    return Fault(code="environment", response=Response.WAIT, message=message)


def _lines(content: bytes) -> Iterator[QuickReport]:
    """The clean beginning of what the child wrote."""
    for line in content.splitlines():
        try:
            yield QuickReport.model_validate(json.loads(line))  # names may hold what only Python's JSON can read
        except ValueError:
            return


def _answered(report: QuickReport) -> QuickCheckAnswer:
    request = report.request
    accepted = not has_fault(report.issues) and request is not None
    return QuickCheckAnswer(report.issues, accepted, request.priority if request else 0, report.cache_bytes)
