"""How long a run takes, and how long it is made: pure functions of measured speed.

A time budget changes the plan and not merely the end: the learning rate comes down within the steps that there are.
"""

from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from segdrop.training.schedule import is_validated, output_stride


@dataclass(frozen=True, slots=True)
class Speed:
    """What this host needs for a run like this one, in seconds."""

    step: Mapping[int, float]  #: of training, by output stride
    validation_image: Mapping[int, float]  #: by output stride
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
    coarse_share: float  #: of the epochs, at an output stride of 16
    validation_images: int
    test_images: int
    validate_every: int | Literal["auto"] = 1

    def strides(self) -> list[int]:
        """The output strides that are trained at, in the order of the epochs."""
        epochs = self.plan.epochs
        return list(dict.fromkeys(output_stride(self.coarse_share, epoch, epochs) for epoch in (0, epochs - 1)))

    def seconds(self, plan: Plan, speed: Speed, epochs_done: int = 0, steps_done: int = 0) -> float:
        """Until the end of the run, when ``steps_done`` steps of the epoch after ``epochs_done`` are done."""
        seconds = sum(self._epoch_seconds(plan, speed, epoch) for epoch in range(epochs_done, plan.epochs))
        if epochs_done < plan.epochs:
            seconds -= steps_done * speed.step[output_stride(self.coarse_share, epochs_done, plan.epochs)]
        last = output_stride(self.coarse_share, plan.epochs - 1, plan.epochs)
        return seconds + self.test_images * speed.validation_image[last]

    def _epoch_seconds(self, plan: Plan, speed: Speed, epoch: int) -> float:
        stride = output_stride(self.coarse_share, epoch, plan.epochs)
        images = self.validation_images if self.is_validated(epoch, plan.epochs) else 0
        return plan.steps * speed.step[stride] + images * speed.validation_image[stride] + speed.epoch_end

    def is_validated(self, epoch: int, epochs: int) -> bool:
        return is_validated(self.validate_every, self.coarse_share, epoch, epochs)

    def fitted(self, speed: Speed, seconds_left: float, epochs_done: int = 0) -> Plan:
        """As many of the epochs as can be done in time, those that are over included.

        At least one: if less than one fits, one with fewer steps.
        """
        possible = range(epochs_done + 1, self.plan.epochs + 1)
        plans = [Plan(epochs, self.plan.steps) for epochs in possible]
        fitting = bisect_right(plans, seconds_left, key=lambda plan: self.seconds(plan, speed, epochs_done))
        if fitting or epochs_done:
            return Plan(epochs_done + fitting, self.plan.steps)
        stride = output_stride(self.coarse_share, 0, 1)
        idle = self.seconds(Plan(1, 0), speed)
        return Plan(1, max(1, min(self.plan.steps, int((seconds_left - idle) / speed.step[stride]))))
