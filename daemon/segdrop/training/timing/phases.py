"""How each epoch is trained, and whether it is validated: coarsely first, finely at last.

The first things that a network learns need neither fine features nor large images, and cost a fraction without them.
The weights stay the same: a model can switch between its output strides.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from segdrop import architectures
from segdrop.request import TrainRequest

#: Of the epochs, the first ones, which ``output_stride: auto`` trains coarsely, as DeepLab does (arXiv 1706.05587, 4).
#: On CamVid, 10 epochs, one seed, 0.6 gave a mean IoU of 0.511 and 0.8 of 0.494 at 128 pixels; at 256 pixels 0.6 gave
#: 0.604, and so did 8 throughout.
COARSE_SHARE = 0.6
#: Of the epochs, the first ones, which ``progressive_size`` trains on smaller images: progressive resizing, Howard,
#: "Training Imagenet in 3 hours for USD 25" (fast.ai, 2018)
SMALL_SHARE = 0.3
#: of their sides
SMALL_SCALE = 0.75
#: Epochs from one validation to the next, where they are trained otherwise than the last ones: hardly ever is one of
#: those the best.
_COARSE_INTERVAL = 3


class Phase(NamedTuple):
    """Tells how an epoch is trained. It is validated at the same output stride, and at full size."""

    output_stride: int
    scale: float = 1.0  #: of the images' sides

    @property
    def name(self) -> str:
        """The name of the phase in files and in the log."""
        return f"{self.output_stride}" if self.scale == 1 else f"{self.output_stride}@{self.scale:g}"

    @property
    def validated(self) -> "Phase":
        """The phase that its validation is like."""
        return Phase(self.output_stride)


@dataclass(frozen=True, slots=True)
class Phases:
    """The phases of a run: shares of its epochs, each counted from the first one."""

    coarse: float = 0.0  #: at the coarse output stride, the others at the fine one
    small: float = 0.0  #: on smaller images
    validate_every: int | Literal["auto"] = 1
    fine_stride: int = 8
    coarse_stride: int = 16

    def phase(self, epoch: int, epochs: int) -> Phase:
        """Returns the phase of ``epoch``, 0 to epochs - 1."""
        stride = self.coarse_stride if epoch < int(self.coarse * epochs) else self.fine_stride
        return Phase(stride, SMALL_SCALE if epoch < int(self.small * epochs) else 1.0)

    def distinct(self, epochs: int) -> list[Phase]:
        """Returns each phase once, in their order."""
        return list(dict.fromkeys(self.phase(epoch, epochs) for epoch in range(epochs)))

    def is_validated(self, epoch: int, epochs: int) -> bool:
        """Whether ``epoch``, 0 to epochs - 1, is validated: the first and the last always are."""
        return epoch in (0, epochs - 1) or (epoch + 1) % self._interval(epoch, epochs) == 0

    def _interval(self, epoch: int, epochs: int) -> int:
        if self.validate_every != "auto":
            return self.validate_every
        return _COARSE_INTERVAL if self.phase(epoch, epochs) != self.phase(epochs - 1, epochs) else 1


def requested(request: TrainRequest) -> Phases:
    """Returns the phases that a request asks for, with the output strides of its architecture.

    Each epoch is validated where any one may be the last, and where the weights of each are kept.
    """
    fine, *coarser = architectures.ARCHITECTURES[request.architecture].output_strides
    coarse = COARSE_SHARE if request.output_stride == "auto" else float(request.output_stride in coarser)
    is_regular = request.time_budget_minutes is None and not request.keep_checkpoints
    return Phases(
        coarse=coarse if coarser else 0.0,
        small=SMALL_SHARE if request.progressive_size else 0.0,
        validate_every=request.validate_every if is_regular else 1,
        fine_stride=fine,
        coarse_stride=coarser[-1] if coarser else fine,
    )
