import pytest
import torch
from torch import nn

from builders.networks import TinyModel, tiny_network
from segdrop.training.transforms import regularization_strength


@pytest.mark.parametrize(("epochs", "strength"), [(3, 0.1), (15, 0.5), (30, 1.0), (300, 1.0)])
def test_strength_grows_with_the_epochs_to_the_full_one(epochs: int, strength: float) -> None:
    assert regularization_strength(epochs) == pytest.approx(strength)


def test_dropout_is_scaled_everywhere_and_nothing_else_changes() -> None:
    torch.manual_seed(0)
    network = tiny_network()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    TinyModel(network).scale_dropout(0.2)
    assert [layer.p for layer in network.modules() if isinstance(layer, nn.Dropout)] == pytest.approx([0.1, 0.1])
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
