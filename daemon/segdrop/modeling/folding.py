"""An inference-only copy of a network, in which everything that only training needs is folded away.

BatchNorm after a convolution is an affine map with fixed numbers in evaluation, and becomes part of the convolution's
weights and bias. The addition of a residual branch and the ReLU after a convolution are done while its output is still
in the processor's cache. Weights are stored in the number format and in the memory layout that oneDNN computes with,
rather than brought into them at every call. Heads whose output is not asked for are not computed.

Sums are taken in another order than in the network itself, and folded weights are rounded once more: logits are equal
within the rounding of the number format, and a pixel between two classes may fall to the other one. Metrics of a
training are therefore measured with the network itself, as predict.py computes; the copy is for predicting many images.

Dead taps of atrous convolutions need nothing here: oneDNN's forward pass leaves out the taps that see only padding.
"""

import copy
import operator
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, fx, nn
from torch.fx.node import Argument
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.utils.fusion import fuse_conv_bn_weights

from segdrop.modeling.precision import CPU, Host

#: Returns the logits (N, C, h, w) of images (N, 3, H, W).
Compute = Callable[[Tensor], Tensor]

_ADDITIONS = frozenset({operator.add, operator.iadd, torch.add})
_RELUS = frozenset({functional.relu, torch.relu})
#: bf16 keeps 8 bits of a number: outputs of the same convolution differ by 0.4 %, and more is another function
_MOST_ERROR = 0.02


def inference_copy(network: nn.Module, compute: Compute, host: Host) -> nn.Module:
    """Returns a faster module that gives the logits (N, C, h, w) float32 that ``compute`` gives of images (N, 3, H, W).

    ``compute`` calls layers of ``network``, such as ``class_logits`` of a ``SegmentationModel``; what it does not call
    is left out. The module takes images in float32 on the host's device, and computes in the host's number format,
    whether or not autocast is on. It shares no memory with the network, which stays as it is, and keeps the output
    stride that that has now. Raises ``ValueError`` for a network in training mode, and ``torch.fx.proxy.TraceError``
    where ``compute`` branches on the values of its input.
    """
    if network.training:
        raise ValueError("only a network in evaluation mode can be copied for inference")
    root = _Function(network, compute, host.dtype)
    module = fx.GraphModule(root, _Tracer().trace(root))  # a hierarchy of its own, with the network's layers in it
    module.graph.eliminate_dead_code()
    with torch.no_grad():
        for node, layer in _layers(module):
            if isinstance(layer, nn.Conv2d) and _is_foldable(layer):
                _fold(module, node, layer, host)
        for node, layer in _layers(module):
            _replace(module, node, layer, host)
    module.delete_all_unused_submodules()
    module.recompile()
    return _WithoutAutocast(module.eval().requires_grad_(requires_grad=False), host)


class _Function(nn.Module):
    """The function that is copied."""

    def __init__(self, network: nn.Module, compute: Compute, dtype: torch.dtype) -> None:
        super().__init__()
        self.network = network
        self._compute = compute
        self._dtype = dtype

    def forward(self, images: Tensor) -> Tensor:
        return self._compute(images.to(self._dtype)).float()


class _WithoutAutocast(nn.Module):
    """Keeps autocast from converting what has its number format already."""

    def __init__(self, module: fx.GraphModule, host: Host) -> None:
        super().__init__()
        self.module = module
        self._device_type = host.device.type

    def forward(self, images: Tensor) -> Tensor:
        with torch.autocast(self._device_type, enabled=False):
            logits: Tensor = self.module(images)
        return logits


