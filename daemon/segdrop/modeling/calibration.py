"""Calibration: the number format that this host is faster with, and still right, found by a second of its own work.

Flags say what a processor has, not what a library makes of it, nor what a hypervisor does to it.
"""

import time
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

#: (channels in, out, kernel, dilation) of a block of the backbone's third stage, on the features of 256-pixel images;
#: the heads' atrous convolutions, whose taps see mostly padding, have ways of their own
_LAYERS = ((1024, 256, 1, 1), (256, 256, 3, 2), (256, 1024, 1, 1))
_SIDE, _BATCH = 32, 8
_ROUNDS = 4
#: bf16 has 8 bits: a sum of many products comes out within 0.4 %. More is a fault of the library or the machine
_MOST_ERROR = 0.02


@dataclass(frozen=True, slots=True)
class Calibration:
    """The speed and the error of bf16 compared with fp32."""

    speedup: float  #: times as fast, forward and backward
    relative_error: float  #: of the worst layer's output, by norms

    @property
    def favours_bf16(self) -> bool:
        """Whether bf16 is faster, and right to its own precision."""
        return self.speedup > 1 and self.relative_error <= _MOST_ERROR


def calibrate() -> Calibration:
    """Times real layers in both formats in turn, at the number of threads that is set, and compares their outputs."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [_layer(*shape) for shape in _LAYERS]
        inputs = [torch.randn(_BATCH, shape[0], _SIDE, _SIDE) for shape in _LAYERS]
    inputs = [features.to(memory_format=torch.channels_last).requires_grad_() for features in inputs]
    errors = [_error(layer, features) for layer, features in zip(layers, inputs, strict=True)]
    times: dict[bool, list[float]] = {False: [], True: []}
    for _ in range(_ROUNDS):
        for bf16, taken in times.items():
            taken.append(
                sum(_seconds(layer, features, bf16=bf16) for layer, features in zip(layers, inputs, strict=True))
            )
    speedup = min(times[False]) / min(times[True])
    return Calibration(round(speedup, 3), round(max(errors), 6))


def read(entry: dict[str, Any]) -> Calibration | None:
    """Reads a measurement that was written down; returns None if there is nothing, or something else."""
    try:
        return Calibration(float(entry["speedup"]), float(entry["relative_error"]))
    except (KeyError, TypeError, ValueError):
        return None


def _layer(channels: int, filters: int, kernel: int, dilation: int) -> nn.Conv2d:
    layer = nn.Conv2d(channels, filters, kernel, padding=dilation * (kernel // 2), dilation=dilation, bias=False)
    return layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _forward(layer: nn.Conv2d, features: Tensor, *, bf16: bool) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        output: Tensor = layer(features)
    return output


def _error(layer: nn.Conv2d, features: Tensor) -> float:
    with torch.no_grad():
        precise, short = (_forward(layer, features, bf16=bf16).float() for bf16 in (False, True))
        return float((short - precise).norm() / precise.norm())


def _seconds(layer: nn.Conv2d, features: Tensor, *, bf16: bool) -> float:
    """Returns the CPU time of all threads together, which is disturbed less by other programs than the clock's."""
    started = time.process_time()
    _forward(layer, features, bf16=bf16).sum().backward()  # type: ignore[no-untyped-call]
    return time.process_time() - started
