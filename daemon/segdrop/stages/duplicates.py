"""Whether a job's question has its answer already: the result of an earlier job."""

from segdrop import pretrained
from segdrop.dataset.report import CheckReport
from segdrop.request import TrainRequest
from segdrop.spool.job import Job
from segdrop.stages import children
from segdrop.stages.stage import Context
from segdrop.weights_files import search_dirs


def earlier_result(context: Context, job: Job) -> str | None:
    """Returns the id of the job whose result answers this one's question, if there is one.

    Not where the weights have changed since the check: then the training finds out what they lead to now.
    """
    if job.fingerprint is None or (report := children.answer(CheckReport, context.store.files(job).report)) is None:
        return None
    if report.weights_state != _weights_state(report, context):
        return None
    return context.results.find(job.fingerprint)


def _weights_state(report: CheckReport, context: Context) -> str | None:
    """The mark of the weights that the request can lead to, as they are now; see ``CheckReport``."""
    if not isinstance(request := report.request, TrainRequest):
        return None
    dirs = search_dirs(context.store.layout.models)
    try:
        return pretrained.state(request.pretrained, request.architecture, dirs, context.earlier)
    except OSError:
        return None
