"""Atrous (dilated) convolution that skips the taps which see only padding.

A tap whose offset is at least as large as the feature map reads nothing but zeros: it adds nothing to the output,
and its weight gets no gradient. On small inputs that is most of ASPP: at 96 pixels (12 x 12 features), all three of
its 3 x 3 convolutions, rates 12, 24 and 36, are 1 x 1. Leaving such taps out is the same function with the same
parameters, and saves their time, most of it in the backward pass. In training only: see ``forward``.
"""

from torch import Tensor, nn
from torch.nn import functional


class LiveTapConv2d(nn.Conv2d):
    """A 3 x 3 convolution with padding equal to its dilation, on any feature size; drop-in for ``nn.Conv2d``."""

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002  (nn.Conv2d's own name)
        """Features (N, C, H, W) to (N, C', H, W)."""
        if not self.training:
            # the same sums in another order round differently in bf16: what is measured has to be what predict.py
            # and torchvision's own model give, and the forward pass gains least
            return super().forward(input)
        weight, reach = self.weight, [int(side) for side in self.dilation]
        for axis, rate in enumerate(self.dilation):
            if rate >= input.shape[2 + axis]:
                weight = weight.narrow(2 + axis, 1, 1)
                reach[axis] = 0
        return functional.conv2d(input, weight, self.bias, padding=reach, dilation=self.dilation)


def skip_dead_taps(module: nn.Module) -> None:
    """Let every 3 x 3 atrous convolution in ``module`` of stride 1 and same-size output skip its dead taps."""
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
