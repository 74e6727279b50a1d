"""Planning: how long a run will take, before its first step; with a time budget, how long it is made."""

from segdrop import logs
from segdrop.modeling.measurements import Measurements
from segdrop.training.rehearsal import rehearse
from segdrop.training.run import Run
from segdrop.training.timing import speed


def make_plan(run: Run) -> None:
    """Finds out how fast this host is at a run, and says how long it will take."""
    pace, spec, progress = run.pace, run.spec, run.progress
    measurements, name = Measurements(spec.measurements_path), _speed_key(run)
    if pace.known is None:
        pace.known = speed.load(measurements, name, pace.workload.phases.distinct(run.plan.epochs))
    if pace.known is None:
        pace.known = rehearse(run)
        speed.store(measurements, name, pace.known)
    if progress.step == 0:
        fit_budget(run)
    left = pace.seconds_left(progress.epoch, progress.step) or 0.0
    progress.estimated_seconds = progress.estimated_seconds or run.seconds_spent + left
    run.reporter.tick()
    step_seconds = {f"stride_{name}": round(seconds, 4) for name, seconds in pace.known.step.items()}
    logs.get().info(
        "train.planned", epochs=run.plan.epochs, steps=run.steps, eta_seconds=round(left, 1), step_seconds=step_seconds
    )


def fit_budget(run: Run) -> None:
    """Makes the rest of a run as long as the rest of its time."""
    if (minutes := run.spec.request.time_budget_minutes) is not None:
        run.pace.fit(60 * minutes - run.seconds_spent, run.progress.epoch)


def remember_speed(run: Run) -> None:
    """Remembers the speed of a run for the next one like it."""
    if run.pace.speed:
        speed.store(Measurements(run.spec.measurements_path), _speed_key(run), run.pace.speed)


def _speed_key(run: Run) -> str:
    return speed.key(run.spec.request, run.recipe.name, run.model.frozen_stages, run.host)
