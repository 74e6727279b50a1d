"""The run: for each epoch train, validate, save; at the end, write the model."""

import time
from collections.abc import Mapping
from typing import Any

from segdrop import architectures, durable, logs
from segdrop.child_runtime import StopFlag
from segdrop.codes import Code
from segdrop.dataset.cache import CacheReader
from segdrop.errors import CorruptError, Issue, StoppedError
from segdrop.modeling import freezing
from segdrop.modeling.batchnorm import train_mode
from segdrop.modeling.weights import Initialisation
from segdrop.pretrained import Start, model_identity
from segdrop.spec import TrainingSpec
from segdrop.training import checkpoint, conditions, result, sanity
from segdrop.training.checkpoint import Best
from segdrop.training.planning import fit_budget, make_plan, remember_speed
from segdrop.training.question import fingerprint_of
from segdrop.training.run import Run, build
from segdrop.training.step import require_finite, train_step
from segdrop.training.transforms import scaled
from segdrop.training.validation import candidate, estimate_statistics, evaluate

#: of an epoch that is not validated
_UNKNOWN = {"loss": None, "mean_iou": None, "pixel_accuracy": None}
#: Within an epoch too, so that a power cut costs no more than this much work.
CHECKPOINT_SECONDS = 600.0


def train(spec: TrainingSpec, stop: StopFlag, start: Start | None = None) -> None:
    """Runs a spec from its last checkpoint, or from the start, to the result.

    ``start`` is what a run that begins starts from; without it, that is found out here.

    Raises ``StoppedError`` when asked to stop, after saving a checkpoint, and ``DataError`` where a loss is not finite
    or the start is not there.
    """
    started = time.monotonic()
    with CacheReader(spec.cache_dir) as reader:
        if sanity.is_asked(spec.request):
            spec = sanity.simplify(spec, reader)
        run = build(spec, stop, reader, start)
        checkpoint.require_room(spec.checkpoint_path, run.checkpoint_bytes)
        if is_start_due(run):
            validate_start(run)
        make_plan(run)
        checkpoint.require_room(spec.checkpoint_path, run.result_bytes)
        first_step_seconds = time.monotonic() - started
        try:
            while not is_over(run):
                train_one_epoch(run)
                finish_epoch(run)
        except StoppedError:
            run.save()
            raise
        conclude(run, first_step_seconds)


def is_start_due(run: Run) -> bool:
    """Whether an earlier model has yet to be validated as it is; not in a run on one image, which asks another thing.

    A run is asked before its first step alone, so that one that a version without epoch 0 has begun stays as it is.
    """
    is_begun = run.progress.start is not None or run.steps_done > 0
    return run.initialisation.is_warm and not is_begun and not sanity.is_asked(run.spec.request)


def validate_start(run: Run) -> None:
    """Validates the earlier model before the first step, as epoch 0, and saves.

    It is validated as it was delivered: with its own statistics of BatchNorm, at the output stride of its own.
    """
    strides = architectures.ARCHITECTURES[run.spec.request.architecture].output_strides
    stride = run.initialisation.output_stride
    stride = stride if stride in strides else strides[0]
    measured = evaluate(run, run.reader.index.val, stride)
    require_finite(measured["loss"], "the validation loss of the start")
    run.progress.start = measured
    run.progress.history.append(_start_row(run, measured, stride))
    logs.get().info("start.validated", earlier_job=run.initialisation.job, mean_iou=measured["mean_iou"])
    run.save()


def train_one_epoch(run: Run) -> None:
    """Trains from the step that comes next to the last one of the epoch."""
    progress = run.progress
    phase = run.phase
    run.model.set_output_stride(phase.output_stride)
    train_mode(run.model, keeps_statistics=run.keeps_statistics)
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
    """Ends an epoch: validates where that is due, and saves."""
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
    """Validates the model and keeps its weights if they are the best; returns the seconds of the validation itself."""
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
    """Keeps the weights of an epoch where every one's are asked for, and as the best so far if they are.

    Of equals the later one is best, which has trained longer at a lower rate. Weights of equals are not averaged:
    equal to the last digit are models that predict one class, or make no mistake. For averages there is ``ema``.
    """
    if run.spec.request.keep_checkpoints:
        durable.ensure_dir(run.spec.checkpoints_dir)
        path = checkpoint.kept_path(run.spec, weights.epoch)
        result.write_model(
            path, run.spec, weights, weights.metrics | {"epoch": weights.epoch}, run.host, run.reader.index.deep_range
        )
    mean_iou = weights.metrics["mean_iou"]
    if run.best_mean_iou is None or mean_iou >= run.best_mean_iou:
        run.best_mean_iou = run.reporter.best_mean_iou = mean_iou
        checkpoint.save_best(run.spec, weights)


def is_over(run: Run) -> bool:
    """Whether all epochs are done, or the patience of early stopping is at its end: equal is not better."""
    history = run.progress.history
    scores = {row["epoch"]: row["mean_iou"] for row in history if row["mean_iou"] is not None}
    if sanity.is_asked(run.spec.request) and scores and max(scores.values()) >= sanity.TARGET_MEAN_IOU:
        return True
    patience = run.spec.request.early_stopping_patience
    if patience and scores and max(scores) - max(scores, key=scores.__getitem__) >= patience:
        return True
    return run.progress.epoch >= run.plan.epochs


