"""The question that a run answers, and whether an earlier run has answered it already. No torch.

Weights may come, go and be exchanged while a job waits: what its check found out about them is looked at again.
"""

from contextlib import suppress

from segdrop import fingerprint, weights_files
from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.spec import TrainingSpec


def fingerprint_of(spec: TrainingSpec, weights_sha256: str | None) -> str:
    """Returns the fingerprint of a run that starts from the weights with this hash, or from random ones (None)."""
    request = spec.question.model_dump(mode="json")
    return fingerprint.of(spec.metadata.input_sha256, request, weights_sha256)


def refuse_what_is_answered(spec: TrainingSpec) -> None:
    """Raises ``DataError`` (``job.duplicate``, naming the earlier job) where a run yet to begin has a result."""
    if not spec.answered or spec.checkpoint_path.exists():
        return
    request = spec.question
    with suppress(OSError):  # weights that cannot be read: whoever loads them says so
        digest = weights_files.resolve(request.pretrained, request.architecture, spec.weights_dirs)
        if earlier := spec.answered.get(fingerprint_of(spec, digest)):
            message = f"the same input and request already has a result: {earlier}"
            raise DataError([Issue.of(Code.JOB_DUPLICATE, message, files=[earlier])])
