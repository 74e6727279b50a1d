"""The run: for each epoch train, validate, save; at the end, write the model."""

import time
from collections.abc import Mapping
from typing import Any

from segdrop import durable, logs
from segdrop.child import StopFlag
from segdrop.dataset.cache import CacheReader
from segdrop.errors import CorruptError, Issue, StoppedError
from segdrop.spec import TrainingSpec
from segdrop.training import checkpoint, freezing, result, sanity
from segdrop.training.batchnorm import train_mode
from segdrop.training.checkpoint import Best
from segdrop.training.planning import fit_budget, make_plan, remember_speed
from segdrop.training.run import Run, build
from segdrop.training.step import require_finite, train_step
from segdrop.training.transforms import scaled
from segdrop.training.validation import candidate, estimate_statistics, evaluate

#: of an epoch that is not validated
_UNKNOWN = {"loss": None, "mean_iou": None, "pixel_accuracy": None}
#: Within an epoch too, so that a power cut costs no more than this much work.
CHECKPOINT_SECONDS = 600.0


def train(spec: TrainingSpec, stop: StopFlag) -> None:
    """Run a spec from its last checkpoint, or from the start, to the result.

    ``StoppedError`` when asked to stop, after a checkpoint was saved; ``DataError`` where the loss is not finite.
    """
    started = time.monotonic()
    with CacheReader(spec.cache_dir) as reader:
        if sanity.is_asked(spec.request):
            spec = sanity.simplify(spec, reader)
        run = build(spec, stop, reader)
        make_plan(run)
        first_step_seconds = time.monotonic() - started
        try:
            while not is_over(run):
                train_one_epoch(run)
                finish_epoch(run)
        except StoppedError:
            run.save()
            raise
        conclude(run, first_step_seconds)


def train_one_epoch(run: Run) -> None:
    """From the step that comes next to the last of the epoch."""
    progress = run.progress
    phase = run.phase
    run.model.set_output_stride(phase.output_stride)
    train_mode(run.model, keeps_backbone=run.keeps_statistics)
    started = time.monotonic()
    for batch in run.data.batches(progress.epoch, progress.step, run.plan.steps, phase.scale):
        run.leave_if_asked()
        loss = train_step(run, batch)
        images, seconds = len(batch.images), time.monotonic() - started
        progress.step += 1
        progress.loss_sum += loss * images
        progress.image_count += images
        progress.epoch_seconds += seconds
        run.reporter.step_finished(progress.epoch, progress.step, loss, images, seconds)
        if time.monotonic() - run.saved_at > CHECKPOINT_SECONDS:
            run.save()
        started = time.monotonic()


def finish_epoch(run: Run) -> None:
    """Validate where that is due, and save."""
    progress, ended, is_validated = run.progress, time.monotonic(), run.is_validation_due
    validation_seconds = 0.0
    if is_validated:
        validation_seconds = validate_epoch(run)
    else:
        record_epoch(run, _UNKNOWN)
    progress.train_seconds += progress.epoch_seconds
    progress.trained_images += progress.image_count
    progress.epoch, progress.step = progress.epoch + 1, 0
    progress.loss_sum, progress.image_count, progress.epoch_seconds = 0.0, 0, 0.0
    run.save()
    if is_validated:
        run.pace.epoch_done(progress.epoch - 1, validation_seconds, time.monotonic() - ended - validation_seconds)
    fit_budget(run)
    run.reporter.position(progress.epoch, progress.step)


def validate_epoch(run: Run) -> float:
    """Keep what is best; the seconds that the validation itself took."""
    epoch, stride = run.progress.epoch + 1, run.phase.output_stride
    estimate_statistics(run)
    started = time.monotonic()
    measured = evaluate(run, run.reader.index.val, stride)
    seconds = time.monotonic() - started
    require_finite(measured["loss"], f"the validation loss of epoch {epoch}")
    record_epoch(run, measured)
    weights = {key: value.cpu() for key, value in candidate(run).network.state_dict().items()}
    keep_weights(run, Best(epoch, measured, weights, stride))
    return seconds


