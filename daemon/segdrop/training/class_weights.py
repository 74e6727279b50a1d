"""How much each class counts in ``weighted_cross_entropy``: the rarer, the more, up to a cap."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from segdrop.dataset.cache import CacheReader

#: ENet (Paszke et al., arXiv 1606.02147, 5): weights between 1.4, for a class that is everywhere, and 50
_OFFSET = 1.02
#: classes of a few pixels would drown the others, and their noise in them
_CAP = 10.0


def class_weights(pixels: npt.NDArray[np.int64]) -> Tensor:
    """1 / ln(1.02 + share) of each class, at most 10: (C,) float32, of pixel counts (C,)."""
    shares = pixels / max(int(pixels.sum()), 1)
    return torch.from_numpy(np.minimum(1 / np.log(_OFFSET + shares), _CAP)).float()


def training_pixels(reader: CacheReader, num_classes: int, on_image: Callable[[], None]) -> npt.NDArray[np.int64]:
    """Labelled pixels of each class (C,) in the training split, at training size.

    ``on_image`` is called after each image and may raise. The check's counts are of the whole dataset.
    """
    counts = np.zeros(256, np.int64)  # IGNORE, the last, is cut off
    for position in reader.index.train:
        counts += np.bincount(reader.masks([position]).ravel(), minlength=len(counts))
        on_image()
    return counts[:num_classes]
