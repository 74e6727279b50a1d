"""How long a run takes, and how long it is made: pure functions of measured speed.

A time budget changes the plan and not merely the end: the learning rate comes down within the steps that there are.
"""

from bisect import bisect_right
from collections import defaultdict
from dataclasses import dataclass, field, replace

from segdrop.training.timing.phases import Phase, Phases
from segdrop.training.timing.speed import Speed

#: the first step of a phase prepares the kernels; after so many more, this process's own are believed
_FEWEST_STEPS = 3


@dataclass(frozen=True, slots=True)
class Plan:
    """The length of a run: one step for each batch, but where not even one epoch fits the budget."""

    epochs: int
    steps: int


@dataclass(frozen=True, slots=True)
class Workload:
    """The work that a request and its dataset ask for."""

    plan: Plan
    phases: Phases
    validation_images: int
    test_images: int

    def seconds(self, plan: Plan, speed: Speed, epochs_done: int = 0, steps_done: int = 0) -> float:
        """Returns the seconds left of a run, with ``steps_done`` steps of the epoch after ``epochs_done`` done."""
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
        """Returns the plan of as many epochs as can be done in time, those that are over included.

        It has at least one: if less than one fits, one with fewer steps.
        """
        possible = range(epochs_done + 1, self.plan.epochs + 1)
        plans = [Plan(epochs, self.plan.steps) for epochs in possible]
        fitting = bisect_right(plans, seconds_left, key=lambda plan: self.seconds(plan, speed, epochs_done))
        if fitting or epochs_done:
            return Plan(epochs_done + fitting, self.plan.steps)
        idle, step = self.seconds(Plan(1, 0), speed), speed.step[self.phases.phase(0, 1).name]
        return Plan(1, max(1, min(self.plan.steps, int((seconds_left - idle) / step))))


@dataclass(slots=True)
class _Mean:
    """The mean of all values but the first."""

    count: int = 0
    total: float = 0.0

    @property
    def seconds(self) -> float:
        return self.total / (self.count - 1)


@dataclass(slots=True)
class Pace:
    """The plan and the speed of a run as it goes on, and the time that is left of it.

    It begins with the speed that was known before, and goes by the steps of this process as soon as there are some.
    Those of a process before it, which a resumed run has, count no more: the machine may be another, or busier.
    """

    workload: Workload
    plan: Plan
    known: Speed | None = None
    _steps: dict[str, _Mean] = field(default_factory=lambda: defaultdict(_Mean))
    _validation_image: dict[str, float] = field(default_factory=dict)
    _epoch_end: float | None = None

    @property
    def speed(self) -> Speed | None:
        """The speed as far as it is known by now; None before anything is known."""
        if self.known is None:
            return None
        own = {name: mean.seconds for name, mean in self._steps.items() if mean.count > _FEWEST_STEPS}
        return Speed(
            {**self.known.step, **own},
            validation_image={**self.known.validation_image, **self._validation_image},
            epoch_end=self.known.epoch_end if self._epoch_end is None else self._epoch_end,
        )

    def step_done(self, epoch: int, seconds: float) -> None:
        """Takes note of the seconds of a step of ``epoch``, from 0."""
        mean = self._steps[self._phase(epoch).name]
        mean.count += 1
        mean.total += seconds if mean.count > 1 else 0.0

    def epoch_done(self, epoch: int, validation_seconds: float, other_seconds: float) -> None:
        """Takes note of the seconds that came after the steps of ``epoch``, from 0, which was validated."""
        self._epoch_end = other_seconds
        if self.workload.validation_images:
            name = self._phase(epoch).validated.name
            self._validation_image[name] = validation_seconds / self.workload.validation_images

    def _phase(self, epoch: int) -> Phase:
        return self.workload.phases.phase(epoch, self.plan.epochs)

    def seconds_left(self, epoch: int, step: int) -> float | None:
        """Returns the seconds that are left when ``step`` of ``epoch`` comes next; None before anything is known."""
        return None if self.speed is None else self.workload.seconds(self.plan, self.speed, epoch, step)

    def fit(self, seconds_left: float, epochs_done: int) -> None:
        """Makes the rest of the run as long as there is time. Epochs keep the length that they began with."""
        if self.speed is None:
            return
        fitted = self.workload.fitted(self.speed, seconds_left, epochs_done)
        self.plan = replace(self.plan, epochs=fitted.epochs) if epochs_done else fitted
