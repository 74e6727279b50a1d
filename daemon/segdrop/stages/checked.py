"""What the check of a job has found, for the stages that follow it."""

from typing import TypeVar

from segdrop.dataset.report import CheckReport
from segdrop.errors import CorruptError
from segdrop.request import Request
from segdrop.spool.job import Job
from segdrop.stages.stage import Context

Kind = TypeVar("Kind", bound=Request)


def checked(context: Context, job: Job, kind: type[Kind]) -> tuple[CheckReport, Kind]:
    """Returns the check's report and the request in it; CorruptError where there is none of this kind."""
    path = context.store.files(job).report
    try:
        report = CheckReport.load(path)
    except ValueError as error:
        raise CorruptError(f"{path.name} cannot be understood") from error
    if not isinstance(report.request, kind):
        raise CorruptError(f"{path.name} has no request to {job.task}")
    return report, report.request
