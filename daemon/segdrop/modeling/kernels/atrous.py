"""Atrous (dilated) convolution that skips the taps which see only padding, in the forward and the backward pass.

A tap whose offset is at least as large as the feature map reads nothing but zeros: it adds nothing to the output,
and its weight gets no gradient. On small inputs that is most of ASPP: at 96 pixels (12 x 12 features), all three of
its 3 x 3 convolutions, rates 12, 24 and 36, are 1 x 1. Leaving such taps out is the same function with the same
parameters.

Of the taps that are left, each sees only a part of the map. oneDNN knows that in its forward pass and in the
gradient of the input, but not in the gradient of the weights, which it computes as if padding were features. There,
one matrix product for each tap over the window that it sees does less: see ``_pays``.
In training only: see ``LiveTapConv2d.forward``.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

_Pair = tuple[int, int]


class LiveTapConv2d(nn.Conv2d):
    """A 3 x 3 convolution with padding equal to its dilation, on any feature size; drop-in for ``nn.Conv2d``."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (nn.Conv2d's own name)
        """Returns features (N, C, H, W) as (N, C', H, W)."""
        if not self.training or input.device.type != "cpu":
            # the same sums in another order round differently in bf16: what is measured has to be what predict.py
            # and torchvision's own model give, and the forward pass gains least. On GPUs nothing was measured
            return super().forward(input)
        weight, rate = self.weight, (int(self.dilation[0]), int(self.dilation[1]))
        reach = list(rate)
        for axis, offset in enumerate(rate):
            if offset >= input.shape[2 + axis]:
                weight = weight.narrow(2 + axis, 1, 1)
                reach[axis] = 0
        if self.bias is not None or not _pays(rate, (input.shape[2], input.shape[3])):
            return functional.conv2d(input, weight, self.bias, padding=reach, dilation=rate)
        if torch.is_autocast_enabled("cpu"):
            # what autocast would do to a convolution, which it does not see inside a Function
            dtype = torch.get_autocast_dtype("cpu")
            return _convolved(input.to(dtype), weight.to(dtype), (reach[0], reach[1]), rate)
        return _convolved(input, weight, (reach[0], reach[1]), rate)


def _convolved(features: Tensor, weight: Tensor, padding: _Pair, rate: _Pair) -> Tensor:
    output: Tensor = _LiveTaps.apply(features, weight, padding, rate)  # type: ignore[no-untyped-call]
    return output


def _pays(rate: _Pair, size: _Pair) -> bool:
    """Whether a product for each tap is faster than oneDNN's gradient of the weights.

    Measured for 2048 to 256 channels, batch 8, bf16 and fp32, on 16 x 16, 32 x 32 and 64 x 64 features: from 3 to 20
    times as fast where the windows of the outer taps are small, slower where they are nearly the whole map.
    """
    return all(3 * offset > side for offset, side in zip(rate, size, strict=True))


class _LiveTaps(torch.autograd.Function):
    """``conv2d`` of stride 1 without bias, ``padding`` equal to the reach of the outer taps (0 where they are gone)."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor, padding: _Pair, rate: _Pair) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(features, weight)
        ctx.padding, ctx.rate = padding, rate
        return functional.conv2d(features, weight, padding=padding, dilation=rate)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:  # noqa: ANN401
        features, weight = ctx.saved_tensors
        grad_features = grad_weight = None
        if ctx.needs_input_grad[0]:
            wanted = (True, False, False)
            shape = ([1, 1], ctx.padding, ctx.rate)
            grad_features, _, _ = torch.ops.aten.convolution_backward(
                grad,
                features,
                weight,
                None,
                *shape,
                transposed=False,
                output_padding=[0, 0],
                groups=1,
                output_mask=wanted,
            )
        if ctx.needs_input_grad[1]:
            grad_weight = weight_gradient(features, grad, ctx.rate, (weight.shape[2], weight.shape[3]))
        return grad_features, grad_weight, None, None


def weight_gradient(features: Tensor, grad: Tensor, rate: _Pair, taps: _Pair) -> Tensor:
    """Returns the gradient of the weights, (C', C, *taps): products of inputs and output gradients, summed by tap.

    ``features`` (N, C, H, W), ``grad`` (N, C', H, W); ``taps`` are 1 or 3 in each direction, the middle one in place.
    """
    by_pixel, grad_by_pixel = features.permute(0, 2, 3, 1), grad.permute(0, 2, 3, 1)
    height, width = features.shape[2], features.shape[3]
    gradient = torch.empty(
        (grad.shape[1], features.shape[1], *taps), dtype=features.dtype, memory_format=torch.channels_last
    )
    for row in range(taps[0]):
        down = (row - taps[0] // 2) * rate[0]
        for column in range(taps[1]):
            right = (column - taps[1] // 2) * rate[1]
            seen = by_pixel[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)]
            became = grad_by_pixel[:, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)]
            products = became.reshape(-1, grad.shape[1]).T @ seen.reshape(-1, features.shape[1])
            gradient[:, :, row, column] = products
    return gradient


def skip_dead_taps(module: nn.Module) -> None:
    """Lets every 3 x 3 atrous convolution in ``module`` of stride 1 and same-size output skip its dead taps."""
    for child in module.modules():
        if type(child) is nn.Conv2d and _is_atrous(child):
            child.__class__ = LiveTapConv2d  # same parameters, same state_dict, another forward


def _is_atrous(conv: nn.Conv2d) -> bool:
    return (
        conv.kernel_size == (3, 3)
        and conv.stride == (1, 1)
        and conv.dilation[0] > 1
        and tuple(conv.padding) == tuple(conv.dilation)
        and conv.padding_mode == "zeros"
        and conv.groups == 1
    )
