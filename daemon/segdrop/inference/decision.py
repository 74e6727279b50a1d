"""The decision about each pixel: logits of windows, as small as a model computes them, into classes at full resolution.

All planes of class probabilities of a photograph would fill the memory (24 megapixels and 150 classes: 14 GB), so they
are made for a band of rows at a time: a few megabytes, which stay in the processor's cache. Measured, that takes half
the time of one class after the other over the whole image, and a fifth of that of all of them at once.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from segdrop.inference.tiling import Stretch

#: Size of a band's planes. Of 256 KiB, 1 MiB and 4 MiB, the last was fastest for 12, 21 and 150 classes.
_BAND_BYTES = 4 << 20
_FLOAT_BYTES = 4


@dataclass(frozen=True, slots=True)
class Views:
    """What a model says about a window: of itself, and maybe of its mirror image, turned back."""

    logits: tuple[Tensor, ...]  # (C, rows that are kept, w) float32
    num_rows: int  #: of the logits, of which some may have been dropped
    first_row: int  #: that is kept
    height: int  #: of the window in the image's pixels
    width: int

    @classmethod
    def of(cls, logits: Sequence[Tensor], height: int, width: int) -> Self:
        """Returns the views of a window of a height and width in pixels; ``logits`` are (C, h, w) float32 each."""
        return cls(tuple(logits), logits[0].shape[1], 0, height, width)

    def only(self, begin: int, end: int) -> Self:
        """Returns copies of what the rows of pixels from ``begin`` to before ``end`` need."""
        lower, upper, _ = self._sources(begin, end)
        logits = tuple(view[:, int(lower[0]) : int(upper[-1]) + 1].clone() for view in self.logits)
        return replace(self, logits=logits, first_row=self.first_row + int(lower[0]))

    def band(self, begin: int, end: int, columns: slice) -> list[Tensor]:
        """Returns the logits (C, end - begin, width of the columns) of a band of pixels, of each view.

        They are those of torch's bilinear interpolation (without aligned corners) of all rows, up to the last bit.
        """
        lower, upper, share = self._sources(begin, end)
        first, last = int(lower[0]), int(upper[-1])
        wide = [self._widened(view[:, first : last + 1])[:, :, columns] for view in self.logits]
        if self.num_rows == self.height:
            return [view[:, : end - begin] for view in wide]
        return [torch.addcmul(view[:, upper - first] * share, view[:, lower - first], 1 - share) for view in wide]

    def _widened(self, rows: Tensor) -> Tensor:
        """Returns logits (C, rows, w) as (C, rows, width)."""
        if rows.shape[2] == self.width:
            return rows
        size = (rows.shape[1], self.width)
        return functional.interpolate(rows[None], size=size, mode="bilinear", align_corners=False)[0]

    def _sources(self, begin: int, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """Returns for rows of pixels the two rows of the kept logits that each lies between, and the second's share.

        Pixels are areas: their centres are at halves (``area_pixel_compute_source_index`` in ATen's UpSample.h). A
        float32 times a number of pixels is exact in float64, and rounded once, as a fused multiply-add does it.
        """
        scale = torch.tensor(self.num_rows / self.height, dtype=torch.float32).double()
        centres = torch.arange(begin, end, dtype=torch.float64) + 0.5
        source = (centres * scale - 0.5).float().clamp_(min=0)
        lower = source.long().clamp_(max=self.num_rows - 1)
        upper = (lower + 1).clamp_(max=self.num_rows - 1)
        return lower - self.first_row, upper - self.first_row, (source - lower)[:, None]


@dataclass(frozen=True, slots=True)
class Say:
    """A window that decides about pixels, alone or with others."""

    views: Views
    top: int  #: of the window in the image, in pixels
    left: int
    row_weights: npt.NDArray[np.float32] | None  # (rows of the stretch,); None: one
    column_weights: npt.NDArray[np.float32] | None


class Decision:
    """What is decided about an image, part by part."""

    def __init__(self, height: int, width: int, num_classes: int) -> None:
        self.class_ids = np.zeros((height, width), np.uint16)
        self.confidence = np.zeros((height, width), np.uint8)
        self._entropy = 0.0
        self._quarters = torch.zeros(2, 2, num_classes, dtype=torch.float64)

    @property
    def doubt(self) -> float:
        """The mean over all pixels of the entropy of the class probabilities: 0 certain, 1 every class alike."""
        most = math.log(max(2, self._quarters.shape[2]))
        return min(1.0, max(0.0, self._entropy / (self.class_ids.size * most)))

    @property
    def quarters(self) -> npt.NDArray[np.float64]:
        """The mean class probabilities (2, 2, C) of the image's quarters; zeros of one that has no pixels."""
        pixels = self._quarters.sum(2, keepdim=True).clamp(min=1)
        means: npt.NDArray[np.float64] = (self._quarters / pixels).numpy()
        return means

    def decide(self, rows: Stretch, columns: Stretch, says: Sequence[Say]) -> None:
        """Decides about the pixels of a part of the image, from all that windows say about it.

        What they say, and a window's views, are weighted as probabilities and not as logits. Logits have no common
        scale: the mean of them lets one view that is very sure overrule another, while the mean of probabilities is
        the probability that one of them, taken by chance, gives; where they disagree, it is as uncertain as it should
        be, which the order of review goes by (Lakshminarayanan et al., "Simple and Scalable Predictive Uncertainty
        Estimation using Deep Ensembles", 2017, arXiv 1612.01474, 2.4).
        """
        num_classes, width = self._quarters.shape[2], columns.end - columns.begin
        step = max(1, _BAND_BYTES // (num_classes * width * _FLOAT_BYTES))
        for begin in range(rows.begin, rows.end, step):
            end = min(begin + step, rows.end)
            if len(says) == 1 and len(says[0].views.logits) == 1:
                logits = _bands(says[0], begin, end, columns)[0]
                peak, class_ids, probabilities, entropy = _of_one(logits)
            else:
                peak, class_ids, probabilities, entropy = _of_several(says, begin, end, rows, columns)
            part = np.s_[begin:end, columns.begin : columns.end]
            self.class_ids[part] = class_ids.numpy()
            self.confidence[part] = peak.mul(255).add_(0.5).to(torch.uint8).numpy()
            self._entropy += entropy
            self._add_to_quarters(probabilities, begin, columns.begin)

    def _add_to_quarters(self, probabilities: Tensor, top: int, left: int) -> None:
        """Adds up probabilities (C, rows, columns) by the halves of the image that the pixels are in."""
        middle = [max(0, side // 2 - first) for side, first in zip(self.class_ids.shape, (top, left), strict=True)]
        for lower, rows in enumerate((slice(None, middle[0]), slice(middle[0], None))):
            for right, columns in enumerate((slice(None, middle[1]), slice(middle[1], None))):
                self._quarters[lower, right] += probabilities[:, rows, columns].sum((1, 2))


def _bands(say: Say, begin: int, end: int, columns: Stretch) -> list[Tensor]:
    """Returns a window's logits of rows of the image's pixels from ``begin`` to before ``end``, and of some columns."""
    within = slice(columns.begin - say.left, columns.end - say.left)
    return say.views.band(begin - say.top, end - say.top, within)


def _of_one(logits: Tensor) -> tuple[Tensor, Tensor, Tensor, float]:
    """Returns the highest probability, its class (rows, columns), all probabilities (C, rows, columns), and entropies.

    The class is that of the highest logit, the first one of several, as predict.py decides; rounded to probabilities,
    neighbouring logits can be equal. The entropies are summed up over the pixels, in nats.
    """
    highest, class_ids = logits.max(0)
    below = logits - highest
    probabilities = below.exp()
    total = probabilities.sum(0)
    probabilities /= total
    entropy = total.log().sum() - torch.dot(probabilities.flatten(), below.flatten())
    return total.reciprocal(), class_ids, probabilities, float(entropy)


def _of_several(
    says: Sequence[Say], begin: int, end: int, rows: Stretch, columns: Stretch
) -> tuple[Tensor, Tensor, Tensor, float]:
    """Returns the same as :func:`_of_one`, of the weighted mean of probabilities."""
    mean: Tensor | None = None
    for say in says:
        bands = _bands(say, begin, end, columns)
        weight = _weight(say, begin - rows.begin, end - rows.begin) / len(bands)
        for logits in bands:
            part = logits.softmax(0).mul_(weight)
            mean = part if mean is None else mean.add_(part)
    if mean is None:
        raise ValueError("some window has to decide")
    peak, class_ids = mean.max(0)
    return peak, class_ids, mean, float(torch.special.entr(mean).sum())


def _weight(say: Say, begin: int, end: int) -> Tensor:
    """Returns the weight of a window: something that (rows, columns) can be multiplied by."""
    weight = torch.ones(1, 1)
    if say.row_weights is not None:
        weight = weight * torch.from_numpy(say.row_weights[begin:end])[:, None]
    if say.column_weights is not None:
        weight = weight * torch.from_numpy(say.column_weights)
    return weight
