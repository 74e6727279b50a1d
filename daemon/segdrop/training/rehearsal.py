"""How fast this host is at a run, found before the run by some of its own steps, at a learning rate of 0.

They change no weight, and what else they leave is put back: the run is to the bit what it would have been.
"""

import statistics
import time

import torch

from segdrop import durable
from segdrop.modeling.batchnorm import train_mode
from segdrop.training import checkpoint, evaluation
from segdrop.training.data import Batch
from segdrop.training.run import Run
from segdrop.training.step import update
from segdrop.training.timing.phases import Phase
from segdrop.training.timing.speed import Speed
from segdrop.training.validation import statistics_images

#: the first step also prepares the kernels; of a slow one that is little
_SLOW_SECONDS = 5.0
_ENOUGH_SECONDS = 4.0
_MOST_STEPS = 5
#: an image among many, beside one that is validated by itself
_STATISTICS_COST = 0.5
_VALIDATION_IMAGES = 3
#: of the weights: in the checkpoint, and the best ones; besides those are what the optimizer remembers, and averages
_COPIES_SAVED = 2


def rehearse(run: Run) -> Speed:
    """Returns the speed of a run that has not begun, by some seconds of its work, more for large images."""
    buffers = [(buffer, buffer.clone()) for buffer in run.model.buffers()]
    phases = run.pace.workload.phases.distinct(run.plan.epochs)
    steps = {phase.name: _step_seconds(run, phase) for phase in phases}
    validated = dict.fromkeys(phase.validated for phase in phases)
    validation = {phase.name: _validation_seconds(run, phase.output_stride) for phase in validated}
    epoch_end = _saving_seconds(run) + statistics_images(run) * _STATISTICS_COST * min(validation.values())
    run.optimizer.zero_grad(set_to_none=True)
    run.optimizer.state.clear()
    with torch.no_grad():
        for buffer, before in buffers:
            buffer.copy_(before)
    return Speed(steps, validation, epoch_end)


def _step_seconds(run: Run, phase: Phase) -> float:
    run.model.set_output_stride(phase.output_stride)
    train_mode(run.model, keeps_statistics=run.keeps_statistics)
    times: list[float] = []
    started = time.monotonic()
    for batch in run.data.batches(epoch=0, scale=phase.scale):
        run.leave_if_asked()
        times.append(_timed_update(run, batch, started))
        slow = times[0] > _SLOW_SECONDS
        if slow or len(times) == _MOST_STEPS or sum(times[1:]) > _ENOUGH_SECONDS:
            break
        started = time.monotonic()
    return statistics.median(times[1:] or times)


def _timed_update(run: Run, batch: Batch, started: float) -> float:
    update(run, batch, learning_rate=0.0)
    return time.monotonic() - started


def _validation_seconds(run: Run, stride: int) -> float:
    """Returns the seconds that one image takes; the first one prepares the kernels."""
    positions = run.reader.index.val[:_VALIDATION_IMAGES]
    run.model.set_output_stride(stride)
    times = []
    for position in positions:
        started = time.monotonic()
        evaluation.evaluate(run.model, run.host, run.reader, [position], len(run.spec.classes), run.leave_if_asked)
        times.append(time.monotonic() - started)
    return min(times, default=0.0)


def _saving_seconds(run: Run) -> float:
    """Returns the seconds that saving takes after an epoch, estimated from a part of it."""
    path = run.spec.checkpoint_path.with_name("rehearsal.pth")
    weights = run.model.network.state_dict()
    started = time.monotonic()
    checkpoint.write_tensors(path, weights)
    seconds = time.monotonic() - started
    durable.remove(path)
    return seconds * (_COPIES_SAVED + run.recipe.moments + bool(run.average))
