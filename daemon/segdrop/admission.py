"""Admission: every settled ZIP gets the cheap check, whether or not there is room; what is plainly wrong is
answered at once, the rest is claimed in order while the queue has slots.

The cheap check runs in a child, many ZIPs at a time. A ZIP that kills the child is the first one without an
answer: it alone is rejected, and the others go into the next batch.
"""

import json
import os
from collections.abc import Callable, Iterator
from datetime import datetime
from signal import SIGKILL
from typing import Any

from segdrop import durable, logs
from segdrop.errors import Issue, UnavailableError, has_fault
from segdrop.execution import outcome as child_outcome
from segdrop.execution.outcome import MAX_READER_KILLS, Ending
from segdrop.execution.process import Child, Command
from segdrop.intake import claim, names
from segdrop.intake.inbox import Arrival, Inbox, Inspection
from segdrop.settings import Settings
from segdrop.spec import InspectItem, InspectSpec
from segdrop.spool.job import Job
from segdrop.spool.store import Store, read_optional

_BATCH = 64


class Admission:
    """From the inbox's arrivals to claimed jobs."""

    def __init__(self, settings: Settings, store: Store, inbox: Inbox, module: str) -> None:
        self.inbox = inbox
        self._settings = settings
        self._store = store
        self._module = module
        self._child: Child | None = None
        self._batch: list[Arrival] = []
        self._was_full = False
        self.lacking_bytes = 0

    # the cheap check

    def inspect(self, now: float) -> None:
        """Read the answers of a finished batch, and start the next one."""
        if self._child is not None:
            status = self._child.poll()
            overdue = now - self._child.started_at > self._settings.limits.check_seconds
            if status is None and not overdue:
                return
            self._child.kill()
            self._read_answers(status)
        if self._child is None and (batch := self.inbox.to_inspect()[:_BATCH]):
            self._start(batch, now)

    @property
    def busy(self) -> bool:
        return self._child is not None

    def end(self) -> None:
        """End the child; its batch is checked again after the next start."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _start(self, batch: list[Arrival], now: float) -> None:
        folder = self._store.layout.inspection
        durable.remove_tree(folder)
        durable.make_dir(folder)
        inbox = self.inbox.folder
        spec = InspectSpec(
            items=[
                InspectItem(
                    key=str(position),
                    archive=inbox / arrival.name,
                    name=arrival.name,
                    sidecar=inbox / arrival.sidecar_name if arrival.sidecar_name else None,
                    sidecar_name=arrival.sidecar_name,
                )
                for position, arrival in enumerate(batch)
            ],
            defaults=self._settings.defaults,
            models_dir=self._store.layout.models,
            limits=self._settings.limits.for_child(),
            answer_path=folder / "answers.jsonl",
            error_path=folder / "error.json",
        )
        durable.write_json(folder / "spec.json", spec.dump())
        arguments = ("inspect", str(folder / "spec.json"))
        self._child = Command(self._module, arguments, folder / "log", one_thread=True).start(now)
        self._batch = batch

    def _read_answers(self, status: int | None) -> None:
        folder = self._store.layout.inspection
        answers = list(_answers(read_optional(folder / "answers.jsonl") or b""))
        self._child, batch = None, self._batch
        for arrival, answer in zip(batch, answers, strict=False):
            if answer["error"] is None:
                self._record(arrival, _inspection(answer))
            else:
                self.inbox.postpone(arrival, f"unreadable: {answer['error']}")
        if len(answers) == len(batch):
            return
        culprit = batch[len(answers)]
        result = child_outcome.read(
            -SIGKILL if status is None else status, answered=False, error_file=read_optional(folder / "error.json")
        )
        if result.ending is Ending.ENVIRONMENT:
            raise UnavailableError("disk.full", f"the check of {culprit.name}: {result.detail}")
        if result.ending is Ending.STOPPED:  # somebody else's signal: says nothing about the ZIP, which is asked again
            return
        logs.get().error("child.crashed", stage="inspect", file=culprit.name, detail=result.detail)
        culprit.reader_kills += status == -SIGKILL
        if status == -SIGKILL and culprit.reader_kills < MAX_READER_KILLS:
            return
        issue = Issue.of("archive.reader_died", f"{culprit.name}: {result.detail}", files=[culprit.name])
        self._record(culprit, Inspection([issue], accepted=False))

    def _record(self, arrival: Arrival, inspection: Inspection) -> None:
        """Answers about a file that has changed since are dropped: it is another arrival now."""
        if self.inbox.arrivals.get(arrival.name) is arrival:
            arrival.inspection = inspection
            arrival.reason = "waits for a slot in the queue"

    # claims

    def reject(self, wall: datetime, conclude: Callable[[Job, list[Issue]], None]) -> None:
        """Claim what is plainly wrong, room or not, and hand it on to be answered."""
        for arrival in self.inbox.rejected():
            inspection = arrival.inspection
            if inspection is not None and (job := self._claim(arrival, wall)):
                conclude(job, inspection.issues)

    def admit(self, free_slots: int, free_bytes: int, wall: datetime) -> list[Job]:
        """Claim what fits into the queue and, decoded, onto the disk, first in order first.

        ``free_bytes``: those that nobody else is going to need. ``lacking_bytes`` tells what the next one lacks.
        """
        ready = self.inbox.ready()
        jobs = []
        self.lacking_bytes = 0
        for arrival in ready[: max(0, free_slots)]:
            free_bytes -= arrival.inspection.cache_bytes if arrival.inspection else 0
            if free_bytes < 0:
                self.lacking_bytes = -free_bytes
                self.inbox.hold(arrival, "waits for disk space")
                break
            jobs.append(self._claim(arrival, wall))
        is_full = len(ready) > free_slots
        if is_full and not self._was_full:
            logs.get().warning(
                "queue.full", capacity=self._settings.queue.capacity, waiting=len(ready) - max(0, free_slots)
            )
        self._was_full = is_full
        return [job for job in jobs if job is not None]

    def retry(self, job_id: str, wall: datetime) -> Job | None:
        """A new job with the input of an ended one; None if there is no such job. The control file is taken away."""
        job = claim.retry(self._store, job_id, wall)
        if job is not None:
            self.forget_retry(job_id)
        return job

    def forget_retry(self, job_id: str) -> None:
        durable.remove(self.inbox.folder / f"{job_id}{names.RETRY_SUFFIX}")

    def _claim(self, arrival: Arrival, wall: datetime) -> Job | None:
        if not os.access(self.inbox.folder / arrival.name, os.R_OK):
            self.inbox.postpone(arrival, "unreadable: the daemon's user may not read it")
            return None
        job = claim.claim(self._store, arrival, arrival.inspection.priority if arrival.inspection else 0, wall)
        self.inbox.forget(arrival)
        return job


def _answers(content: bytes) -> Iterator[dict[str, Any]]:
    """The clean beginning of what the child wrote."""
    for line in content.splitlines():
        try:
            yield json.loads(line)
        except ValueError:
            return


def _inspection(answer: dict[str, Any]) -> Inspection:
    issues = [Issue.from_json(issue) for issue in answer["issues"]]
    request = answer["request"]
    accepted = not has_fault(issues) and request is not None
    return Inspection(issues, accepted, request["priority"] if request else 0, answer["cache_bytes"])
