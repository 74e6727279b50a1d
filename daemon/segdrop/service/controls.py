"""What people ask for by control files in the inbox: a job cancelled, or tried again.

A control file that names nothing stays, and the status says so.
"""

from datetime import datetime
from functools import partial

from segdrop import logs
from segdrop.environment import Fault
from segdrop.intake.inbox import Inbox
from segdrop.intake.names import Order, Verb
from segdrop.service.admission import Admission
from segdrop.service.roster import Roster
from segdrop.service.slots import Slots
from segdrop.stages.conclude import cancel
from segdrop.stages.stage import Context


class Controls:
    """Obeys the control files that the last scan has seen."""

    def __init__(self, context: Context, inbox: Inbox, admission: Admission, roster: Roster, slots: Slots) -> None:
        """Takes the parts of the daemon that control files act on."""
        self._context = context
        self._inbox = inbox
        self._admission = admission
        self._roster = roster
        self._slots = slots

    def obey(self, now: float, wall: datetime) -> None:
        """Cancels and retries what control files name, and notes the requests that came too late for their jobs."""
        orders = self._inbox.orders
        self._admission.copies.keep([order.target for order in orders if order.verb is Verb.RETRY])
        for order in orders:
            if self._roster.delays.is_due(order.name, now):
                self._obey(order, now, wall)
            else:
                self._inbox.refuse(order, f"cannot be obeyed: {self._roster.delays.reason(order.name)}")
        self._note_late_requests(wall)

    def _note_late_requests(self, wall: datetime) -> None:
        store = self._context.store
        for job_id, issue in self._inbox.late:
            if (job := self._roster.jobs.get(job_id)) and not job.has_ended and issue not in job.issues:
                logs.get().warning("request.missed", job=job_id, **issue.to_json())
                noted = partial(store.transition, job, job.state, issues=(*job.issues, issue))
                self._roster.attempt(job, wall, noted)

    def _obey(self, order: Order, now: float, wall: datetime) -> None:
        """What refuses one order holds up that one alone, for longer each time."""
        try:
            match order.verb:
                case Verb.CANCEL:
                    self._cancel(order, now, wall)
                case Verb.RETRY:
                    self._retry(order, wall)
        except OSError as error:
            fault = Fault.of(error)
            self._put_off(order, now, fault.message)
            self._roster.raise_if_all(fault)

    def _put_off(self, order: Order, now: float, reason: str) -> None:
        self._roster.delays.put_off(order.name, now, reason)
        self._inbox.refuse(order, f"cannot be obeyed: {reason}")

    def _cancel(self, order: Order, now: float, wall: datetime) -> None:
        if (job := self._roster.jobs.get(order.target)) is None:
            self._inbox.refuse(order, "there is no such job at work")
            return
        if not self._inbox.take(order):
            return
        self._slots.kill(job.id)
        if not self._roster.attempt(job, wall, partial(cancel, self._context, job, wall)):
            self._put_off(order, now, self._roster.delays.reason(job.id))

    def _retry(self, order: Order, wall: datetime) -> None:
        layout, jobs = self._context.store.layout, self._roster.jobs
        kept = any((folder / order.target).is_dir() for folder in (layout.failed, layout.done))
        taken = any(job.retry_of == order.target for job in jobs.values())  # before a crash
        if not kept and not taken:
            self._inbox.refuse(order, "there is no such job in failed/ or done/")
        elif not self._inbox.take(order):
            return
        elif taken:
            self._admission.forget_retry(order.target)
        elif job := self._admission.retry(order.target, wall):
            jobs[job.id] = job
        else:
            copied = self._admission.copies.reason(order.target)
            self._inbox.refuse(order, copied or "its input is not in failed/ or done/ any more")
