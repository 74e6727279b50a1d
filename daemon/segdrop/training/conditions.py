"""The conditions under which a run was computed, from its first step to its last, however often it was taken up again.

To the bit, weights depend on the number format, the number of threads, the processor, the version of torch and the
recipe. A run that goes on under other ones is not begun anew: hours would be lost for the last digits. But its result
says so, and which epochs were computed how. The number format alone is kept where that is possible: it is chosen once
for a run, also where it would be chosen otherwise by now.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal

import torch

from segdrop.answers import EnvironmentChange
from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.fingerprint import RECIPE_VERSION
from segdrop.modeling.calibration import Calibration, read
from segdrop.modeling.precision import Host, cpu_name

_UNITS = {"precision": "{}", "threads": "{} threads", "device": "on {}", "cpu": "{}", "torch": "torch {}"}
_UNITS |= {"recipe": "recipe {}"}


@dataclass(frozen=True, slots=True)
class Conditions:
    """Everything that the bits of a step depend on besides its request and data."""

    precision: Literal["fp32", "bf16"]
    threads: int
    device: str
    cpu: str
    torch: str
    recipe: int

    @classmethod
    def of(cls, host: Host) -> "Conditions":
        """Returns the conditions of this process."""
        version = str(torch.__version__)
        return cls(host.precision, host.threads, host.device.type, cpu_name(), version, RECIPE_VERSION)


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a run that was computed under the same conditions."""

    epoch: int  #: from 0: that of its first step
    step: int  #: from 0, of this epoch: its first
    conditions: Conditions | None  #: None: a version that did not record them (0.1)
    calibration: Calibration | None = None  #: why the number format was chosen

    def to_json(self) -> dict[str, Any]:
        """Returns the stretch as JSON values."""
        return asdict(self)

    def published(self) -> EnvironmentChange:
        """Returns the stretch for people: counted from 1, and its beginning alone where nothing else is known."""
        known = asdict(self.conditions) if self.conditions else {}
        return EnvironmentChange(from_epoch=self.epoch + 1, from_step=self.step + 1, **known)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Stretch":
        """Reads the values that :meth:`to_json` returned."""
        conditions = value["conditions"]
        known = Conditions(**conditions) if conditions else None
        return cls(value["epoch"], value["step"], known, read(value["calibration"] or {}))


def continued(before: list[Stretch], epoch: int, step: int, host: Host) -> list[Stretch]:
    """Returns the stretches of a run that goes on at a step, or begins there.

    A run that goes on without a stretch before was saved by a version that recorded none.
    """
    if not before and (epoch or step):
        before = [Stretch(0, 0, None)]
    now = Conditions.of(host)
    if before and before[-1].conditions == now:
        return before
    if before and (before[-1].epoch, before[-1].step) == (epoch, step):  # not one step was taken under those
        before = before[:-1]
    return [*before, Stretch(epoch, step, now, host.calibration)]


def is_one_recipe(stretches: list[Stretch]) -> bool:
    """Whether all of a run was computed by this version's recipe, as far as is known."""
    return all(one.conditions is not None and one.conditions.recipe == RECIPE_VERSION for one in stretches)


def deviations(stretches: list[Stretch]) -> list[Issue]:
    """Returns a note where a run was not computed under the same conditions throughout."""
    if len(stretches) < 2:  # noqa: PLR2004  (one stretch: nothing has changed)
        return []
    differing = _differing(stretches)
    parts = [f"from epoch {one.epoch + 1}, step {one.step + 1}: {_described(one, differing)}" for one in stretches]
    return [Issue.of(Code.TRAIN_RESUMED_DIFFERENTLY, "; ".join(parts))]


def _differing(stretches: list[Stretch]) -> list[str]:
    """Returns the conditions that changed on the way; where only unknown ones precede, the two that matter most."""
    known = [asdict(one.conditions) for one in stretches if one.conditions]
    return [key for key in _UNITS if len({each[key] for each in known}) > 1] or ["precision", "threads"]


def _described(stretch: Stretch, keys: list[str]) -> str:
    if stretch.conditions is None:
        return "not recorded, by an older version"
    values = asdict(stretch.conditions)
    return ", ".join(_UNITS[key].format(values[key]) for key in keys)
