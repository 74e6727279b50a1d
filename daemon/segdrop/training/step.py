"""One step of training: forward, loss, backward, update."""

import math

from segdrop.codes import Code
from segdrop.errors import DataError, Issue
from segdrop.training.data import Batch
from segdrop.training.optim import recipes
from segdrop.training.run import Run


def train_step(run: Run, batch: Batch) -> float:
    """Takes the step that comes next, and returns its loss.

    Raises ``DataError`` where the loss or a gradient is not finite, which then changes no weight.
    """
    run.data.seed_step(run.progress.epoch, run.progress.step)
    loss = update(run, batch, run.learning_rate(run.steps_done))
    if run.average:
        run.average.update(run.model, run.steps_done)
    return loss


def update(run: Run, batch: Batch, learning_rate: float) -> float:
    """Changes the weights by one batch, and returns its loss. Raises as :func:`train_step` does."""
    name = f"epoch {run.progress.epoch + 1}, step {run.progress.step + 1}"
    recipes.set_learning_rate(run.optimizer, learning_rate)
    images, masks = run.host.place(batch.images), run.host.place(batch.masks)
    with run.host.autocast():
        loss = run.model.loss(images, masks, run.criterion)
    value = float(loss.detach())
    require_finite(value, f"the loss of {name}")
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = recipes.clip_gradients(run.optimizer, run.recipe.max_gradient_norm)
    require_finite(norm, f"the norm of the gradients of {name}")
    run.optimizer.step()
    return value


def require_finite(value: float, name: str) -> None:
    """Raises ``DataError`` (``train.not_finite``) for a number that is infinite or none."""
    if not math.isfinite(value):
        raise DataError([Issue.of(Code.TRAIN_NOT_FINITE, f"{name} is {value}")])