def keep_weights(run: Run, weights: Best) -> None:
    """Of an epoch, where every one's are asked for; and as the best so far.

    Of equals the later one is best, which has trained longer at a lower rate. Weights of equals are not averaged:
    equal to the last digit are models that predict one class, or make no mistake. For averages there is ``ema``.
    """
    if run.spec.request.keep_checkpoints:
        durable.ensure_dir(run.spec.checkpoints_dir)
        path = checkpoint.kept_path(run.spec, weights.epoch)
        result.write_model(path, run.spec, weights, weights.metrics | {"epoch": weights.epoch}, run.host)
    mean_iou = weights.metrics["mean_iou"]
    if run.best_mean_iou is None or mean_iou >= run.best_mean_iou:
        run.best_mean_iou = run.reporter.best_mean_iou = mean_iou
        checkpoint.save_best(run.spec, weights)


def is_over(run: Run) -> bool:
    """All epochs are done, or as many as ``early_stopping_patience`` brought nothing better: equal is not better."""
    history = run.progress.history
    scores = {row["epoch"]: row["mean_iou"] for row in history if row["mean_iou"] is not None}
    if sanity.is_asked(run.spec.request) and scores and max(scores.values()) >= sanity.TARGET_MEAN_IOU:
        return True
    patience = run.spec.request.early_stopping_patience
    if patience and scores and max(scores) - max(scores, key=scores.__getitem__) >= patience:
        return True
    return run.progress.epoch >= run.plan.epochs


def record_epoch(run: Run, measured: Mapping[str, Any]) -> None:
    """A row of the history, and the log line; None stands for what is not known."""
    progress, index = run.progress, run.reader.index
    row = {
        "epoch": progress.epoch + 1,
        "output_stride": run.phase.output_stride,
        "image_size": "{}x{}".format(*scaled((index.height, index.width), run.phase.scale)),
        "loss": progress.loss_sum / progress.image_count,
        "val_loss": measured["loss"],
        "mean_iou": measured["mean_iou"],
        "pixel_accuracy": measured["pixel_accuracy"],
        "learning_rate": run.learning_rate(run.steps_done - 1),
        "seconds": round(progress.epoch_seconds, 3),
        "images_per_second": round(progress.image_count / max(progress.epoch_seconds, 1e-9), 3),
    }
    progress.history.append(row)
    logs.get().info("epoch.finished", epochs=run.plan.epochs, **row)


def conclude(run: Run, first_step_seconds: float) -> None:
    """The best weights, tested once on the test split, become the model; the result file is written last."""
    spec, index = run.spec, run.reader.index
    remember_speed(run)
    best = checkpoint.load_best(spec)
    if best is None:
        raise CorruptError(f"{checkpoint.best_path(spec)} is not there any more")
    issues = (*run.initialisation.issues, *freezing.refusals(spec.request, run.initialisation))
    if sanity.is_asked(spec.request):
        issues = (*issues, sanity.judge(run.reader, run.steps_done, run.progress.history, best.metrics))
    measured = best.metrics | {
        "best_epoch": best.epoch,
        "output_stride": best.output_stride,
        "epochs": run.progress.epoch,
        "planned_epochs": run.plan.epochs,
        "steps": run.steps_done,
        "initialisation": run.initialisation.description,
        "initialisation_sha256": run.initialisation.sha256,
        "counts": {"train": len(set(index.train)), "val": len(index.val), "test": len(index.test)},
        "optimizer": run.recipe.name,
        "seed": spec.request.seed,
        "input_sha256": spec.metadata.get("input_sha256"),
    }
    if index.test:
        candidate(run).network.load_state_dict(best.state_dict)
        measured["test"] = evaluate(run, index.test, best.output_stride)
    result.write_model(spec.model_path, spec, best, measured, run.host)
    result.write_history(spec, run.progress.history)
    run.progress.seconds_spent = run.seconds_spent
    result.write_result(
        spec,
        metrics=measured,
        progress=run.progress,
        host=run.host,
        first_step_seconds=first_step_seconds,
        issues=[*issues, *_one_class_warning(measured)],
    )


def _one_class_warning(measured: dict[str, Any]) -> list[Issue]:
    """A model that gives every validation pixel the same class has learnt nothing, however good it scores."""
    predicted = measured["predicted_classes"]
    if len(predicted) > 1 or len(measured["per_class"]) == 1:
        return []
    return [Issue.of("train.one_class", f"every validation pixel is predicted as {', '.join(predicted)}")]
