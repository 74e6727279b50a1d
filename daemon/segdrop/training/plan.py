"""How long a run takes, and how long it is made: pure functions of measured speed.

A time budget changes the plan and not merely the end: the learning rate comes down within the steps that there are.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass

from segdrop.training.phases import Phases


@dataclass(frozen=True, slots=True)
class Speed:
    """What this host needs for a run like this one, in seconds; by the names of phases."""

    step: Mapping[str, float]  #: of training
    validation_image: Mapping[str, float]
    epoch_end: float  #: besides the validation: statistics are estimated, weights saved


@dataclass(frozen=True, slots=True)
class Plan:
    """``steps`` in each of ``epochs`` epochs: one for each batch, but where not even one epoch fits the budget."""

    epochs: int
    steps: int


@dataclass(frozen=True, slots=True)
class Workload:
    """What the request and the dataset ask for."""

    plan: Plan
    phases: Phases
    validation_images: int
    test_images: int

    def seconds(self, plan: Plan, speed: Speed, epochs_done: int = 0, steps_done: int = 0) -> float:
        """Until the end of the run, when ``steps_done`` steps of the epoch after ``epochs_done`` are done."""
        seconds = sum(self._epoch_seconds(plan, speed, epoch) for epoch in range(epochs_done, plan.epochs))
        if epochs_done < plan.epochs:
            seconds -= steps_done * speed.step[self.phases.phase(epochs_done, plan.epochs).name]
        last = self.phases.phase(plan.epochs - 1, plan.epochs)
        return seconds + self.test_images * speed.validation_image[last.validated.name]

    def _epoch_seconds(self, plan: Plan, speed: Speed, epoch: int) -> float:
        phase = self.phases.phase(epoch, plan.epochs)
        images = self.validation_images if self.phases.is_validated(epoch, plan.epochs) else 0
        validation = images * speed.validation_image[phase.validated.name]
        return plan.steps * speed.step[phase.name] + validation + speed.epoch_end

    def fitted(self, speed: Speed, seconds_left: float, epochs_done: int = 0) -> Plan:
        """As many of the epochs as can be done in time, those that are over included.

        At least one: if less than one fits, one with fewer steps.
        """
        possible = range(epochs_done + 1, self.plan.epochs + 1)
        plans = [Plan(epochs, self.plan.steps) for epochs in possible]
        fitting = bisect_right(plans, seconds_left, key=lambda plan: self.seconds(plan, speed, epochs_done))
        if fitting or epochs_done:
            return Plan(epochs_done + fitting, self.plan.steps)
        idle, step = self.seconds(Plan(1, 0), speed), speed.step[self.phases.phase(0, 1).name]
        return Plan(1, max(1, min(self.plan.steps, int((seconds_left - idle) / step))))