def record_epoch(run: Run, measured: Mapping[str, Any]) -> None:
    """Adds a row to the history and logs it; ``measured`` has None for what is not known."""
    progress = run.progress
    row = {
        "epoch": progress.epoch + 1,
        "output_stride": run.phase.output_stride,
        "image_size": "{}x{}".format(*scaled(run.spec.request.image_size, run.phase.scale, run.data.limits)),
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


def _start_row(run: Run, measured: Mapping[str, Any], stride: int) -> dict[str, Any]:
    """Returns the row of epoch 0, in which nothing was trained."""
    known = {
        "epoch": 0,
        "output_stride": stride,
        "image_size": "{}x{}".format(*run.spec.request.image_size),
        "val_loss": measured["loss"],
        "mean_iou": measured["mean_iou"],
        "pixel_accuracy": measured["pixel_accuracy"],
        "seconds": 0.0,
    }
    return dict.fromkeys(result.HISTORY_COLUMNS) | known


def conclude(run: Run, first_step_seconds: float) -> None:
    """Tests the best weights once on the test split and writes them as the model; the result file is written last."""
    spec, index = run.spec, run.reader.index
    remember_speed(run)
    best = checkpoint.load_best(spec)
    if best is None:
        raise CorruptError(f"{checkpoint.best_path(spec)} is not there any more")
    issues = (
        *run.initialisation.issues,
        *freezing.refusals(spec.request, run.initialisation),
        *conditions.deviations(run.stretches),
        *_no_better_than_start(run, best),
    )
    if sanity.is_asked(spec.request):
        issues = (
            *issues,
            sanity.judge(run.reader, spec.request.image_size, run.steps_done, run.progress.history, best.metrics),
        )
    measured = best.metrics | {
        "best_epoch": best.epoch,
        "output_stride": best.output_stride,
        "epochs": run.progress.epoch,
        "planned_epochs": run.plan.epochs,
        "steps": run.steps_done,
        "initialisation": run.initialisation.description,
        "initialisation_file": run.initialisation.file_name,
        "initialisation_sha256": run.initialisation.sha256,
        **_warm_start(run),
        "counts": {"train": len(set(index.train)), "val": len(index.val), "test": len(index.test)},
        "optimizer": run.recipe.name,
        "seed": spec.request.seed,
        "input_sha256": spec.metadata.input_sha256,
    }
    if index.test:
        candidate(run).network.load_state_dict(best.state_dict)
        measured["test"] = evaluate(run, index.test, best.output_stride)
    result.write_model(spec.model_path, spec, best, measured, run.host, run.reader.index.deep_range)
    result.write_history(spec, run.progress.history)
    run.progress.seconds_spent = run.seconds_spent
    result.write_result(
        spec,
        metrics=measured,
        progress=run.progress,
        host=run.host,
        first_step_seconds=first_step_seconds,
        provenance=_provenance(run, [*issues, *_one_class_warning(measured)]),
    )


def _warm_start(run: Run) -> dict[str, Any]:
    """Returns the metrics of a start from an earlier model; nothing for any other."""
    known = {"initialisation_job": run.initialisation.job, "start": run.progress.start}
    return {key: value for key, value in known.items() if value is not None}


def _no_better_than_start(run: Run, best: Best) -> list[Issue]:
    """Returns a warning where no epoch was better than the earlier model: equal is not better."""
    start = run.progress.start
    if start is None or best.metrics["mean_iou"] > start["mean_iou"]:
        return []
    message = (
        f"the model of job {run.initialisation.job} has a mean IoU of {start['mean_iou']:.4f} on these validation "
        f"images; the best epoch, {best.epoch}, which is delivered, has {best.metrics['mean_iou']:.4f}"
    )
    return [Issue.of(Code.TRAIN_NO_BETTER_THAN_START, message)]


def _provenance(run: Run, issues: list[Issue]) -> result.Provenance:
    """Returns the provenance of a run: with no fingerprint, so that it answers no later job, if recipes may mix."""
    is_known = conditions.is_one_recipe(run.stretches)
    return result.Provenance(
        request=run.spec.request,
        fingerprint=fingerprint_of(run.spec, _identity(run.initialisation)) if is_known else None,
        stretches=run.stretches,
        peak_rss_bytes=run.peak_rss_bytes,
        issues=issues,
    )


def _identity(initialisation: Initialisation) -> str | None:
    """Returns what tells a start from any other, as ``pretrained.Start.identity`` does before the run."""
    if initialisation.is_warm and initialisation.sha256:
        return model_identity(initialisation.sha256)
    return initialisation.sha256


def _one_class_warning(measured: dict[str, Any]) -> list[Issue]:
    """Returns a warning where every validation pixel gets the same class: nothing was learnt, whatever the score."""
    predicted = measured["predicted_classes"]
    if len(predicted) > 1 or len(measured["per_class"]) == 1:
        return []
    return [Issue.of(Code.TRAIN_ONE_CLASS, f"every validation pixel is predicted as {', '.join(predicted)}")]