class _Tracer(fx.Tracer):
    """Takes our own convolutions for what they are, rather than looking into them."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, nn.Conv2d) or super().is_leaf_module(m, module_qualified_name)


@dataclass(frozen=True, slots=True)
class Shape:
    """All that a convolution is told beside its weights."""

    kernel: tuple[int, int]
    padding: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    groups: int

    def output_sides(self, sides: torch.Size) -> tuple[int, ...]:
        """Returns the height and width that features of a height and width become."""
        given = zip(sides, self.kernel, self.padding, self.stride, self.dilation, strict=True)
        return tuple(
            (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
            for side, kernel, padding, stride, dilation in given
        )


class FoldedConvolution(nn.Module):
    """A convolution, the addition of other features to its output where there are any, and a ReLU where there is one.

    ``is_packed`` makes it one operation of oneDNN, with the weights in the layout that oneDNN prefers for the first
    features that come. Features of another size are right as well, and have the weights laid out anew at each call.
    """

    def __init__(self, weight: Tensor, bias: Tensor, shape: Shape, *, has_relu: bool, is_packed: bool) -> None:
        super().__init__()
        self._weight, self._bias, self._shape = weight, bias, shape
        self._has_relu, self._is_packed, self._is_laid_out = has_relu, is_packed, False

    def forward(self, features: Tensor, other: Tensor | None = None) -> Tensor:
        """Returns features (N, C, H, W) as (N, C', H', W'), ``other`` added to them."""
        if not self._is_packed:
            return self._plain(features, other)
        if not self._is_laid_out:
            self._lay_out(features)
        if other is None:
            return self._packed(features)
        sides = self._shape.output_sides(features.shape[2:])
        fitting = other.expand(features.shape[0], self._bias.shape[0], *sides)
        return self._packed(features, fitting.contiguous(memory_format=torch.channels_last))

    def _plain(self, features: Tensor, other: Tensor | None) -> Tensor:
        it = self._shape
        output = functional.conv2d(features, self._weight, self._bias, it.stride, it.padding, it.dilation, it.groups)
        if other is not None:
            output += other
        return output.relu_() if self._has_relu else output

    def _packed(self, features: Tensor, *other: Tensor) -> Tensor:
        """Calls what torch.compile calls for a convolution on a CPU (torch/_inductor/mkldnn_ir.py)."""
        it = self._shape
        call = (features, *other, self._weight, self._bias, it.padding, it.stride, it.dilation, it.groups)
        relu = "relu" if self._has_relu else None
        after: tuple[Any, ...] = ("add", None, relu, [], None) if other else (relu or "none", [], None)
        return cast("Tensor", torch.ops.mkldnn._convolution_pointwise(*call, *after))  # noqa: SLF001

    def _lay_out(self, features: Tensor) -> None:
        it = self._shape
        self._weight = torch.ops.mkldnn._reorder_convolution_weight(  # noqa: SLF001
            self._weight, it.padding, it.stride, it.dilation, it.groups, list(features.shape)
        )
        self._is_laid_out = True


class GlobalMean(nn.Module):
    """The mean over all pixels, (N, C, H, W) as (N, C, 1, 1).

    ``AdaptiveAvgPool2d(1)`` computes the same from a copy in float32: 3 % of the time of a DeepLabV3 in bf16.
    """

    def forward(self, features: Tensor) -> Tensor:
        """Returns the mean of each channel."""
        return functional.avg_pool2d(features, features.shape[2:])


@lru_cache
def can_pack(dtype: torch.dtype) -> bool:
    """Whether this torch, on this CPU, has oneDNN's operation in a number format, and it is right.

    It is no public interface of torch: where it is missing, or gives something else than torch's own operations do, it
    is not used. ``dtype`` is that of weights and features.
    """
    random = torch.Generator().manual_seed(0)
    weight, features, other = (
        torch.randn(shape, generator=random).to(dtype) for shape in ((16, 16, 3, 3), (1, 16, 8, 8), (1, 16, 8, 8))
    )
    bias, shape = weight[:, 0, 0, 0].contiguous(), Shape((3, 3), (2, 2), (1, 1), (2, 2), 1)
    plain, packed = (FoldedConvolution(weight, bias, shape, has_relu=True, is_packed=asked) for asked in (False, True))
    try:
        with torch.inference_mode():
            pairs = [(plain(features, given).float(), packed(features, given).float()) for given in (None, other)]
    except (AttributeError, RuntimeError, TypeError):
        return False
    return all(bool((ours - theirs).norm() <= _MOST_ERROR * theirs.norm()) for theirs, ours in pairs)


def _layers(module: fx.GraphModule) -> list[tuple[fx.Node, nn.Module]]:
    """Returns the calls of layers in a traced module, in their order."""
    calls = [node for node in module.graph.nodes if node.op == "call_module"]
    return [(node, module.get_submodule(str(node.target))) for node in calls]


def _is_foldable(convolution: nn.Conv2d) -> bool:
    return convolution.padding_mode == "zeros" and not isinstance(convolution.padding, str)


def _replace(module: fx.GraphModule, node: fx.Node, layer: nn.Module, host: Host) -> None:
    """Replaces a layer by its copy for inference: the network's own layers stay as they are."""
    if isinstance(layer, nn.AdaptiveAvgPool2d) and layer.output_size in {1, (1, 1)}:
        _put(module, [node], GlobalMean(), node.args)
    elif not isinstance(layer, FoldedConvolution) and layer.state_dict():
        _put(module, [node], copy.deepcopy(layer).to(host.device, host.dtype), node.args)


def _fold(module: fx.GraphModule, node: fx.Node, convolution: nn.Conv2d, host: Host) -> None:
    """Makes one layer of a convolution and of the norm, the addition and the ReLU after it, as many as there are."""
    nodes, norm, has_relu = [node], None, False
    others: tuple[fx.Node, ...] = ()
    if (after := _only_user(node)) and (norm := _norm(module, after)):
        nodes.append(after)
    if (after := _only_user(nodes[-1])) and (others := _added(after, nodes[-1])):
        nodes.append(after)
    if (after := _only_user(nodes[-1])) and (has_relu := _is_relu(module, after)):
        nodes.append(after)
    _put(module, nodes, _folded(convolution, norm, host, has_relu=has_relu), (*node.args, *others))


def _put(module: fx.GraphModule, nodes: list[fx.Node], layer: nn.Module, inputs: tuple[Argument, ...]) -> None:
    """Puts a new layer in the place of the last of some nodes, and removes them all."""
    name = f"{nodes[0].name}_for_inference"
    module.add_submodule(name, layer)
    with module.graph.inserting_before(nodes[-1]):  # by then, what is added has been computed, too
        nodes[-1].replace_all_uses_with(module.graph.call_module(name, inputs))
    for node in reversed(nodes):
        module.graph.erase_node(node)


def _folded(convolution: nn.Conv2d, norm: _BatchNorm | None, host: Host, *, has_relu: bool) -> FoldedConvolution:
    """Returns copies of a convolution's weights, with a norm's in them, as the host computes."""
    weight, bias = convolution.weight, convolution.bias
    if norm is not None and norm.running_mean is not None and norm.running_var is not None:
        statistics = (norm.running_mean, norm.running_var, norm.eps)
        weight, bias = fuse_conv_bn_weights(weight, bias, *statistics, norm.weight, norm.bias)
    if bias is None:
        bias = torch.zeros(convolution.out_channels)
    weight = weight.to(host.device, host.dtype, copy=True).contiguous(memory_format=torch.channels_last)
    bias = bias.to(host.device, host.dtype, copy=True)
    is_packed = host.device == CPU and can_pack(host.dtype)
    return FoldedConvolution(weight, bias, _shape(convolution), has_relu=has_relu, is_packed=is_packed)


def _shape(convolution: nn.Conv2d) -> Shape:
    pairs = (convolution.kernel_size, convolution.padding, convolution.stride, convolution.dilation)
    kernel, padding, stride, dilation = cast("list[tuple[int, int]]", [tuple(map(int, pair)) for pair in pairs])
    return Shape(kernel, padding, stride, dilation, convolution.groups)


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _norm(module: fx.GraphModule, node: fx.Node) -> _BatchNorm | None:
    """Returns the BatchNorm that a node calls, if it does and that has fixed statistics."""
    layer = module.get_submodule(str(node.target)) if node.op == "call_module" else None
    return layer if isinstance(layer, _BatchNorm) and layer.running_var is not None else None


def _added(node: fx.Node, to: fx.Node) -> tuple[fx.Node, ...]:
    """Returns the features that a node adds ``to`` others; none where it does something else."""
    if node.op != "call_function" or node.target not in _ADDITIONS or node.kwargs:
        return ()
    others = [argument for argument in node.args if argument is not to]
    return (others[0],) if len(others) == 1 and isinstance(others[0], fx.Node) else ()


def _is_relu(module: fx.GraphModule, node: fx.Node) -> bool:
    if node.op == "call_module":
        return isinstance(module.get_submodule(str(node.target)), nn.ReLU)
    return node.op == "call_function" and node.target in _RELUS
