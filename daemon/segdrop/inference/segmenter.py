"""The protocol of a model that predicts, where the predictor looks for it; it is that of :mod:`segdrop.modeling`."""

from segdrop.modeling.segmenters.protocol import Segmenter

__all__ = ["Segmenter"]
