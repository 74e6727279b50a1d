"""The question that a run answers, and whether an earlier run has answered it already. No torch.

Weights may come, go and be exchanged while a job waits: what its check found out about them is looked at again.
"""

from contextlib import suppress

from segdrop import fingerprint, pretrained
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.pretrained import Sender, Start
from segdrop.spec import TrainingSpec
from segdrop.spool.kept_models import KeptModels


def fingerprint_of(spec: TrainingSpec, start: str | None) -> str:
    """Returns the fingerprint of a run. ``start`` tells what it starts from, see :func:`segdrop.fingerprint.of`."""
    request = spec.question.model_dump(mode="json")
    return fingerprint.of(spec.metadata.input_sha256, request, start)


def start_of(spec: TrainingSpec) -> Start:
    """Returns what a run that begins now starts from: here ``previous`` becomes a job. Raises as ``resolve`` does."""
    request, earlier = spec.request, KeptModels.at(spec.outbox_dir, spec.done_dir)
    sender = Sender(spec.metadata.input_name, spec.owner)
    return pretrained.resolve(request.pretrained, request.architecture, earlier, sender)


def new_start(spec: TrainingSpec) -> Start | None:
    """Returns what a run starts from that has yet to begin; ``None`` for one that has a checkpoint to go on from.

    Raises ``DataError``: what :func:`start_of` does, and ``job.duplicate``, naming the earlier job, where the run has
    its result already.
    """
    if spec.checkpoint_path.exists():
        return None
    start = start_of(spec)
    refuse_what_is_answered(spec, start)
    return start


def refuse_what_is_answered(spec: TrainingSpec, start: Start) -> None:
    """Raises ``DataError`` (``job.duplicate``, naming the earlier job) where a run from this start has a result."""
    if not spec.answered:
        return
    with suppress(OSError):  # weights that cannot be read: whoever loads them says so
        identity = start.identity(spec.question.architecture, spec.weights_dirs)
        if earlier := spec.answered.get(fingerprint_of(spec, identity)):
            message = f"the same input and request already has a result: {earlier}"
            raise DataError([Issue.of(Code.JOB_DUPLICATE, message, files=[earlier])])
