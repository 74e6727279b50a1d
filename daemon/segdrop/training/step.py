"""One step of training: forward, loss, backward, update."""

import math

from segdrop.errors import DataError, Issue
from segdrop.training import optim
from segdrop.training.data import Batch
from segdrop.training.run import Run


def train_step(run: Run, batch: Batch) -> float:
    """The step that comes next; its loss. A loss or gradient that is not finite changes no weight: ``DataError``."""
    run.data.seed_step(run.progress.epoch, run.progress.step)
    loss = update(run, batch, run.learning_rate(run.steps_done))
    if run.average:
        run.average.update(run.model.network, run.steps_done)
    return loss


def update(run: Run, batch: Batch, learning_rate: float) -> float:
    """Change the weights by one batch."""
    name = f"epoch {run.progress.epoch + 1}, step {run.progress.step + 1}"
    optim.set_learning_rate(run.optimizer, learning_rate)
    images, masks = run.host.place(batch.images), run.host.place(batch.masks)
    with run.host.autocast():
        logits, auxiliary_logits = run.model.forward_heads(images)
    loss = run.criterion(logits, auxiliary_logits, masks)
    value = float(loss.detach())
    require_finite(value, f"the loss of {name}")
    run.optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = optim.clip_gradients(run.optimizer, run.recipe.max_gradient_norm)
    require_finite(norm, f"the norm of the gradients of {name}")
    run.optimizer.step()
    return value


def require_finite(value: float, name: str) -> None:
    if not math.isfinite(value):
        raise DataError([Issue.of("train.not_finite", f"{name} is {value}")])
