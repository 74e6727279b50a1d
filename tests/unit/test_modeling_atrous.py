"""Skipping dead taps is exact: same outputs, same gradients, same state_dict."""

import copy

import pytest
import torch
from torch import nn

from segdrop.modeling.kernels.atrous import LiveTapConv2d, skip_dead_taps


def _pair(rate: int) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    plain = nn.Conv2d(6, 5, 3, padding=rate, dilation=rate, bias=False).double()
    skipping = nn.Sequential(copy.deepcopy(plain))
    skip_dead_taps(skipping)
    return plain, skipping[0]


@pytest.mark.parametrize(("height", "width"), [(8, 8), (13, 13), (8, 40), (40, 8), (40, 40), (12, 12)])
@pytest.mark.parametrize("rate", [12, 24, 36])
def test_outputs_and_gradients_equal_those_of_the_plain_convolution(rate: int, height: int, width: int) -> None:
    plain, skipping = _pair(rate)
    assert isinstance(skipping, LiveTapConv2d)
    inputs = [torch.randn(2, 6, height, width, dtype=torch.float64).requires_grad_() for _ in range(1)] * 2
    outputs, gradients = [], []
    for conv, given in zip((plain, skipping), inputs, strict=True):
        given.grad = None
        output = conv(given)
        output.square().sum().backward()
        outputs.append(output.detach())
        gradients.append((given.grad.clone(), conv.weight.grad.clone()))
    torch.testing.assert_close(outputs[1], outputs[0])
    torch.testing.assert_close(gradients[1][0], gradients[0][0])
    torch.testing.assert_close(gradients[1][1], gradients[0][1])


def test_dead_taps_get_no_gradient() -> None:
    _, skipping = _pair(12)
    skipping(torch.randn(2, 6, 8, 8, dtype=torch.float64)).sum().backward()
    assert torch.count_nonzero(skipping.weight.grad) == torch.count_nonzero(skipping.weight.grad[:, :, 1, 1])


def test_other_convolutions_are_left_alone() -> None:
    module = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1), nn.Conv2d(3, 3, 1), nn.Conv2d(3, 3, 3, dilation=2), nn.Conv2d(3, 3, 5, padding=2)
    )
    skip_dead_taps(module)
    assert all(type(conv) is nn.Conv2d for conv in module)
