"""A model that knows its classes by their colours, so that what it has to predict is known to the pixel.

The nearest of some colours c is the largest of 2 c·x - |c|²: a convolution of 1 x 1.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

Colour = tuple[int, int, int]
COLOURS: dict[str, Colour] = {
    "background": (0, 0, 0),
    "sky": (40, 90, 250),
    "road": (120, 120, 120),
    "tree": (30, 200, 40),
}


def write_colour_model(path: Path, colours: Mapping[str, Colour] = COLOURS) -> Path:
    """Writes it as ONNX: any size, uint8 RGB (N, H, W, 3) in, logits (N, H, W, C) out."""
    import onnx  # noqa: PLC0415  (most tests do without)
    from onnx import TensorProto, helper, numpy_helper  # noqa: PLC0415

    table = np.asarray(list(colours.values()), np.float32)
    weights = numpy_helper.from_array((2 * table.T / 255).astype(np.float32), "weights")
    bias = numpy_helper.from_array((-(table**2).sum(1) / 255).astype(np.float32), "bias")
    graph = helper.make_graph(
        [
            helper.make_node("Cast", ["image"], ["numbers"], to=TensorProto.FLOAT),
            helper.make_node("MatMul", ["numbers", "weights"], ["products"]),
            helper.make_node("Add", ["products", "bias"], ["logits"]),
        ],
        "colours",
        [helper.make_tensor_value_info("image", TensorProto.UINT8, ["n", "h", "w", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", "h", "w", len(colours)])],
        [weights, bias],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"names": repr(dict(enumerate(colours)))})
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return path


def scene(
    number: int, size: tuple[int, int] = (24, 32), colours: Sequence[Colour] = tuple(COLOURS.values())
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """An image of areas in the colours, a little noisy, with a hole, and its class ids."""
    height, width = size
    random = np.random.default_rng(number)
    ids = np.zeros(size, np.uint8)
    for class_id in range(1, len(colours)):
        top, left = random.integers(0, height // 2), random.integers(0, width // 2)
        ids[top : top + height // 2, left : left + width // 3] = class_id
    ids[height // 3 : height // 3 + 3, width // 3 : width // 3 + 4] = 0
    pixels = np.asarray(colours, np.int16)[ids] + random.integers(-5, 6, (*size, 3))
    return pixels.clip(0, 255).astype(np.uint8), ids
