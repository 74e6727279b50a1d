"""A network of torch that predicts: made fast for inference without changing what it computes."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

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


def fold_batchnorm(network: nn.Module) -> None:
    """Folds every BatchNorm into the convolution before it, in place: one pass over the features fewer for each.

    A pair is a convolution and the BatchNorm that was defined right after it with as many channels, which is the order
    of computation in torchvision's networks; a test compares the outputs of every architecture of the catalog. The
    network has to be in evaluation mode, and cannot be trained afterwards. Method: ``torch.nn.utils.fusion``.
    """
    for parent in list(network.modules()):
        for (conv_name, conv), (norm_name, norm) in pairwise(list(parent.named_children())):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d) and _belong_together(conv, norm):
                setattr(parent, conv_name, fuse_conv_bn_eval(conv, norm))
                setattr(parent, norm_name, nn.Identity())


def _belong_together(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> bool:
    return norm.track_running_stats and norm.num_features == conv.out_channels


def prepare(network: nn.Module, host: Host) -> None:
    """Makes a convolutional network ready for inference on the host, in place.

    BatchNorm is folded in fp32. Then the weights of convolutions get the host's number format once, where autocast
    would convert them for every batch; the results are the same to the bit.
    """
    network.eval().requires_grad_(requires_grad=False)
    fold_batchnorm(network)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            module.to(host.dtype)
    network.to(device=host.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
