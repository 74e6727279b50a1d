"""A network of torch that predicts."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters.colours import colours_of
from segdrop.modeling.segmenters.preprocessing import Preprocessing
from segdrop.modeling.segmenters.protocol import Colour
from segdrop.request import ImageSize

#: Returns the logits (N, C, h, w) of an input (N, 3, H, W).
Compute = Callable[[Tensor], Tensor]


class NetworkSegmenter:
    """A network that predicts, on the host. It is a :class:`segdrop.modeling.segmenters.protocol.Segmenter`."""

    def __init__(self, compute: Compute, host: Host, preprocessing: Preprocessing, classes: tuple[str, ...]) -> None:
        self._compute = compute
        self._host = host
        self._preprocessing = preprocessing
        self._classes = classes

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by class id."""
        return self._classes

    @property
    def colours(self) -> tuple[Colour, ...] | None:
        """Colours of the classes, by class id; None where they have no official ones."""
        return colours_of(self._classes)

    @property
    def input_size(self) -> ImageSize | None:
        """The size to which images have to be scaled; None where any size will do."""
        return self._preprocessing.size

    @property
    def side_multiple(self) -> int:
        """Sides in pixels have to be multiples of it, where any size will do."""
        return self._preprocessing.side_multiple

    def logits(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Returns the logits (N, C, h, w) float32, on the host's device, of images (N, H, W, 3)."""
        pixels = self._host.place(self._preprocessing.tensor(images))
        with torch.inference_mode(), self._host.autocast():
            return self._compute(pixels).float()
