"""How each epoch is trained, and whether it is validated: coarsely first, finely at last.

What a network learns first needs neither fine features nor large images, and costs a fraction without them. The weights
stay the same: stride and dilation are attributes of the convolutions.
"""

from dataclasses import dataclass
from typing import Literal, NamedTuple

from segdrop.request import Request

#: Of the epochs, the first ones, which ``output_stride: auto`` trains at 16, as DeepLab does (arXiv 1706.05587, 4). On
#: CamVid, 10 epochs, one seed, 0.6 gave a mean IoU of 0.511 and 0.8 of 0.494 at 128 pixels; at 256 pixels 0.6 gave
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
    """How an epoch is trained. It is validated at the same output stride, and at full size."""

    output_stride: int
    scale: float = 1.0  #: of the images' sides

    @property
    def name(self) -> str:
        """For files and the log."""
        return f"{self.output_stride}" if self.scale == 1 else f"{self.output_stride}@{self.scale:g}"

    @property
    def validated(self) -> "Phase":
        """What its validation is like."""
        return Phase(self.output_stride)


@dataclass(frozen=True, slots=True)
class Phases:
    """Shares of a run's epochs, each counted from the first one."""

    coarse: float = 0.0  #: at an output stride of 16, the others at 8
    small: float = 0.0  #: on smaller images
    validate_every: int | Literal["auto"] = 1

    def phase(self, epoch: int, epochs: int) -> Phase:
        """Of ``epoch``, 0 to epochs - 1."""
        stride = 16 if epoch < int(self.coarse * epochs) else 8
        return Phase(stride, SMALL_SCALE if epoch < int(self.small * epochs) else 1.0)

    def distinct(self, epochs: int) -> list[Phase]:
        """Each one once, in their order."""
        return list(dict.fromkeys(self.phase(epoch, epochs) for epoch in range(epochs)))

    def is_validated(self, epoch: int, epochs: int) -> bool:
        """The first epoch and the last always are."""
        return epoch in (0, epochs - 1) or (epoch + 1) % self._interval(epoch, epochs) == 0

    def _interval(self, epoch: int, epochs: int) -> int:
        if self.validate_every != "auto":
            return self.validate_every
        return _COARSE_INTERVAL if self.phase(epoch, epochs) != self.phase(epochs - 1, epochs) else 1


def requested(request: Request) -> Phases:
    """Where any epoch may be the last one, and where each one's weights are kept, each is validated."""
    coarse = COARSE_SHARE if request.output_stride == "auto" else float(request.output_stride == 16)  # noqa: PLR2004
    is_regular = request.time_budget_minutes is None and not request.keep_checkpoints
    return Phases(
        coarse=coarse,
        small=SMALL_SHARE if request.progressive_size else 0.0,
        validate_every=request.validate_every if is_regular else 1,
    )
