"""The protocol of an architecture: all that the rest of the code asks of a model, whatever its submodules are called.

A family is a module of this folder with a function ``build(architecture, num_classes) -> SegmentationModel`` that
returns a model with random weights, and a row of ``segdrop.architectures``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, cast

from torch import Tensor, nn
from torch.nn import functional

#: Takes logits (N, C, h, w), which may be smaller than the masks, and masks (N, H, W) int64; returns their loss.
Criterion = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, slots=True)
class ForeignWeights:
    """A state_dict from elsewhere, as a model of some family can take it."""

    part: str  #: for people: the part of the model that it holds, such as "model" or "backbone"
    tensors: Mapping[str, Tensor]  #: by the names that the network has for them
    required: frozenset[str]  #: names without which, or with other shapes, it is another architecture's


class SegmentationModel(nn.Module, ABC):
    """A network of one family, and what the rest of the code asks of it.

    ``network`` is the library's own module: its state_dict is what is saved, and loads strictly there.
    """

    #: weight of each head's loss, in the order of :meth:`forward_heads`
    HEAD_WEIGHTS: ClassVar[tuple[float, ...]] = (1.0,)

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.frozen_stages = 0

    @property
    @abstractmethod
    def encoder(self) -> nn.Module:
        """The part that turns images into features.

        Pretrained, it learns slower than the rest, and its norms keep their statistics where batches are tiny.
        """

    @property
    @abstractmethod
    def heads(self) -> nn.Module:
        """The part that turns features into logits: all parameters that the encoder does not have, in their order."""

    @property
    @abstractmethod
    def stages(self) -> Sequence[Sequence[nn.Module]]:
        """The modules of the encoder by stage, in the order of the forward pass. The first ones can be frozen."""

    @property
    @abstractmethod
    def class_tensors(self) -> frozenset[str]:
        """Names of the network's tensors that have a row for each class: those of the layers that give the logits."""

    @abstractmethod
    def set_output_stride(self, stride: int) -> None:
        """Switches to one of the ``output_strides`` of the catalog, which changes no weight."""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Returns the logits of the classes, (N, C, H, W) float32, of images (N, 3, H, W) float32."""

    @abstractmethod
    def forward_heads(self, images: Tensor) -> tuple[Tensor, ...]:
        """Returns the logits of each head, the main one first: (N, C, h, w) float32, as small as they are computed."""

    def class_logits(self, images: Tensor) -> Tensor:
        """Returns the logits of the main head alone, (N, C, h, w) float32, as small as they are computed."""
        return self.forward_heads(images)[0]

    @abstractmethod
    def read_weights(self, given: Mapping[str, Tensor]) -> ForeignWeights:
        """Maps a state_dict from elsewhere to the names of the network, and says which of them it cannot do without.

        Layers that depend on the classes are never required: a model for other classes cannot share them.
        """

    def loss(self, images: Tensor, masks: Tensor, criterion: Criterion) -> Tensor:
        """Returns the loss of a batch: of each head, times its weight. ``images`` (N, 3, H, W), ``masks`` (N, H, W)."""
        weighted = zip(self.forward_heads(images), self.HEAD_WEIGHTS, strict=True)
        first, *others = (weight * criterion(logits, masks) for logits, weight in weighted)
        return sum(others, start=first)

    def freeze(self, stages: int) -> None:
        """Stops training the first stages of the encoder; 0 freezes none."""
        self.frozen_stages = stages
        for module in self.frozen:
            module.requires_grad_(requires_grad=False)

    @property
    def frozen(self) -> list[nn.Module]:
        """The modules that are not trained."""
        return [module for stage in self.stages[: self.frozen_stages] for module in stage]

    @staticmethod
    def decays(parameter: nn.Parameter) -> bool:
        """Whether weight decay applies to a parameter: not to norms and biases, which have one dimension."""
        return parameter.ndim > 1

    @staticmethod
    def matrices(part: nn.Module) -> Iterator[nn.Parameter]:
        """Yields the trained weights that an optimizer may take as matrices, output channels (O) by inputs.

        These are the convolutions (O, I, H, W) that a norm follows, which therefore have no bias.
        """
        for layer in part.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is None and layer.groups == 1:
                weight = cast("nn.Parameter", layer.weight)
                if weight.requires_grad:
                    yield weight

    def scale_dropout(self, share: float) -> None:
        """Leaves a share (0 to 1) of the architecture's own dropout."""
        for layer in self.network.modules():
            if isinstance(layer, nn.Dropout):
                layer.p *= share


def upsampled(logits: Tensor, size: Sequence[int]) -> Tensor:
    """Returns logits (N, C, h, w) as (N, C, H, W), ``size`` being (H, W), interpolated as torchvision does it."""
    return functional.interpolate(logits, size=tuple(size), mode="bilinear", align_corners=False)
