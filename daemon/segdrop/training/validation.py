"""Validation of the model that would be delivered, with the statistics of its BatchNorm made ready for it."""

from typing import Any

from segdrop.modeling import metrics
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.batchnorm import reestimate_statistics
from segdrop.training import evaluation, sanity
from segdrop.training.run import Run

#: after so many steps, BatchNorm's running averages (momentum 0.1) follow closely enough by themselves
_SHORT_RUN_STEPS = 200
#: enough for means of activations over many pixels, and little beside an epoch
_STATISTICS_IMAGES = 64


def estimate_statistics(run: Run) -> None:
    """Estimates BatchNorm's statistics for the validation that comes next; does nothing in long runs."""
    if not statistics_images(run):
        return
    sample = run.data.sample(limit=statistics_images(run))
    model = candidate(run)
    model.set_output_stride(run.phase.output_stride)
    reestimate_statistics(model, run.host, sample, run.leave_if_asked, keeps_statistics=run.keeps_statistics)


def candidate(run: Run) -> SegmentationModel:
    """Returns the model that is validated and delivered: the average, where there is one."""
    return run.average.model if run.average else run.model


def statistics_images(run: Run) -> int:
    """Returns from how many training images statistics are estimated after the steps done so far, or 0."""
    if sanity.is_asked(run.spec.request):
        return 0  # one image says nothing
    return min(_STATISTICS_IMAGES, len(run.reader.index.train)) if run.steps_done < _SHORT_RUN_STEPS else 0


def evaluate(run: Run, positions: list[int], output_stride: int) -> dict[str, Any]:
    """Returns all metrics of a split, at training size and precision, with its mean ``loss``."""
    num_classes, model = len(run.spec.classes), candidate(run)
    model.set_output_stride(output_stride)
    measured = evaluation.evaluate(model, run.host, run.reader, positions, num_classes, run.leave_if_asked)
    return metrics.summarize(measured.matrix, run.spec.classes) | {"loss": measured.loss}
