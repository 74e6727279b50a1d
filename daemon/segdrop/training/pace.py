"""The speed of a run as it goes on, and the time that is left of it."""

from collections import defaultdict
from dataclasses import dataclass, field, replace

from segdrop.training.phases import Phase
from segdrop.training.plan import Plan, Speed, Workload

#: the first step of a phase prepares the kernels; after so many more, this process's own are believed
_FEWEST_STEPS = 3


@dataclass(slots=True)
class _Mean:
    """Of all but the first."""

    count: int = 0
    total: float = 0.0

    @property
    def seconds(self) -> float:
        return self.total / (self.count - 1)


@dataclass(slots=True)
class Pace:
    """Begins with what was known before, and goes by the steps of this process as soon as there are some.

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
        """``None`` before anything is known."""
        if self.known is None:
            return None
        own = {name: mean.seconds for name, mean in self._steps.items() if mean.count > _FEWEST_STEPS}
        return Speed(
            {**self.known.step, **own},
            validation_image={**self.known.validation_image, **self._validation_image},
            epoch_end=self.known.epoch_end if self._epoch_end is None else self._epoch_end,
        )

    def step_done(self, epoch: int, seconds: float) -> None:
        """A step of ``epoch``, from 0, took so long."""
        mean = self._steps[self._phase(epoch).name]
        mean.count += 1
        mean.total += seconds if mean.count > 1 else 0.0

    def epoch_done(self, epoch: int, validation_seconds: float, other_seconds: float) -> None:
        """What came after the steps of ``epoch``, from 0, took so long; of one that was validated."""
        self._epoch_end = other_seconds
        if self.workload.validation_images:
            name = self._phase(epoch).validated.name
            self._validation_image[name] = validation_seconds / self.workload.validation_images

    def _phase(self, epoch: int) -> Phase:
        return self.workload.phases.phase(epoch, self.plan.epochs)

    def seconds_left(self, epoch: int, step: int) -> float | None:
        """When ``step`` of ``epoch`` comes next; ``None`` before anything is known."""
        return None if self.speed is None else self.workload.seconds(self.plan, self.speed, epoch, step)

    def fit(self, seconds_left: float, epochs_done: int) -> None:
        """Make the rest of the run as long as there is time. Epochs keep the length that they began with."""
        if self.speed is None:
            return
        fitted = self.workload.fitted(self.speed, seconds_left, epochs_done)
        self.plan = replace(self.plan, epochs=fitted.epochs) if epochs_done else fitted
