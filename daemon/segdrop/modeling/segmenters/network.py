"""A network of torch that predicts."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segdrop.modeling.precision import Host
from segdrop.modeling.segmenters.prepared import PreparedSegmenter
from segdrop.modeling.segmenters.preprocessing import Preprocessing

#: Returns the logits (N, C, h, w) of an input (N, 3, H, W).
Compute = Callable[[Tensor], Tensor]


class NetworkSegmenter(PreparedSegmenter):
    """A network that predicts, on the host. It is a :class:`segdrop.modeling.segmenters.protocol.Segmenter`."""

    def __init__(self, compute: Compute, host: Host, preprocessing: Preprocessing, classes: tuple[str, ...]) -> None:
        super().__init__(preprocessing, classes)
        self._compute = compute
        self._host = host

    def logits(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Returns the logits (N, C, h, w) float32, on the host's device, of images (N, H, W, 3)."""
        pixels = self._host.place(self._preprocessing.tensor(images))
        with torch.inference_mode(), self._host.autocast():
            return self._compute(pixels).float()
