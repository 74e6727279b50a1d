"""Freezing: stages of a pretrained encoder stay as they are, with less to compute and nothing of theirs to forget.

Their weights get no gradient, so that no features are kept for a backward pass through them, and their BatchNorm keeps
its statistics: ``frozen_stages`` of MMSegmentation (mmseg/models/backbones/resnet.py).
"""

from segdrop.codes import Code
from segdrop.errors import Issue
from segdrop.modeling.architectures import SegmentationModel
from segdrop.modeling.weights import Initialisation
from segdrop.request import TrainRequest


def freeze(model: SegmentationModel, request: TrainRequest, initialisation: Initialisation) -> None:
    """Freezes as many stages of the encoder as a request asks for; none with random weights, which know nothing yet."""
    if initialisation.is_pretrained:
        model.freeze(request.frozen_stages)


def refusals(request: TrainRequest, initialisation: Initialisation) -> list[Issue]:
    """Returns a warning where stages were to be frozen and are not."""
    if not request.frozen_stages or initialisation.is_pretrained:
        return []
    message = f"`frozen_stages` is {request.frozen_stages}, and the weights are random: all stages are trained"
    return [Issue.of(Code.WEIGHTS_NOT_FROZEN, message)]
