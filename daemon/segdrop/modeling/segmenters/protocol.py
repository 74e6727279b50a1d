"""What the predictor needs of a model, whatever it was made with: ours, Hugging Face's, ONNX's or torchvision's."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
from torch import Tensor

from segdrop.errors import Issue
from segdrop.request import ImageSize


class Segmenter(Protocol):
    """A model that is ready to predict: on its device, in its number format, in evaluation mode."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, by class id."""

    @property
    def input_size(self) -> ImageSize | None:
        """The size to which images are scaled, whatever their shape, as in training; None where any size will do."""

    @property
    def side_multiple(self) -> int:
        """Sides in pixels have to be multiples of it, where any size will do."""

    @property
    def scales_images(self) -> bool:
        """Whether it scales images of any size itself, as in training: a whole image is seen as objects were then."""

    def logits(self, images: npt.NDArray[np.uint8]) -> Tensor:
        """Returns the logits (N, C, h, w) float32 of images (N, H, W, 3), as small as the model computes them.

        Softmax over C gives the probability of each class.
        """


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model that is ready to predict, and what the record of the job says about it."""

    segmenter: Segmenter
    sha256: str
    issues: tuple[Issue, ...] = ()  #: what had to be assumed (``model.assumed``)
